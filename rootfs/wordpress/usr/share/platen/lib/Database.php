<?php
declare( strict_types=1 );

namespace Platen;

/**
 * A connection to the writer for what must work without WordPress: probes and leases. TLS is
 * verified, and every wait has an end. When the server is gone each method throws
 * \mysqli_sql_exception; WordPress' own connection is not affected.
 */
final class Database {

	private readonly \mysqli $link;

	// No connection, none any more, or none that greets: what an endpoint answers while its node changes.
	private const AWAY = array( 2002, 2003, 2006, 2013 );

	/**
	 * @param array{writer: string, name: string, user: string, password: string} $db
	 * @param int $timeout seconds to connect, and to wait for an answer
	 * @param int $patience seconds in which it tries again while the server is away
	 */
	public function __construct( array $db, int $timeout, int $patience = 0 ) {
		$until = microtime( true ) + $patience;
		while ( true ) {
			try {
				$this->link = self::open( $db, $db['writer'], $timeout, $timeout, MYSQLI_CLIENT_FOUND_ROWS );
				$this->link->options( MYSQLI_OPT_INT_AND_FLOAT_NATIVE, 1 ); // as prepared statements answer
				return;
			} catch ( \mysqli_sql_exception $e ) {
				if ( ! in_array( $e->getCode(), self::AWAY, true ) || microtime( true ) >= $until ) {
					throw $e;
				}
				usleep( 200_000 );
			}
		}
	}

	/**
	 * Opens one connection, whose certificate is checked. When there is no server, or it refuses, it
	 * throws \mysqli_sql_exception with the reason; never the password.
	 *
	 * @param array{name: string, user: string, password: string} $db
	 * @param string   $address host:port; resolved anew each time
	 * @param int      $connect seconds to connect
	 * @param int|null $read    seconds to wait for an answer, also for the greeting; null: as php.ini says
	 * @param int      $flags   of the client, beside those of TLS
	 * @param string   $init    statement that runs before all others
	 */
	public static function open( array $db, string $address, int $connect, ?int $read, int $flags = 0, string $init = '' ): \mysqli {
		mysqli_report( MYSQLI_REPORT_OFF ); // as WordPress sets it, for the whole process: failures are checked here
		$colon = (int) strrpos( $address, ':' );
		$link  = mysqli_init();
		$link->options( MYSQLI_OPT_CONNECT_TIMEOUT, $connect );
		if ( null !== $read ) {
			$link->options( MYSQLI_OPT_READ_TIMEOUT, $read );
		}
		if ( '' !== $init ) {
			$link->options( MYSQLI_SET_CHARSET_NAME, 'utf8mb4' );
			$link->options( MYSQLI_INIT_COMMAND, $init );
		}
		$ca = Config::values()['db']['ca'];
		if ( '' !== $ca ) {
			// Only the authorities of the database: OpenSSL reads the whole file for each connection.
			$link->ssl_set( null, null, $ca, null, null );
		}
		$warned = null;
		set_error_handler(
			static function ( int $level, string $message ) use ( &$warned ): bool {
				$warned ??= $message; // names the certificate's fault, of which mysqli says nothing
				return true;
			}
		);
		try {
			$ok = $link->real_connect(
				substr( $address, 0, $colon ),
				$db['user'],
				$db['password'],
				$db['name'],
				(int) substr( $address, $colon + 1 ),
				null,
				Config::mysqlFlags() | $flags
			);
		} finally {
			restore_error_handler();
		}
		if ( ! $ok ) {
			throw new \mysqli_sql_exception( "connect to {$address}: " . ( $warned ?? $link->connect_error ?? '' ), $link->connect_errno );
		}
		return $link;
	}

	/**
	 * Runs one statement with its values bound. Without values it is not prepared: MySQL prepares no
	 * START TRANSACTION.
	 *
	 * @param list<int|string> $values
	 * @return list<array<string, mixed>>|int rows of a query, or how many rows a change matched
	 */
	public function run( string $sql, array $values = array() ): array|int {
		if ( array() === $values ) {
			$result = $this->link->query( $sql );
			if ( false === $result ) {
				throw new \mysqli_sql_exception( $this->link->error, $this->link->errno );
			}
			return $result instanceof \mysqli_result ? $result->fetch_all( MYSQLI_ASSOC ) : (int) $this->link->affected_rows;
		}
		$statement = $this->link->prepare( $sql );
		if ( false === $statement ) {
			throw new \mysqli_sql_exception( $this->link->error, $this->link->errno );
		}
		if ( ! $statement->execute( $values ) ) {
			throw new \mysqli_sql_exception( $statement->error, $statement->errno );
		}
		$result = $statement->get_result();
		return $result instanceof \mysqli_result ? $result->fetch_all( MYSQLI_ASSOC ) : (int) $statement->affected_rows;
	}
}
