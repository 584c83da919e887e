<?php
/**
 * Loads WordPress for a job: by the command line, as itself, without the web's restrictions.
 */

declare( strict_types=1 );

require_once '/usr/share/platen/lib/Config.php';

if ( 'cli' !== PHP_SAPI ) {
	http_response_code( 404 );
	exit;
}
define( 'PLATEN_JOB', true );

$home = parse_url( Platen\Config::values()['home'] );

$_SERVER['HTTP_HOST']       = $home['host'] . ( isset( $home['port'] ) ? ":{$home['port']}" : '' );
$_SERVER['SERVER_NAME']     = $home['host'];
$_SERVER['REQUEST_METHOD']  = 'GET';
$_SERVER['REQUEST_URI']     = '/';
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
if ( 'https' === $home['scheme'] ) {
	$_SERVER['HTTPS'] = 'on';
}
