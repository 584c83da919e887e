<?php
/** The log of changes against a real database: dense ids in the order of commits, also of many writers at once. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
foreach ( array( 'Config', 'Database', 'Changes' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Changes;
use Platen\Config;
use Platen\Database;

$table = Changes::table();

function database(): Database {
	return new Database( Config::values()['db'], 30 );
}

// A writer among many: told by its argument, it writes and says which ids it got, while it looks at
// the log from a second connection: whoever sees an id sees all before it.
if ( isset( $argv[1] ) ) {
	$log   = new Changes( database() );
	$other = database();
	for ( $i = 0; $i < 25; ++$i ) {
		$id   = $log->write( array( "writer-$argv[1]", "n-$i" ) );
		$seen = $other->run( "SELECT COUNT(*) AS n, MAX(id) AS last FROM $table" )[0];
		echo "$id ", $seen['n'] === $seen['last'] && $seen['last'] >= $id ? 'dense' : "{$seen['n']} of {$seen['last']}", "\n";
	}
	exit;
}

$database = database();
$database->run( "DROP TABLE IF EXISTS $table" );
$log = new Changes( $database );

expect( 'a log that was never written is empty', array( 0, array(), null ), array( $log->last(), $log->since( 0 ), $log->since( 3 ) ) );
expect( 'nor does that make a table', array(), $database->run( "SHOW TABLES LIKE '$table'" ) );
expect( 'ids begin at 1, and the table is made', array( 1, 2 ), array( $log->write( array( 'post-1', 'list-post' ) ), $log->write( array( 'all' ) ) ) );
expect( 'changes after one', array( array( 'id' => 2, 'tags' => 'all' ) ), $log->since( 1 ) );
expect( 'all changes', array( 'post-1 list-post', 'all' ), array_column( $log->since( 0 ), 'tags' ) );
expect( 'no news', array(), $log->since( 2 ) );
expect( 'a log that ends before what is known is another one', null, $log->since( 3 ) );
expect( 'unless its server lags', array(), $log->since( 3, true ) );
expect( 'what touches too much touches all', 'all', $log->since( $log->write( array_fill( 0, 1000, 'post-123456' ) ) - 1 )[0]['tags'] );
for ( $i = 0; $i < 3; ++$i ) {
	$log->write( array( str_repeat( 'x', 100 ) ) );
}
expect( 'an answer is bounded, and begins with the oldest', array( 4, 5 ), array_column( $log->since( 3, false, 290 ), 'id' ) );
expect( 'but is never empty', array( 4 ), array_column( $log->since( 3, false, 1 ), 'id' ) );

// Eight writers at once.
$database->run( "DELETE FROM $table WHERE id > 1" );
$writers = array();
for ( $i = 0; $i < 8; ++$i ) {
	$writers[] = proc_open( array( PHP_BINARY, '-c', (string) php_ini_loaded_file(), __FILE__, (string) $i ), array( 1 => array( 'pipe', 'w' ), 2 => STDERR ), $pipes );
	$outputs[] = $pipes[1];
}
$lines = explode( "\n", trim( implode( '', array_map( 'stream_get_contents', $outputs ) ) ) );
array_map( 'proc_close', $writers );
$ids = array_map( 'intval', $lines );
sort( $ids );
expect( 'many at once get all numbers, each once', range( 2, 201 ), $ids );
expect( 'whoever sees one sees all before it', array(), array_values( array_filter( $lines, static fn( string $line ) => ! str_ends_with( $line, ' dense' ) ) ) );

// Old rows go, the newest stays.
$database->run( "UPDATE $table SET at = 0" );
$database->run( "DELETE FROM $table WHERE id > 199" );
expect( 'the hundredth', 200, $log->write( array( 'x' ) ) );
expect( 'forgets what is old', array( 200 ), array_column( $database->run( "SELECT id FROM $table" ), 'id' ) );
expect( 'who knew less begins anew', null, $log->since( 150 ) );
expect( 'who knew the one before goes on', array( 200 ), array_column( $log->since( 199 ), 'id' ) );
$database->run( "UPDATE $table SET at = 0" );
expect( 'the newest stays, however old', 201, $log->write( array( 'y' ) ) );
