<?php
/**
 * The database drop-in against a writer and a replica that follows it, which change and die.
 * Arguments: mysql or mariadb. Needs apc.enable_cli=1.
 */

declare( strict_types=1 );

require __DIR__ . '/pair.php';
require __DIR__ . '/wordpress-parts.php';

use Platen\Freshness;
use Platen\Replica;
use Platen\SplitDatabase;

/** A new request of the task, in which nothing is remembered; the replica has caught up where it follows. */
function request( bool $split = true, float $patience = 0.5, string $password = '' ): SplitDatabase {
	global $config, $follows;
	if ( $follows ) {
		settle();
	}
	Freshness::reset();
	apcu_clear_cache();
	( new ReflectionProperty( Replica::class, 'answers' ) )->setValue( null, array() );
	$db = new SplitDatabase( $config['user'], $password ?: $config['password'], $config['name'], $config['writer'], $split, $patience );
	$db->suppress_errors();
	return $db;
}

/** Which server a read is answered by: each has another word in this table. */
function who( SplitDatabase $db, string $table = 'wp_who' ): ?string {
	return $db->get_var( "SELECT v FROM $table" );
}

function property( SplitDatabase $db, string $name ): mixed {
	return ( new ReflectionProperty( SplitDatabase::class, "platen_$name" ) )->getValue( $db );
}

