<?php
/**
 * Runs the site's due events. Every task's agent calls it once a minute; the one that gets the
 * lease loads WordPress, the others answer at once. Prints one JSON object:
 * {"ok":true,"lease":"held","ran":2,"failed":0,"left":0,"seconds":0.3} or {"ok":true,"lease":"elsewhere"}.
 */

declare( strict_types=1 );

foreach ( array( 'Config', 'Database', 'Lease', 'Cron' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

// A visitor cannot come here: nginx has no way to this script, and its pool has a socket of its own.
// An event that takes longer than the lease (an import, a mailing; the pool ends it after 15 minutes)
// goes on, and so does the site's cron: another task takes the lease and runs what else is due.
const PLATEN_CRON_LEASE  = 180; // seconds; renewed before each event
const PLATEN_CRON_BUDGET = 50;  // seconds; the next call is due after 60

/** @param array<string, mixed> $answer */
function platen_cron_answer( int $status, array $answer ): never {
	while ( ob_get_level() > 0 ) {
		ob_end_clean(); // what events printed is for nobody
	}
	http_response_code( $status );
	header( 'Content-Type: application/json' );
	exit( json_encode( $answer, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE ) . "\n" );
}

ignore_user_abort( true );
$start = microtime( true );

try {
	$lease = new Platen\Lease( new Platen\Database( Platen\Config::values()['db'], 5 ), 'cron', PLATEN_CRON_LEASE );
	if ( ! $lease->take() ) {
		platen_cron_answer( 200, array( 'ok' => true, 'lease' => 'elsewhere' ) );
	}
} catch ( mysqli_sql_exception $e ) {
	platen_cron_answer( 503, array( 'ok' => false, 'error' => "take the lease: {$e->getMessage()}" ) );
}
// Also after a fatal error in an event: the next minute must not wait for the lease to end.
register_shutdown_function(
	static function () use ( $lease ): void {
		try {
			$lease->release();
		} catch ( mysqli_sql_exception ) {
			return; // it ends by itself
		}
	}
);

// What WordPress and plugins expect of a request.
$home = parse_url( Platen\Config::values()['home'] );

$_SERVER['HTTP_HOST']      = $home['host'] . ( isset( $home['port'] ) ? ":{$home['port']}" : '' );
$_SERVER['SERVER_NAME']    = $home['host'];
$_SERVER['REQUEST_METHOD'] = 'GET';
$_SERVER['REQUEST_URI']    = '/wp-cron.php';
if ( 'https' === $home['scheme'] ) {
	$_SERVER['HTTPS'] = 'on';
}
ob_start();
define( 'DOING_CRON', true );
require '/usr/share/wordpress/wp-load.php';
wp_raise_memory_limit( 'cron' );

try {
	$report = ( new Platen\Cron( $lease, PLATEN_CRON_BUDGET ) )->run();
} catch ( mysqli_sql_exception $e ) {
	platen_cron_answer( 503, array( 'ok' => false, 'error' => "renew the lease: {$e->getMessage()}" ) );
}
platen_cron_answer( 200, array( 'ok' => true, 'lease' => 'held' ) + $report + array( 'seconds' => round( microtime( true ) - $start, 2 ) ) );
