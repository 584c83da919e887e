<?php
/**
 * The object cache on one shard in cluster mode: names in one slot, the endpoint leads to a replica
 * too, the primary changes by a takeover and by a death. Nothing stale is served.
 */

declare( strict_types=1 );

require __DIR__ . '/object-cache-harness.php';

use Platen\Config;
use Platen\ObjectCache;

const NODES = array( 'shard-1', 'shard-2' );

/** The pause after a failure is over, without waiting for it. */
function pause_is_over(): void {
	apcu_store( 'platen.objects.down', time() - 1 );
}

/** What a request finds once the cache works for a new request, which may take a takeover's time. */
function working( string $what ): void {
	until(
		"the cache works: $what",
		static function (): bool {
			pause_is_over();
			request()->set( 'probe', $token = random_int( 0, PHP_INT_MAX ) );
			return request()->get( 'probe' ) === $token;
		}
	);
}

// One shard: all slots on one, the other copies it.
$first  = node( 'shard-1' );
$second = node( 'shard-2' );
$first->rawCommand( 'CLUSTER', 'ADDSLOTSRANGE', 0, 16383 );
$second->rawCommand( 'CLUSTER', 'MEET', gethostbyname( 'shard-1' ), 6379 );
$id = $first->rawCommand( 'CLUSTER', 'MYID' );
until( 'the nodes know each other', static fn() => str_contains( (string) $second->rawCommand( 'CLUSTER', 'NODES' ), $id ) && $second->rawCommand( 'CLUSTER', 'REPLICATE', $id ) );
until( 'the replica is in step', static fn() => str_contains( (string) $second->rawCommand( 'INFO', 'replication' ), 'master_link_status:up' ) );
until( 'the replica names hosts', static fn() => str_contains( (string) $second->rawCommand( 'CLUSTER', 'NODES' ), ',shard-1' ) );
until( 'the shard is well', static fn() => str_contains( (string) $first->rawCommand( 'CLUSTER', 'INFO' ), 'cluster_state:ok' ) && str_contains( (string) $second->rawCommand( 'CLUSTER', 'INFO' ), 'cluster_state:ok' ) );

// From either node.
foreach ( NODES as $node ) {
	apcu_clear_cache();
	$cache = request( array( 'host' => $node ) );
	expect( "by $node: several entries at once", array( 'a' => true, 'b' => true, 'c' => true ), $cache->set_multiple( array( 'a' => 1, 'b' => 2, 'c' => 3 ), 'posts' ) );
	expect( "by $node: connected", true, $cache->connected() );
	expect( "by $node: read at once", array( 'a' => 1, 'b' => 2, 'c' => 3 ), request( array( 'host' => $node ) )->get_multiple( array( 'a', 'b', 'c' ), 'posts' ) );
	expect( "by $node: scripts", array( 'a' => true, 'b' => true ), $cache->delete_multiple( array( 'a', 'b' ), 'posts' ) );
	expect( "by $node: counted", 5, $cache->incr( 'c', 2, 'posts' ) );
}
expect( 'the primary is remembered', 'shard-1:6379', apcu_fetch( 'platen.objects.primary' ) );
expect( 'and met at once', 2, ( static function () {
	$cache = request( array( 'host' => 'shard-2' ) );
	$cache->get( 'c', 'posts' );
	return $cache->trips();
} )() );

// A replica that names its primary by address only: the certificate is still the endpoint's.
apcu_clear_cache();
$second->rawCommand( 'CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'ip' );
$by = request( array( 'host' => 'way-in' ) );
expect( 'by an address', 5, $by->get( 'c', 'posts' ) );
expect( 'it was one', gethostbyname( 'shard-1' ) . ':6379', apcu_fetch( 'platen.objects.primary' ) );
$second->rawCommand( 'CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'hostname' );
apcu_clear_cache();

// A takeover, while a request is in the middle.
$cache = request();
$cache->set( 'price', 'old' );
$cache->set( 'kept', 'by the request' );
until( 'the copy is complete', static fn() => 1 === (int) $first->rawCommand( 'WAIT', 1, 1000 ) );
until( 'the replica takes over', static fn() => $second->rawCommand( 'CLUSTER', 'FAILOVER' ) );
until( 'it is the primary', static fn() => 'master' === $second->rawCommand( 'ROLE' )[0] && 'slave' === $first->rawCommand( 'ROLE' )[0] );
expect( 'the request goes on with its own', 'by the request', $cache->get( 'kept' ) );
expect( 'its writes reach the new primary', true, $cache->set( 'price', 'new' ) );
expect( 'or nobody: a new request does not find the old value', true, in_array( request()->get( 'price' ), array( 'new', false ), true ) );
working( 'after the takeover' );
expect( 'the new primary is remembered', 'shard-2:6379', apcu_fetch( 'platen.objects.primary' ) );
request()->set( 'price', 'newer' );
expect( 'and used', 'newer', request()->get( 'price' ) );

// The primary dies with a deletion that its replica did not get.
until( 'the replica is in step', static fn() => str_contains( (string) $first->rawCommand( 'INFO', 'replication' ), 'master_link_status:up' ) );
request()->set( 'lost', 'old' );
request()->set( 'stable', 'old' );
until( 'the copy is complete', static fn() => 1 === (int) $second->rawCommand( 'WAIT', 1, 1000 ) );
$first->rawCommand( 'CONFIG', 'SET', 'primaryauth', 'wrong' );
$second->rawCommand( 'CLIENT', 'KILL', 'TYPE', 'REPLICA' ); // which cannot come back
until( 'the replica is cut off', static fn() => str_contains( (string) $first->rawCommand( 'INFO', 'replication' ), 'master_link_status:down' ) );
expect( 'the deletion is acknowledged', true, request()->delete( 'lost' ) );
$first->rawCommand( 'READONLY' );
$there = $first->rawCommand( 'GET', $first->rawCommand( 'KEYS', '{p}*:default:lost' )[0] );
expect( 'the replica has the value', true, is_string( $there ) && 'T' !== $there[0] );
try {
	$second->rawCommand( 'SHUTDOWN', 'NOSAVE', 'NOW', 'FORCE' );
} catch ( RedisException ) {
	// That is what it was told.
}
$during = request();
$during->get( 'stable' );
expect( 'without a primary, a request goes on', true, $during->set( 'stable', 'new' ) );
until( 'the last node takes over', static fn() => $first->rawCommand( 'CLUSTER', 'FAILOVER', 'TAKEOVER' ) );
until( 'it is the primary', static fn() => 'master' === $first->rawCommand( 'ROLE' )[0] );
pause_is_over();
expect( 'a value of before, deleted just before the death, is not served', false, request()->get( 'lost' ) );
expect( 'nor one that was written meanwhile', true, in_array( request()->get( 'stable' ), array( 'new', false ), true ) );
working( 'after the death' );
expect( 'nor later', array( 'lost' => false ), request()->get_multiple( array( 'lost' ) ) );
expect( 'what is stored now is served', array( true, 1 ), array( request()->add( 'fresh', 1, 'posts' ), request()->get( 'fresh', 'posts' ) ) );