/** Connections of the site's user on a server. */
function connections( string $server ): int {
	return (int) sql( $server, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'wordpress'" );
}

// Two servers, one of which follows the other and takes no writes.
expect( 'the servers are there', array( true, true ), array( admin( 'primary' ) instanceof mysqli, admin( 'replica' ) instanceof mysqli ) );
sql( 'replica', 'SET GLOBAL read_only = 1' );
sql(
	'primary',
	'DROP TABLE IF EXISTS wp_platen_changes', // of the site that pages were tested on
	'CREATE TABLE wp_mark (id int PRIMARY KEY, v varchar(20))',
	'CREATE TABLE wp_who (v varchar(20) PRIMARY KEY)',
	'CREATE TABLE wp_other (v varchar(20) PRIMARY KEY)',
	'CREATE TABLE wp_rows (id int AUTO_INCREMENT PRIMARY KEY, v varchar(190))',
	"INSERT INTO wp_who VALUES ('primary')",
	"INSERT INTO wp_other VALUES ('primary')",
	"INSERT INTO wp_rows (v) VALUES ('a'), ('b'), ('c'), ('d'), ('e')"
);
follow();
expect( 'the replica follows', true, caught_up() );
sql( 'replica', 'SET sql_log_bin = 0', "UPDATE wp_who SET v = 'replica'" );
endpoint( 'writer', 'pass' );
endpoint( 'reader', 'pass', 'replica:3306' );

// A visitor's page.
$db = request();
expect( 'a visitor reads from the replica', 'replica', who( $db ) );
expect( 'and opens nothing to the writer', array( 0, 1 ), array( connections( 'primary' ), connections( 'replica' ) ) );
expect( 'it is counted', array( 'reader' => 1, 'writer' => 0 ), $db->queries_by_server() );
expect( 'what was read is noted', array( 'wp_who' ), Freshness::readTables() );
expect( 'without a table of changes it has none of them', 0, Freshness::version() );
expect( 'TLS', true, '' !== property( $db, 'reader' )->ask( "SHOW STATUS LIKE 'Ssl_cipher'" )[0]['Value'] );
expect( 'set up as WordPress wants it', array( 'utf8mb4_unicode_520_ci', 0 ), array_values( property( $db, 'reader' )->ask( "SELECT @@collation_connection, @@sql_mode LIKE '%STRICT_TRANS_TABLES%'" )[0] ) === array( 'utf8mb4_unicode_520_ci', '0' ) ? array( 'utf8mb4_unicode_520_ci', 0 ) : property( $db, 'reader' )->ask( 'SELECT @@collation_connection, @@sql_mode' ) );

expect( 'a logged-in user reads from the writer', 'primary', who( request( false ) ) );

// Read your writes.
$db = request();
expect( 'a write goes to the writer', 1, $db->query( "INSERT INTO wp_rows (v) VALUES ('f')" ) );
expect( 'with its id', 6, $db->insert_id );
expect( 'reads of what was written come from the writer', '6', $db->get_var( 'SELECT MAX(id) FROM wp_rows' ) );
expect( 'also beside others', 'primary', $db->get_var( 'SELECT w.v FROM wp_who w, wp_rows r LIMIT 1' ) );
settle();
expect( 'the rest still from the replica', 'replica', who( $db ) );
expect( 'what was written is noted', array( 'wp_rows' ), Freshness::writtenTables() );
$db->query( 'CREATE TEMPORARY TABLE scratch (v int)' );
$db->query( 'INSERT INTO scratch VALUES (7)' );
expect( 'a temporary table', '7', $db->get_var( 'SELECT v FROM scratch' ) );
$db->query( 'SELECT nonsense( 1 )' ); // may have written anything
expect( 'after what is not understood everything is read from the writer', 'primary', who( $db ) );

// What depends on the connection.
$db = request();
$db->query( 'SELECT SQL_CALC_FOUND_ROWS id FROM wp_rows LIMIT 2' );
expect( 'pagination on the replica', array( '6', array( 'reader' => 2, 'writer' => 0 ) ), array( $db->get_var( 'SELECT FOUND_ROWS()' ), $db->queries_by_server() ) );
$db->query( 'SELECT SQL_CALC_FOUND_ROWS id FROM wp_rows LIMIT 2' );
$db->query( "UPDATE wp_other SET v = 'primary'" );
expect( 'also after a write in between', '6', $db->get_var( 'SELECT FOUND_ROWS()' ) );
$db->query( 'SELECT SQL_CALC_FOUND_ROWS v FROM wp_other LIMIT 1' );
expect( 'and on the writer', '1', $db->get_var( 'SELECT FOUND_ROWS()' ) );
$db->query( 'SELECT v + 1 FROM wp_who' );
expect( 'warnings are of the last statement', true, count( $db->get_results( 'SHOW WARNINGS' ) ) > 0 );

$db = request();
$db->query( 'START TRANSACTION' );
expect( 'in a transaction', 'primary', who( $db ) );
$db->query( "INSERT INTO wp_rows (v) VALUES ('never')" );
$db->query( 'ROLLBACK' );
expect( 'after it', 'replica', who( $db ) );
expect( 'rolled back', '0', $db->get_var( "SELECT COUNT(*) FROM wp_rows WHERE v = 'never'" ) );
$db->query( 'SET @x = 5' );
expect( 'a variable', '5', $db->get_var( 'SELECT @x' ) );
expect( 'settings hold for what comes after', 'primary', who( $db ) );
$db = request();
expect( 'a connection that is handed out', true, $db->dbh instanceof mysqli );
expect( 'is the writer’s, for all', 'primary', who( $db ) );

// Escaping needs no connection, and says what the server's own function says.
$db  = request();
$all = implode( '', array_map( 'chr', range( 0, 255 ) ) ) . "é'\xf0\x9f\x98\x80\\\"\xc3'";
expect( 'escaping without a connection', true, str_contains( $db->_real_escape( "it's" ), "it\\'s" ) && null === property( $db, 'reader' ) );
expect( 'what is escaped arrives', bin2hex( $all ), strtolower( (string) sql( 'primary', "SELECT HEX(_binary'" . $db->remove_placeholder_escape( $db->_real_escape( $all ) ) . "')" ) ) );
expect( 'text that is no ASCII', 1, $db->insert( 'wp_rows', array( 'v' => 'Grüße 😀' ) ) );
expect( 'arrives too', 'Grüße 😀', $db->get_var( $db->prepare( 'SELECT v FROM wp_rows WHERE v = %s', 'Grüße 😀' ) ) );
expect( 'the version', true, version_compare( (string) $db->db_version(), '8', '>' ) );

// What the reader knows of changes.
sql( 'primary', 'CREATE TABLE wp_platen_changes (id bigint PRIMARY KEY)', 'INSERT INTO wp_platen_changes VALUES (7)' );
caught_up();
$db = request();
who( $db );
expect( 'the version of what was read', 7, Freshness::version() );
sql( 'primary', 'DROP TABLE wp_platen_changes' );

// The writer behind the reader endpoint cannot lag: nothing is noted.
endpoint( 'reader', 'pass' );
$db = request();
expect( 'one server for all', array( 'primary', array(), null ), array( who( $db ), Freshness::readTables(), Freshness::version() ) );
expect( 'it is still a reader’s query', array( 'reader' => 1, 'writer' => 0 ), $db->queries_by_server() );
endpoint( 'reader', 'pass', 'replica:3306' );

// Connections end, so that new readers get some.
$db     = request();
$before = who( $db ) . property( $db, 'reader' )->mysqli->thread_id;
$db->query( 'SELECT SQL_CALC_FOUND_ROWS id FROM wp_rows LIMIT 2' );
property( $db, 'reader' )->expires = 0.0;
expect( 'not between two that belong together', '7', $db->get_var( 'SELECT FOUND_ROWS()' ) );
expect( 'another connection', false, who( $db ) . property( $db, 'reader' )->mysqli->thread_id === $before );
expect( 'lasts a minute and up to half of one more', true, property( $db, 'reader' )->expires - microtime( true ) > 58 && property( $db, 'reader' )->expires - microtime( true ) <= 90 );

// Lag. A lock on the replica keeps it from following, as a long transaction does.
leave( 'FLUSH TABLES WITH READ LOCK' );
sql( 'primary', "UPDATE wp_other SET v = 'new'" );
expect( 'who lags gets no reads', true, eventually( static fn() => 'primary' === who( request() ) ) );
sql( 'replica', 'UNLOCK TABLES' );
$follows = true;
expect( 'who has caught up does', 'replica', who( request() ) );
leave( 'STOP REPLICA' );
expect( 'a stopped replica', 'primary', who( request() ) );
follow( 30 );
expect( 'one that is told to stay behind', 'primary', who( request() ) );
follow();
expect( 'follows again', 'replica', who( request() ) );
$db = request();
who( $db );
leave( 'STOP REPLICA' );
expect( 'it is noticed within a request that lasts', true, eventually( static fn() => 'primary' === who( $db ) ) );
follow();
caught_up();
$rights = $mysql ? 'REPLICATION CLIENT' : 'REPLICA MONITOR';
sql( 'replica', "REVOKE $rights ON *.* FROM wordpress@'%'" );
expect( 'who may not be asked gets no reads', 'primary', who( request() ) );
sql( 'replica', "GRANT $rights ON *.* TO wordpress@'%'" );
expect( 'and then some', 'replica', who( request() ) );

// The reader is gone.
endpoint( 'reader', 'refuse' );
expect( 'a dead reader', 'primary', who( request() ) );
endpoint( 'reader', 'pass', 'replica:3306' );
$db = request();
who( $db );
endpoint( 'reader', 'pass', 'replica:3306' ); // cuts
expect( 'a reader that dies under a page', 'primary', who( $db ) );
expect( 'and the task leaves it alone for a moment', 'primary', who( $db ) );
$db = request();
expect( 'a table that the reader does not have yet', '1', ( static function () use ( $db ) {
	who( $db );
	sql( 'replica', 'FLUSH TABLES WITH READ LOCK' );
	sql( 'primary', 'CREATE TABLE wp_new (v int)', 'INSERT INTO wp_new VALUES (1)' );
	$v = $db->get_var( 'SELECT v FROM wp_new' );
	sql( 'replica', 'UNLOCK TABLES' );
	return $v;
} )() );
expect( 'an error of the statement itself stays one', array( false, true ), array( $db->query( 'SELECT FROM' ), '' !== $db->last_error ) );

// The writer is gone.
endpoint( 'writer', 'refuse' );
$db = request();
expect( 'a visitor does not notice', 'replica', who( $db ) );
expect( 'a write fails', false, $db->query( "INSERT INTO wp_rows (v) VALUES ('lost')" ) );
expect( 'clearly', true, str_contains( $db->last_error, 'writer:3306' ) );
expect( 'and fails at once the next time', array( false, true ), array( $db->query( "INSERT INTO wp_rows (v) VALUES ('lost')" ), str_contains( $db->last_error, 'is away' ) ) );
expect( 'what was written would be read from it; there is only the replica now', '7', $db->get_var( 'SELECT COUNT(*) FROM wp_rows' ) );
$db = request( false );
expect( 'a user reads from the replica meanwhile', 'replica', who( $db ) );
expect( 'his writes fail', array( false, true ), array( $db->query( "UPDATE wp_rows SET v = 'x'" ), str_contains( $db->last_error, 'connect to writer:3306' ) ) );
leave( 'STOP REPLICA' );
expect( 'also from one that cannot follow any more', 'replica', who( request() ) );
follow();
endpoint( 'writer', 'pass' );
$wrong = request( false, 0.5, 'wrong' );
expect( 'a password that is none any more', array( false, true ), array( $wrong->query( "INSERT INTO wp_rows (v) VALUES ('x')" ), str_contains( $wrong->last_error, 'start new tasks' ) ) );

// Connections that are cut: a read is repeated, a write never runs twice.
$db = request( false );
who( $db );
sql( 'primary', 'KILL ' . property( $db, 'writer' )->mysqli->thread_id );
expect( 'a read is repeated', array( 'primary', '' ), array( who( $db ), $db->last_error ) );
sql( 'primary', 'KILL ' . property( $db, 'writer' )->mysqli->thread_id );
property( $db, 'writer' )->used = 0.0;
expect( 'a write after a pause first looks whether it is cut', 1, $db->query( "INSERT INTO wp_rows (v) VALUES ('idle')" ) );
endpoint( 'writer', 'deaf', cut: false );
expect( 'a write whose answer is lost', array( false, true ), array( $db->query( "INSERT INTO wp_rows (v) VALUES ('once')" ), str_contains( $db->last_error, 'may or may not' ) ) );
endpoint( 'writer', 'pass' );
expect( 'ran once', array( '1', '1' ), array( sql( 'primary', "SELECT COUNT(*) FROM wp_rows WHERE v = 'once'" ), sql( 'primary', "SELECT COUNT(*) FROM wp_rows WHERE v = 'idle'" ) ) );
expect( 'and the next one goes on', 1, $db->query( "INSERT INTO wp_rows (v) VALUES ('after')" ) );

$db->query( 'START TRANSACTION' );
$db->query( "INSERT INTO wp_rows (v) VALUES ('first half')" );
sql( 'primary', 'KILL ' . property( $db, 'writer' )->mysqli->thread_id );
expect( 'a transaction whose connection is cut', false, $db->query( "INSERT INTO wp_rows (v) VALUES ('second half')" ) );
expect( 'goes on in no other', false, $db->query( "INSERT INTO wp_rows (v) VALUES ('third half')" ) );
expect( 'and cannot be committed', array( false, true ), array( $db->query( 'COMMIT' ), str_contains( $db->last_error, 'rolled back' ) ) );
expect( 'nothing of it is there', '0', sql( 'primary', "SELECT COUNT(*) FROM wp_rows WHERE v LIKE '% half'" ) );
expect( 'then all is as before', 1, $db->query( "INSERT INTO wp_rows (v) VALUES ('after it')" ) );
expect( 'check_connection', true, $db->check_connection( false ) );

// Failover: the writer takes no writes any more, some time later the name leads to another.
caught_up();
$db = request( false, 30 );
$db->query( "INSERT INTO wp_rows (v) VALUES ('before')" );
caught_up();
sql( 'primary', 'SET GLOBAL read_only = 1' );
leave( 'STOP REPLICA', 'SET GLOBAL read_only = 0' );
endpoint( 'writer', 'pass', 'replica:3306', cut: false ); // what is open stays
expect( 'a write that the old writer refuses', 1, $db->query( "INSERT INTO wp_rows (v) VALUES ('moved')" ) );
expect( 'is made by the new one', array( '0', '1' ), array( sql( 'primary', "SELECT COUNT(*) FROM wp_rows WHERE v = 'moved'" ), sql( 'replica', "SELECT COUNT(*) FROM wp_rows WHERE v = 'moved'" ) ) );
endpoint( 'writer', 'pass' );
$db = request( false, 0.3 );
expect( 'a writer that is none is not believed', array( false, true ), array( $db->query( "INSERT INTO wp_rows (v) VALUES ('x')" ), str_contains( $db->last_error, 'it is read-only' ) ) );
$db    = request( false, 30 );
$mover = proc_open( array( PHP_BINARY, '-n', '-r', 'usleep( 900000 ); file_put_contents( "/tmp/proxy/new", json_encode( array( "n" => 9999, "mode" => "pass", "to" => "replica:3306", "cut" => true ) ) ); rename( "/tmp/proxy/new", "/tmp/proxy/3306.json" );' ), array(), $pipes );
expect( 'who must write waits for the new writer', 1, $db->query( "INSERT INTO wp_rows (v) VALUES ('waited')" ) );
proc_close( $mover );
expect( 'and has it written once', '1', sql( 'replica', "SELECT COUNT(*) FROM wp_rows WHERE v = 'waited'" ) );

// Nobody is there.
endpoint( 'writer', 'refuse' );
endpoint( 'reader', 'refuse' );
$db = request();
expect( 'without any server a read fails, with the reason', array( null, true ), array( who( $db ), str_contains( $db->last_error, 'connect to writer:3306' ) ) );
expect( 'the version too', array( '', false ), array( $db->db_server_info(), $db->check_connection( false ) ) );
