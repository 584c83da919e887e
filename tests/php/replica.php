<?php
/**
 * What a reader's lag is, from what servers answer. Aurora's answers are as AWS documents them, and
 * Galera's as its manual does: those of plain replication are tested against real servers.
 */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
foreach ( array( 'Config', 'Freshness', 'Replica', 'Database', 'Link', 'Sql' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}
require __DIR__ . '/wordpress-parts.php';

use Platen\Replica;
use Platen\SplitDatabase;

/** A server that answers by the beginning of the question; everything else is denied. */
function lag( array $answers, bool $read_only = true, ?array &$asked = null ): ?int {
	$asked = array();
	$ask   = static function ( string $sql ) use ( $answers, &$asked ): array|int {
		$asked[] = $sql;
		foreach ( $answers as $beginning => $answer ) {
			if ( str_contains( $sql, $beginning ) ) {
				return $answer;
			}
		}
		return 1142;
	};
	ini_set( 'error_log', '/dev/null' );
	return ( new Replica( 'r' . random_int( 1, PHP_INT_MAX ), $read_only, $ask ) )->lag();
}

function variables( array $values ): array {
	return array_map( static fn( $name, $value ) => array( 'Variable_name' => $name, 'Value' => $value ), array_keys( $values ), $values );
}

$aurora = variables( array( 'aurora_version' => '3.08.0', 'aurora_server_id' => 'blog-prod-2', 'innodb_read_only' => 'ON', 'wsrep_on' => 'OFF' ) );
$writer = variables( array( 'aurora_version' => '3.08.0', 'aurora_server_id' => 'blog-prod-1', 'innodb_read_only' => 'OFF' ) );
expect( 'Aurora says milliseconds', 18, lag( array( 'VARIABLES' => $aurora, 'mysql.ro_replica_status' => array( array( 'lag' => '17.6' ) ) ), asked: $asked ) );
expect( 'of this server', true, str_contains( $asked[1], "'blog-prod-2'" ) );
expect( 'or where everybody may ask', 25, lag( array( 'VARIABLES' => $aurora, 'information_schema.replica_host_status' => array( array( 'lag' => '25' ) ) ) ) );
expect( 'nobody may', Replica::NEVER, lag( array( 'VARIABLES' => $aurora ) ) );
expect( 'it is not in the list', Replica::NEVER, lag( array( 'VARIABLES' => $aurora, 'mysql.ro_replica_status' => array() ) ) );
expect( 'a cluster without readers', null, lag( array( 'VARIABLES' => $writer ), false ) );

$galera = variables( array( 'wsrep_on' => 'ON', 'wsrep_cluster_address' => 'gcomm://db-1,db-2', 'innodb_read_only' => 'OFF' ) );
foreach ( array(
	'synced'          => array( 'ON', '4', '0', 0 ),
	'a donor'         => array( 'ON', '2', '3', 0 ),
	'joining'         => array( 'ON', '1', '0', Replica::NEVER ),
	'without quorum'  => array( 'OFF', '0', '0', Replica::NEVER ),
	'with a backlog'  => array( 'ON', '4', '400', Replica::NEVER ),
) as $what => list( $ready, $state, $queue, $want ) ) {
	$status = variables( array( 'wsrep_ready' => $ready, 'wsrep_local_state' => $state, 'wsrep_local_recv_queue' => $queue ) );
	expect( "Galera, $what", $want, lag( array( 'VARIABLES' => $galera, 'STATUS' => $status ), false ) );
}

$plain = variables( array( 'innodb_read_only' => 'OFF', 'wsrep_on' => 'OFF', 'wsrep_cluster_address' => '' ) );
expect( 'the writer itself', null, lag( array( 'VARIABLES' => $plain, 'SHOW REPLICA STATUS' => array() ), false ) );
expect( 'read-only, and follows nobody', Replica::NEVER, lag( array( 'VARIABLES' => $plain, 'SHOW REPLICA STATUS' => array() ) ) );
expect( 'below a second', 999, lag( array( 'VARIABLES' => $plain, 'SHOW REPLICA STATUS' => array( array( 'Seconds_Behind_Source' => '0' ) ) ) ) );
expect( 'in older words', 2999, lag( array( 'VARIABLES' => $plain, 'SHOW REPLICA STATUS' => 1064, 'SHOW SLAVE STATUS' => array( array( 'Seconds_Behind_Master' => '2' ) ) ) ) );
expect( 'of two sources the later', 5999, lag( array( 'VARIABLES' => $plain, 'SHOW REPLICA STATUS' => array( array( 'Seconds_Behind_Master' => '5' ), array( 'Seconds_Behind_Master' => '0' ) ) ) ) );
expect( 'stopped', Replica::NEVER, lag( array( 'VARIABLES' => $plain, 'SHOW REPLICA STATUS' => array( array( 'Seconds_Behind_Source' => null ) ) ) ) );
expect( 'nobody may ask', Replica::NEVER, lag( array( 'VARIABLES' => $plain, 'SHOW REPLICA STATUS' => 1227 ) ) );
expect( 'no answer at all', Replica::NEVER, lag( array() ) );

// Asked once a second.
$n      = 0;
$server = new Replica( 'once', true, static function ( string $sql ) use ( &$n, $plain ): array {
	++$n;
	return str_contains( $sql, 'VARIABLES' ) ? $plain : array( array( 'Seconds_Behind_Source' => '0' ) );
} );
$since  = microtime( true );
for ( $i = 0; $i < 50; $i++ ) {
	$server->lag();
}
expect( 'fifty questions a second are one', true, $n <= 2 * (int) ceil( microtime( true ) - $since + 0.001 ) );

// Which requests may read from readers.
$page  = ABSPATH . 'index.php';
$ajax  = ABSPATH . 'wp-admin/admin-ajax.php';
$asked = static fn( string $method, string $script, array $cookies = array(), array $server = array(), string $sapi = 'fpm-fcgi' )
	=> SplitDatabase::mayReadFromReaders( array( 'REQUEST_METHOD' => $method ) + $server, $cookies, $script, $sapi );
foreach ( array(
	'a page'                         => array( true, $asked( 'GET', $page ) ),
	'its headers'                    => array( true, $asked( 'HEAD', $page ) ),
	'AJAX'                           => array( true, $asked( 'GET', $ajax ) ),
	'other cookies'                  => array( true, $asked( 'GET', $page, array( 'comment_author_x' => 'a', 'wp-settings-1' => 'b' ) ) ),
	'a form'                         => array( false, $asked( 'POST', $page ) ),
	'AJAX that writes'               => array( false, $asked( 'POST', $ajax ) ),
	'wp-admin'                       => array( false, $asked( 'GET', ABSPATH . 'wp-admin/index.php' ) ),
	'login'                          => array( false, $asked( 'GET', ABSPATH . 'wp-login.php' ) ),
	'cron'                           => array( false, $asked( 'GET', '/usr/share/platen/agent/cron.php' ) ),
	'a command line'                 => array( false, $asked( 'GET', $page, array(), array(), 'cli' ) ),
	'a user'                         => array( false, $asked( 'GET', $page, array( 'wordpress_logged_in_0f1e' => 'x' ) ) ),
	'who has just written'           => array( false, $asked( 'GET', $page, array( 'platen_wrote' => '1' ) ) ),
	'an application’s password'      => array( false, $asked( 'GET', $page, array(), array( 'HTTP_AUTHORIZATION' => 'Basic x' ) ) ),
	'the same, as PHP unpacks it'    => array( false, $asked( 'GET', $page, array(), array( 'PHP_AUTH_USER' => 'x' ) ) ),
	'no request at all'              => array( false, SplitDatabase::mayReadFromReaders( array(), array(), $page, 'fpm-fcgi' ) ),
) as $what => list( $want, $got ) ) {
	expect( "may read from readers: $what", $want, $got );
}
define( 'DOING_CRON', true );
expect( 'may read from readers: cron by another way', false, $asked( 'GET', $page ) );
