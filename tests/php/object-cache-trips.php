<?php
/**
 * How many round trips to the object cache the front page costs: cold, warm, and warm when the task
 * knows what it asks for. Each page is a process of its own; what the task's processes share goes
 * from one to the next in a file.
 *
 * php object-cache-trips.php [PAGE-FILE]
 */

declare( strict_types=1 );

if ( isset( $argv[1] ) ) {
	$_SERVER = array( 'HTTP_HOST' => 'localhost:8080', 'REQUEST_METHOD' => 'GET', 'REQUEST_URI' => '/?utm=1', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REMOTE_ADDR' => '127.0.0.1' ) + $_SERVER;
	foreach ( is_file( $argv[1] ) ? unserialize( file_get_contents( $argv[1] ) ) : array() as $key => $value ) {
		apcu_store( $key, $value );
	}
	$end = static function () use ( $argv ): void {
		while ( ob_get_level() > 0 ) {
			ob_end_flush();
		}
		$shared = array();
		foreach ( new APCUIterator( '/^platen\./' ) as $entry ) {
			$shared[ $entry['key'] ] = $entry['value'];
		}
		file_put_contents( $argv[1], serialize( $shared ) );
		fwrite( STDOUT, json_encode( array( 'trips' => $GLOBALS['wp_object_cache']->trips(), 'queries' => $GLOBALS['wpdb']->num_queries, 'bytes' => strlen( $GLOBALS['page'] ?? '' ) ) ) );
	};
	register_shutdown_function( static fn() => register_shutdown_function( $end ) ); // after WordPress'
	ob_start( static function ( string $page ): string {
		$GLOBALS['page'] = ( $GLOBALS['page'] ?? '' ) . $page;
		return '';
	} );
	define( 'WP_USE_THEMES', true );
	require '/usr/share/wordpress/wp-blog-header.php';
	exit;
}

require __DIR__ . '/object-cache-harness.php';

function front( string $file ): array {
	$process = proc_open( array( PHP_BINARY, '-d', 'apc.enable_cli=1', __FILE__, $file ), array( 1 => array( 'pipe', 'w' ) ), $pipes );
	$out     = stream_get_contents( $pipes[1] );
	$code    = proc_close( $process );
	$page = json_decode( $out, true );
	if ( ! is_array( $page ) ) {
		expect( 'a page', 'figures', "$out (" . PHP_BINARY . " ended with $code)" );
		exit( 1 );
	}
	return $page;
}

request()->flush();
$cold = front( '/tmp/none' );
unlink( '/tmp/none' );
front( '/tmp/none' ); // fills what the first could not, having begun with an empty cache
unlink( '/tmp/none' );
$warm = front( '/tmp/task' );
$next = front( '/tmp/task' );
$then = front( '/tmp/task' );
echo 'ok   ', json_encode( compact( 'cold', 'warm', 'next', 'then' ) ), "\n";
expect( 'the page is the page', true, $warm['bytes'] > 5000 && $then['bytes'] === $warm['bytes'] );
expect( 'without the list an entry costs a round trip', true, $warm['trips'] > 10 );
expect( 'with it the page costs three at most', true, $then['trips'] <= 3 );
expect( 'and no more queries', true, $then['queries'] <= $warm['queries'] );
