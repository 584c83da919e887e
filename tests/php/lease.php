<?php
/** The lease against a real database: one holder, an end by the database's clock, no theft. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
foreach ( array( 'Config', 'Database', 'Lease' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;
use Platen\Database;
use Platen\Lease;

$database = new Database( Config::values()['db'], 5 );
$table    = Lease::table();
$database->run( "DROP TABLE IF EXISTS $table" );

function task( string $lease = 'test' ): Lease {
	return new Lease( new Database( Config::values()['db'], 5 ), $lease, 60 );
}

$a = task();
$b = task();
expect( 'the first gets it, and the table is made', true, $a->take() );
expect( 'the second does not', false, $b->take() );
expect( 'not even the holder takes it twice', false, $a->take() );
expect( 'another lease is free', true, task( 'other' )->take() );
expect( 'the holder renews, twice in a second', array( true, true ), array( $a->renew(), $a->renew() ) );
expect( 'who does not hold it cannot renew', false, $b->renew() );
$b->release();
expect( 'nor release', false, $b->take() );

// The holder is killed, and its time ends.
$database->run( "UPDATE $table SET expires = UNIX_TIMESTAMP() - 1 WHERE name = ?", array( 'test' ) );
expect( 'an ended lease is taken over', true, $b->take() );
expect( 'which its former holder notices', false, $a->renew() );
$a->release();
expect( 'and cannot undo', false, task()->take() );
$b->release();
expect( 'a released lease is free at once', true, task()->take() );

// TLS: the writer's certificate is checked, name and authority.
$encrypted = $database->run( "SHOW STATUS LIKE 'Ssl_cipher'" )[0]['Value'];
expect( 'the connection is encrypted', true, '' !== $encrypted );
$db     = Config::values()['db'];
$port   = substr( strrchr( $db['writer'], ':' ), 1 );
$refuse = '';
try {
	new Database( array( 'writer' => gethostbyname( strtok( $db['writer'], ':' ) ) . ":$port" ) + $db, 5 );
} catch ( mysqli_sql_exception $e ) {
	$refuse = $e->getMessage();
}
expect( 'a server by another name is refused, with the reason', true, str_contains( $refuse, 'did not match expected' ) );
try {
	new Database( array( 'password' => 'wrong' ) + $db, 5 );
	expect( 'a wrong password is refused', true, false );
} catch ( mysqli_sql_exception $e ) {
	expect( 'an error does not repeat the password', false, str_contains( $e->getMessage(), 'wrong' ) );
}

// A server that is away: at once without patience, and tried again with it.
$nobody = array( 'writer' => '127.0.0.1:1' ) + $db;
foreach ( array( 0 => false, 1 => true ) as $patience => $waits ) {
	$since = hrtime( true );
	try {
		new Database( $nobody, 5, $patience );
		expect( 'nobody answers at that address', true, false );
	} catch ( mysqli_sql_exception $e ) {
		expect( "with $patience s of patience it tries again", $waits, hrtime( true ) - $since >= 1e9 );
	}
}
