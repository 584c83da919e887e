<?php
/**
 * A writer and a replica for a test: mysql or mariadb, at primary:3306 and replica:3306. The names
 * writer and reader are proxies in this container, whose servers change and die.
 */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
foreach ( array( 'Config', 'Database' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;

mysqli_report( MYSQLI_REPORT_OFF );
$mysql  = 'mysql' === $argv[1];
$folder = '/tmp/proxy';
$config = Config::values()['db'];
mkdir( $folder );
$proxies = array();
foreach ( array( 3306, 3307 ) as $port ) {
	$proxies[] = proc_open( array( PHP_BINARY, '-n', __DIR__ . '/proxy.php', (string) $port, $folder ), array(), $pipes );
}
register_shutdown_function(
	static function () use ( $proxies ): void {
		array_map( 'proc_terminate', $proxies );
	}
);

/** Polls until a condition holds; ends the test when it does not for a minute: the rest would wait too. */
function eventually( callable $holds ): bool {
	for ( $until = microtime( true ) + 60; microtime( true ) < $until; usleep( 20_000 ) ) {
		if ( $holds() ) {
			return true;
		}
	}
	expect( 'what was waited for in line ' . debug_backtrace()[0]['line'], true, false );
	exit( 1 );
}

/** Tells a proxy what to do and returns when it does. */
function endpoint( string $name, string $mode, string $to = 'primary:3306', bool $cut = true ): void {
	static $n = 0;
	$port = 'writer' === $name ? 3306 : 3307;
	++$n;
	file_put_contents( "/tmp/proxy/$port.new", json_encode( array( 'n' => $n ) + compact( 'mode', 'to', 'cut' ) ) );
	rename( "/tmp/proxy/$port.new", "/tmp/proxy/$port.json" );
	eventually( static fn() => (string) $n === @file_get_contents( "/tmp/proxy/$port.done" ) );
}

/** Whoever may do all, on one of the servers. */
function admin( string $server ): mysqli {
	static $links = array();
	if ( ! isset( $links[ $server ] ) ) {
		$password = Config::values()['db']['password'];
		eventually(
			static function () use ( &$links, $server, $password ): bool {
				try {
					$links[ $server ] = Platen\Database::open( array( 'user' => 'admin', 'password' => $password, 'name' => 'wordpress' ), "$server:3306", 5, 60, 0, "SET NAMES 'utf8mb4'" );
					return true;
				} catch ( mysqli_sql_exception ) {
					return false;
				}
			}
		);
	}
	return $links[ $server ];
}

function sql( string $server, string ...$statements ): mixed {
	foreach ( $statements as $statement ) {
		$result = admin( $server )->query( $statement );
		if ( false === $result ) {
			throw new RuntimeException( "$server: $statement: " . admin( $server )->error );
		}
	}
	return $result instanceof mysqli_result ? ( $result->fetch_row()[0] ?? null ) : $result;
}

function follow( int $delay = 0 ): void {
	global $mysql, $config, $follows;
	$follows  = 0 === $delay;
	$password = substr( $config['password'], 0, 32 );
	sql(
		'replica',
		'STOP REPLICA',
		$mysql
			? "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'primary', SOURCE_USER = 'follower', SOURCE_PASSWORD = '$password', SOURCE_SSL = 1, SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_DELAY = " . $delay
			: "CHANGE MASTER TO MASTER_HOST = 'primary', MASTER_USER = 'follower', MASTER_PASSWORD = '$password', MASTER_SSL = 1, MASTER_SSL_VERIFY_SERVER_CERT = 0, MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = " . $delay,
		'START REPLICA'
	);
}

/** The replica does not follow any more, or is about not to. */
function leave( string ...$statements ): void {
	$GLOBALS['follows'] = false;
	sql( 'replica', ...$statements );
}

/** The replica has what the primary has. */
function caught_up(): bool {
	sql( 'primary', "REPLACE INTO wp_mark VALUES (1, '" . ( $mark = bin2hex( random_bytes( 4 ) ) ) . "')" );
	return eventually(
		static function () use ( $mark ): bool {
			$result = admin( 'replica' )->query( 'SELECT v FROM wp_mark WHERE id = 1' ); // not there yet, maybe
			return $result instanceof mysqli_result && ( $result->fetch_row()[0] ?? null ) === $mark;
		}
	);
}

/** The replica has nothing left to do, and says so: whole seconds are cut off from clocks that go on. */
function settle(): void {
	caught_up();
	$zero = 0;
	eventually(
		static function () use ( &$zero ): bool {
			$status = admin( 'replica' )->query( 'SHOW REPLICA STATUS' )->fetch_assoc();
			$zero   = '0' === ( $status['Seconds_Behind_Source'] ?? $status['Seconds_Behind_Master'] ?? null ) ? $zero + 1 : 0;
			return $zero >= 3;
		}
	);
}
