<?php
/** What the object cache's test scripts share: requests of several tasks in one process, and the server itself. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
foreach ( array( 'Config', 'Freshness', 'ValkeyConnection', 'Prefetch', 'ObjectCache' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;
use Platen\ObjectCache;
use Platen\ValkeyConnection;

/** Seconds that a connection or an answer may take: tests run on machines that have much else to do. */
const PATIENT = 20.0;

/** A request: each has a connection of its own where the pool has none left. */
function request( array $where = array(), ?Platen\Prefetch $prefetch = null, float $wait = PATIENT ): ObjectCache {
	$cache = new ObjectCache( new ValkeyConnection( $where + Config::values()['objects'], $wait ), '', $prefetch );
	$cache->add_global_groups( array( 'users' ) );
	$cache->add_non_persistent_groups( array( 'counts' ) );
	return $cache;
}

/** A plain connection to a node, to look and to meddle. */
function node( ?string $host = null ): Redis {
	$o     = Config::values()['objects'];
	$redis = new Redis();
	$redis->connect( 'tls://' . ( $host ?? $o['host'] ), $o['port'], PATIENT, null, 0, PATIENT, array( 'auth' => array( $o['token'] ), 'stream' => array( 'cafile' => $o['ca'] ) ) );
	return $redis;
}

/** Waits until something is so. */
function until( string $what, callable $is ): mixed {
	for ( $end = microtime( true ) + 60; microtime( true ) < $end; usleep( 50_000 ) ) {
		$value = $is();
		if ( $value ) {
			return $value;
		}
	}
	expect( "within a minute: $what", true, false );
	exit( 1 );
}
