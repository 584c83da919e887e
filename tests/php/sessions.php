<?php
/** Sessions on a real Valkey, by phpredis with its locks: whose id counts, and what is left locked. */

declare( strict_types=1 );

ob_start(); // PHP opens no session once something was printed
require __DIR__ . '/harness.php';
require_once '/usr/share/platen/lib/Sessions.php';

ini_set( 'session.use_cookies', '0' );
session_set_save_handler( new Platen\Sessions( 'http://localhost' ), false );

$where = parse_url( ini_get( 'session.save_path' ) );
parse_str( $where['query'], $options );
$redis = new Redis();
$redis->connect( "{$where['scheme']}://{$where['host']}", $where['port'], 2, null, 0, 2, array( 'auth' => array( $options['auth'] ), 'stream' => array( 'cafile' => ini_get( 'openssl.cafile' ) ) ) );

/** Locks that are held now. */
function locks(): array {
	return array_map( static fn( string $key ): string => substr( $key, strlen( $GLOBALS['options']['prefix'] ), -5 ), $GLOBALS['redis']->keys( '*_LOCK' ) );
}
/** Opens the session of an id and returns the id that it has. */
function begin( string $id = '' ): string {
	session_id( $id );
	session_start();
	return session_id();
}

expect( 'phpredis keeps them, locked, and PHP is strict', array( 'redis', '1', '1' ), array( strtok( $where['scheme'], ':' ) === 'tls' ? 'redis' : '', ini_get( 'session.use_strict_mode' ), ini_get( 'redis.session.locking_enabled' ) ) );

$invented = 'invented' . bin2hex( random_bytes( 12 ) );
$id       = begin( $invented );
expect( 'an invented id is not taken', false, $invented === $id || '' === $id );
expect( 'and not locked', array( $id ), locks() );
$_SESSION['n'] = 1;
session_write_close();
expect( 'no lock is left', array(), locks() );
expect( 'nothing is kept under the invented id', 0, $redis->exists( $options['prefix'] . $invented ) );

expect( 'an id that there is stays', $id, begin( $id ) );
expect( 'with what is in it', array( 'n' => 1 ), $_SESSION );
expect( 'locked once', array( $id ), locks() );
$redis->expire( $options['prefix'] . $id, 10 );
session_write_close(); // nothing has changed
expect( 'and lives on', true, $redis->ttl( $options['prefix'] . $id ) > 10 );
expect( 'no lock is left', array(), locks() );

$empty = begin();
session_write_close();
expect( 'a session with nothing in it keeps its id', $empty, begin( $empty ) );
expect( 'nothing is in it', array(), $_SESSION );
$_SESSION['later'] = true;
session_write_close();
expect( 'until something is', array( $empty, array( 'later' => true ) ), array( begin( $empty ), $_SESSION ) );
session_unset();
session_write_close();
expect( 'or no more', array( $empty, array() ), array( begin( $empty ), $_SESSION ) );
session_write_close();

begin( $id );
expect( 'ids can be made while one is open', 32, strlen( (string) session_create_id() ) );
$_SESSION['n'] = 2;
expect( 'which is saved all the same', true, session_write_close() );
expect( 'as it should', array( 'n' => 2 ), begin( $id ) === $id ? $_SESSION : null );

// As after a login.
$_SESSION['n'] = 3;
expect( 'another id for the same session', true, session_regenerate_id( true ) );
$new = session_id();
expect( 'is another', false, $id === $new );
expect( 'locked instead of the first', array( $new ), locks() );
session_write_close();
expect( 'has what was in the first', array( $new, array( 'n' => 3 ) ), array( begin( $new ), $_SESSION ) );
session_write_close();
expect( 'which is gone', false, begin( $id ) === $id );
session_destroy();
expect( 'no lock is left at the end', array(), locks() );
ob_end_flush();
