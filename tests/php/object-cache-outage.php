<?php
/**
 * The object cache when its server cannot be reached: what a task pays, and that nothing old is
 * served afterwards. Needs apc.enable_cli=1: APCu stands for what the processes of a task share.
 */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
foreach ( array( 'Config', 'ValkeyConnection', 'ObjectCache' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;
use Platen\ObjectCache;
use Platen\ValkeyConnection;

/** A request of the task: a new cache, on the real server or on one that is not there. */
function request( array $where = array() ): ObjectCache {
	// A page's time-outs are for servers that answer not at all; the real one may be slow here.
	return new ObjectCache( new ValkeyConnection( $where + Config::values()['objects'], array() === $where ? 20.0 : null ), '' );
}

/** The pause after a failure is over, without waiting for it. */
function pause_is_over(): void {
	apcu_store( 'platen.objects.down', time() - 1 );
}

expect( 'APCu is there', true, apcu_enabled() );

// A wrong certificate is no server: the token is not sent to it. First, while no connection is kept.
request( array( 'ca' => '/etc/ssl/certs/ca-certificates.crt' ) )->get( 'price' );
expect( 'a certificate of another authority is refused', true, apcu_exists( 'platen.objects.down' ) );
pause_is_over();

// A server that takes connections and never answers, as a frozen one does.
$listener = stream_socket_server( 'tcp://127.0.0.1:0' );
$frozen   = array( 'host' => '127.0.0.1', 'port' => (int) substr( strrchr( stream_socket_get_name( $listener, false ), ':' ), 1 ) );
$tries    = static function () use ( $listener ): int {
	for ( $n = 0; false !== @stream_socket_accept( $listener, 0 ); $n++ );
	return $n;
};

request()->flush();
request()->set( 'price', 'old' );
request()->set( 'other', 'kept' );
expect( 'before the outage', 'old', request()->get( 'price' ) );

// Reads alone lose nothing.
expect( 'a read from a frozen server is a miss', false, request( $frozen )->get( 'price' ) );
for ( $i = 0; $i < 20; $i++ ) {
	request( $frozen )->get( 'price' );
}
expect( 'twenty-one requests tried once', 1, $tries() );
pause_is_over();
expect( 'back after an outage in which nothing was written: still there', 'kept', request()->get( 'other' ) );

// A lost write makes everything of before unreachable.
$during = request( $frozen );
expect( 'a write to a frozen server is the request’s own', true, $during->set( 'price', 'new' ) );
expect( 'where it is found', 'new', $during->get( 'price' ) );
expect( 'the next request does not try, and finds nothing', false, request()->get( 'price' ) );
pause_is_over();
expect( 'back: the old value is not served', false, request()->get( 'price' ) );
request()->set( 'price', 'new' );
expect( 'and the cache is used again', 'new', request()->get( 'price' ) );

// So does a lost deletion, also on a refused connection, and a lost flush.
foreach ( array(
	'delete'      => static fn( ObjectCache $c ) => $c->delete( 'price' ),
	'incr'        => static fn( ObjectCache $c ) => $c->incr( 'price' ),
	'replace'     => static fn( ObjectCache $c ) => $c->replace( 'price', 1 ),
	'flush'       => static fn( ObjectCache $c ) => $c->flush(),
	'flush_group' => static fn( ObjectCache $c ) => $c->flush_group( 'default' ),
	'many'        => static fn( ObjectCache $c ) => $c->set_multiple( array( 'price' => 1 ) ),
) as $what => $write ) {
	request()->set( 'price', 'old' );
	$write( request( array( 'host' => '127.0.0.1', 'port' => 1 ) ) );
	pause_is_over();
	expect( "after a lost $what the old value is not served", false, request()->get( 'price' ) );
}
