<?php
/**
 * Answers /-/site: whether database, caches and files work, seen from this task. For who has the
 * site's token; for others there is nothing here. WordPress is not loaded.
 */

declare( strict_types=1 );

foreach ( array( 'Config', 'Database', 'Probe' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

header( 'Cache-Control: no-store' );
if ( ! Platen\Config::tokenMatches() ) {
	http_response_code( 404 );
	exit;
}

$report = ( new Platen\Probe( Platen\Config::values(), '/usr/share/wordpress/wp-content' ) )->run();
http_response_code( $report['ok'] ? 200 : 503 );
header( 'Content-Type: application/json' );
echo json_encode( $report, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE ), "\n";
