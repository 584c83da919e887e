<?php
/** The limit of logins against a real Valkey: two tasks count together, and a dead server lets everybody try. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
foreach ( array( 'Config', 'ValkeyConnection', 'LoginLimit' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;
use Platen\LoginLimit;
use Platen\ValkeyConnection;

/** A task: a connection of its own, and the site's counters. */
function task( array $where = array(), string $site = '' ): LoginLimit {
	return new LoginLimit( new ValkeyConnection( $where + Config::values()['objects'] ), '' === $site ? $GLOBALS['site'] : $site );
}

/** How many of so many attempts in turn on two tasks are let through. */
function passed( int $attempts, callable $name, callable $address ): int {
	$tasks  = array( task(), task() );
	$passed = 0;
	for ( $i = 0; $i < $attempts; $i++ ) {
		$passed += 0 === $tasks[ $i % 2 ]->attempt( $name( $i ), $address( $i ) ) ? 1 : 0;
	}
	return $passed;
}

$GLOBALS['site'] = 'test-' . bin2hex( random_bytes( 4 ) );

expect( 'one name from one address', 10, passed( 150, static fn() => 'Editor ', static fn() => '198.51.100.1' ) );
$wait = task()->waits( 'editor', '198.51.100.1' );
expect( 'and tells for how long', true, $wait > 0 && $wait <= LoginLimit::WINDOW );
expect( 'however it is spelt', true, task()->waits( 'EDITOR', '198.51.100.1' ) > 0 );
expect( 'the person comes in from elsewhere', 0, task()->waits( 'editor', '198.51.100.2' ) );
expect( 'one name from many addresses', 90, passed( 120, static fn() => 'editor', static fn( $i ) => "203.0.113.$i" ) );
expect( 'then from none', true, task()->waits( 'editor', '198.51.100.2' ) > 0 );
expect( 'other names are free', 0, task()->waits( 'author', '198.51.100.1' ) );
expect( 'on other sites too', 0, task( site: 'another' )->waits( 'editor', '198.51.100.1' ) );
task()->succeeded( 'editor', '198.51.100.1' );
expect( 'a success clears the name', 0, task()->waits( 'editor', '198.51.100.1' ) );
expect( 'everywhere', 0, task()->waits( 'editor', '198.51.100.2' ) );

expect( 'many names from one address', 30, passed( 40, static fn( $i ) => "name$i", static fn() => '198.51.100.7' ) );
expect( 'whose neighbour is free', 0, task()->attempt( 'name', '198.51.100.8' ) );
expect( 'many addresses of one IPv6 customer', 30, passed( 40, static fn( $i ) => "six$i", static fn( $i ) => sprintf( '2001:db8:1:2:%x::1', $i ) ) );
expect( 'whose neighbour is free', 0, task()->attempt( 'name', '2001:db8:1:3::1' ) );
expect( 'where everybody has one address', 60, passed( 60, static fn( $i ) => "own$i", static fn() => '172.18.0.1' ) );
expect( 'a name is a name there too', 10, passed( 20, static fn() => 'owner', static fn() => '10.0.0.1' ) );
expect( 'from all addresses', 90, passed( 120, static fn() => 'owner', static fn( $i ) => '10.0.1.' . $i ) );

// An office of people who know their passwords.
$office = task();
for ( $i = 0; $i < 50; $i++ ) {
	$waits[] = $office->attempt( "colleague$i", '192.0.2.200' );
	$office->succeeded( "colleague$i", '192.0.2.200' );
}
expect( 'successes do not count', array( 0 ), array_values( array_unique( $waits ) ) );

expect( 'IPv4 in IPv6 is IPv4', LoginLimit::visitor( '203.0.113.9' ), LoginLimit::visitor( '::ffff:203.0.113.9' ) );
expect( 'an IPv6 network', LoginLimit::visitor( '2001:db8::1' ), LoginLimit::visitor( '2001:db8::ffff:1' ) );
foreach ( array( '127.0.0.1', '10.1.2.3', '172.16.0.1', '172.31.255.1', '192.168.1.1', '::1', 'fd00::1' ) as $address ) {
	expect( "$address is our own", true, LoginLimit::isOwnNetwork( $address ) );
}
foreach ( array( '8.8.8.8', '172.32.0.1', '2600::1' ) as $address ) {
	expect( "$address is a visitor's", false, LoginLimit::isOwnNetwork( $address ) );
}

// The window ends by itself, whatever else is counted in it.
$redis = new Redis();
$store = Config::values()['objects'];
$redis->connect( "tls://{$store['host']}", $store['port'], 2, null, 0, 2, array( 'auth' => array( $store['token'] ), 'stream' => array( 'cafile' => $store['ca'] ) ) );
$keys  = $redis->keys( "*{$GLOBALS['site']}*" );
$times = array_map( static fn( string $key ) => $redis->pttl( $key ), $keys );
expect( 'every counter has an end', true, count( $keys ) > 50 && min( $times ) > 0 && max( $times ) <= LoginLimit::WINDOW * 1000 );
expect( 'no counter says who it is of', array(), preg_grep( '/editor|colleague|203\.0|198\.51/', $keys ) );
foreach ( $keys as $key ) {
	$redis->pexpire( $key, 1 );
}
usleep( 5000 );
expect( 'then everybody may try again', 0, task()->attempt( 'name35', '198.51.100.7' ) );

ini_set( 'error_log', '/dev/null' );
$dead = task( array( 'port' => 1 ) );
expect( 'a dead server lets everybody try', array( 0, 0 ), array( $dead->attempt( 'owner', '10.0.0.1' ), $dead->waits( 'owner', '10.0.0.1' ) ) );
$dead->succeeded( 'owner', '10.0.0.1' );
