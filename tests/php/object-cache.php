<?php
/**
 * The object cache against a real Valkey: the semantics of WordPress' own WP_Object_Cache, seen by
 * two tasks at once. Two caches with a connection each stand for two tasks.
 */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
foreach ( array( 'Config', 'ValkeyConnection', 'ObjectCache' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;
use Platen\ObjectCache;
use Platen\ValkeyConnection;

// WordPress' functions that the class asks, in the state that each test wants.
$suspended = false;
$multisite = false;
function wp_suspend_cache_addition(): bool {
	return $GLOBALS['suspended'];
}
function is_multisite(): bool {
	return $GLOBALS['multisite'];
}

function task( string $blog = '' ): ObjectCache {
	$cache = new ObjectCache( new ValkeyConnection( Config::values()['objects'] ), $blog );
	$cache->add_global_groups( array( 'users', 'options-of-all' ) );
	$cache->add_non_persistent_groups( 'counts' );
	return $cache;
}

$a = task();
$b = task();
$a->flush();

// Values keep their exact types over the wire.
$values = array(
	'int' => 42, 'negative' => -7, 'zero' => 0, 'numeric string' => '42', 'padded' => '007', 'empty' => '', 'float' => 1.5,
	'true' => true, 'false' => false, 'null' => null, 'list' => array( 1, '2', array( 'x' => null ) ),
	'object' => (object) array( 'id' => 5, 'tags' => array( 'a' ) ), 'binary' => "\0\xff\n", 'large' => PHP_INT_MAX, 'newline' => "5\n",
);
foreach ( $values as $name => $value ) {
	$a->set( $name, $value, 'types' );
}
foreach ( $values as $name => $value ) {
	$got = $b->get( $name, 'types', false, $found );
	expect( "$name is found by the other task", true, $found );
	expect( "$name comes back as it was", $value, $got );
}
$found = null;
expect( 'a miss is false', false, $b->get( 'nothing', 'types', false, $found ) );
expect( 'a miss is not found', false, $found );

// Objects are copies.
$object = (object) array( 'n' => 1 );
$a->set( 'copy', $object );
$object->n = 2;
expect( 'a change after set() stays outside', 1, $a->get( 'copy' )->n );
$a->get( 'copy' )->n = 3;
expect( 'a change after get() stays outside', 1, $a->get( 'copy' )->n );

// add, replace.
expect( 'add of a new key', true, $a->add( 'k', 'one', 'g' ) );
expect( 'add where the other task has it', false, $b->add( 'k', 'two', 'g' ) );
expect( 'add changed nothing', 'one', $b->get( 'k', 'g' ) );
expect( 'replace of an unknown key', false, $a->replace( 'unknown', 1, 'g' ) );
expect( 'replace of what the other task wrote', true, $b->replace( 'k', 'three', 'g' ) );
expect( 'a forced get sees it', 'three', $a->get( 'k', 'g', true ) );
$suspended = true;
expect( 'no additions while suspended', false, $a->add( 'while-suspended', 1 ) );
expect( 'set works while suspended', true, $a->set( 'while-suspended', 1 ) );
$suspended = false;

// delete.
expect( 'delete of what the other task has', true, $b->delete( 'k', 'g' ) );
expect( 'delete of what nobody has', false, $b->delete( 'k', 'g' ) );
expect( 'a forced get sees the deletion', false, $a->get( 'k', 'g', true ) );
expect( 'and forgets its own copy', false, $a->get( 'k', 'g' ) );

// incr, decr.
expect( 'incr of an unknown key', false, $a->incr( 'n', 1, 'num' ) );
$a->set( 'n', 5, 'num' );
expect( 'incr', 6, $a->incr( 'n', 1, 'num' ) );
expect( 'incr by the other task', 9, $b->incr( 'n', 3, 'num' ) );
expect( 'decr', 7, $a->decr( 'n', 2, 'num' ) );
expect( 'never below zero', 0, $a->decr( 'n', 100, 'num' ) );
expect( 'and so it is stored', 0, $b->get( 'n', 'num', true ) );
$a->set( 's', '10', 'num' );
expect( 'incr of a numeric string', 12, $a->incr( 's', 2, 'num' ) );
$a->set( 't', 'text', 'num' );
expect( 'incr of a text begins at zero', 3, $a->incr( 't', 3, 'num' ) );
$a->set( 'l', 1, 'num', 1000 );
$a->incr( 'l', 1, 'num' );

// multiple.
expect( 'set_multiple', array( 'x' => true, 7 => true ), $a->set_multiple( array( 'x' => 'X', 7 => 'seven' ), 'm' ) );
expect( 'get_multiple keeps the order, misses are false', array( 7 => 'seven', 'gone' => false, 'x' => 'X' ), $b->get_multiple( array( 7, 'gone', 'x' ), 'm' ) );
expect( 'add_multiple', array( 'x' => false, 'y' => true ), $b->add_multiple( array( 'x' => 1, 'y' => 'Y' ), 'm' ) );
expect( 'delete_multiple', array( 'x' => true, 'gone' => false, 'y' => true ), $a->delete_multiple( array( 'x', 'gone', 'y' ), 'm' ) );
expect( 'deleted for the other task', array( 'x' => false, 'y' => false ), task()->get_multiple( array( 'x', 'y' ), 'm' ) );

// Groups that are not persistent.
$a->set( 'c', 1, 'counts' );
expect( 'a non-persistent group is in its request', 1, $a->get( 'c', 'counts' ) );
expect( 'also when forced', 1, $a->get( 'c', 'counts', true ) );
expect( 'and nowhere else', false, $b->get( 'c', 'counts' ) );
expect( 'incr works there', 2, $a->incr( 'c', 1, 'counts' ) );
expect( 'add too', false, $a->add( 'c', 1, 'counts' ) );

// Expiry. The server's clock is asked, not waited for.
$raw = new Redis();
$o   = Config::values()['objects'];
$raw->connect( 'tls://' . $o['host'], $o['port'], 1, null, 0, 1, array( 'auth' => array( $o['token'] ), 'stream' => array( 'cafile' => $o['ca'] ) ) );
$a->set( 'short', 1, 'ttl', 60 );
$a->set( 'forever', 1, 'ttl' );
$ttl = array();
foreach ( $raw->keys( '{p}*:ttl:*' ) as $key ) {
	$ttl[ substr( $key, strrpos( $key, ':' ) + 1 ) ] = $raw->ttl( $key );
}
expect( 'an expiry is kept', true, $ttl['short'] > 0 && $ttl['short'] <= 60 );
expect( 'nothing stays for longer than a day', true, $ttl['forever'] > 60 && $ttl['forever'] <= 86400 );
$left = $raw->ttl( $raw->keys( '{p}*:num:l' )[0] );
expect( 'incr keeps the expiry', true, $left > 0 && $left <= 1000 );

// Blogs of a network.
$multisite = true;
$a->switch_to_blog( 2 );
$a->set( 'blogs', 'two', 'posts' );
$a->set( 'blogs', 'all', 'users' );
$a->switch_to_blog( 3 );
expect( 'another blog does not see it', false, $a->get( 'blogs', 'posts' ) );
expect( 'a global group is everyone’s', 'all', $a->get( 'blogs', 'users' ) );
$a->switch_to_blog( 2 );
expect( 'back again', 'two', $a->get( 'blogs', 'posts' ) );
$multisite = false;
$a->switch_to_blog( 1 );

// Flushes.
$a->set( 'p', 1, 'posts' );
$a->set( 'q', 1, 'terms' );
$a->flush_runtime();
expect( 'flush_runtime keeps what the server has', 1, $a->get( 'p', 'posts' ) );
$a->flush_group( 'posts' );
expect( 'flush_group empties the group', false, $a->get( 'p', 'posts' ) );
expect( 'and no other', 1, $a->get( 'q', 'terms' ) );
expect( 'for the other task too, in its next request', false, task()->get( 'p', 'posts' ) );
$a->set( 'p', 2, 'posts' );
expect( 'a flushed group takes new entries', 2, task()->get( 'p', 'posts' ) );
$late = task();
$late->get( 'q', 'terms' ); // knows the epoch of before
$a->flush();
$late->set( 'q', 'stale fill', 'terms' );
expect( 'flush empties all', false, task()->get( 'q', 'terms' ) );
expect( 'a fill that began before the flush is not served after it', false, task()->get( 'q', 'terms' ) );
$a->set( 'q', 3, 'terms' );
$raw->del( '{p}epochs' ); // as if evicted
expect( 'with the epochs all entries are gone, none comes back', false, task()->get( 'q', 'terms' ) );

// Keys.
foreach ( array( '', '  ', null, 1.5, array() ) as $key ) {
	expect( 'no ' . json_encode( $key ) . ' as a key', array( false, false, false ), array( $a->set( $key, 1 ), $a->get( $key ), $a->delete( $key ) ) );
}
expect( 'an integer is a key', true, $a->set( 12, 'twelve' ) );
expect( 'as its string is', 'twelve', $a->get( '12' ) );

// An entry that is not ours to read is a miss, not an error.
$a->set( 'damaged', 'fine', 'g' );
$raw->set( $raw->keys( '*:g:damaged' )[0], 'neither a number nor serialized' );
expect( 'a damaged entry is a miss', false, $a->get( 'damaged', 'g', true ) );
expect( 'and is not kept', false, $a->get( 'damaged', 'g' ) );
$raw->close();

// A connection of our own that the server cuts: not fatal.
$a->set( 'cut', 1 );
$raw = new Redis();
$raw->connect( 'tls://' . $o['host'], $o['port'], 1, null, 0, 1, array( 'auth' => array( $o['token'] ), 'stream' => array( 'cafile' => $o['ca'] ) ) );
$raw->rawCommand( 'CLIENT', 'KILL', 'TYPE', 'NORMAL', 'SKIPME', 'YES' );
expect( 'a lost connection is a miss', false, $a->get( 'elsewhere' ) );
expect( 'what the request has stays', 1, $a->get( 'cut' ) );
expect( 'writes go on in the request', true, $a->set( 'cut', 2 ) );
expect( 'and are found there', 2, $a->get( 'cut' ) );
expect( 'incr goes on', 3, $a->incr( 'cut' ) );
expect( 'add knows what is there', false, $a->add( 'cut', 9 ) );
expect( 'delete too', array( true, false ), array( $a->delete( 'cut' ), $a->delete( 'cut' ) ) );
expect( 'flush is not an error', true, $a->flush() );
