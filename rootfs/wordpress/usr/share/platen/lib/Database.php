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
		mysqli_report( MYSQLI_REPORT_OFF ); // as WordPress sets it, for the whole process: failures are checked here
		$until = microtime( true ) + $patience;
		while ( true ) {
			try {
				$this->link = self::connect( $db, $timeout );
				return;
			} catch ( \mysqli_sql_exception $e ) {
				if ( ! in_array( $e->getCode(), self::AWAY, true ) || microtime( true ) >= $until ) {
					throw $e;
				}
				usleep( 200_000 );
			}
		}
	}

	/** @param array{writer: string, name: string, user: string, password: string} $db */
	private static function connect( array $db, int $timeout ): \mysqli {
		$colon = (int) strrpos( $db['writer'], ':' );
		$link  = mysqli_init();
		$link->options( MYSQLI_OPT_CONNECT_TIMEOUT, $timeout );
		$link->options( MYSQLI_OPT_READ_TIMEOUT, $timeout );
		$warned = null;
		set_error_handler(
			static function ( int $level, string $message ) use ( &$warned ): bool {
				$warned ??= $message; // names the certificate's fault, of which mysqli says nothing
				return true;
			}
		);
		try {
			$ok = $link->real_connect(
				substr( $db['writer'], 0, $colon ),
				$db['user'],
				$db['password'],
				$db['name'],
				(int) substr( $db['writer'], $colon + 1 ),
				null,
				Config::mysqlFlags() | MYSQLI_CLIENT_FOUND_ROWS
			);
		} finally {
			restore_error_handler();
		}
		if ( ! $ok ) {
			throw new \mysqli_sql_exception( "connect to {$db['writer']}: " . ( $warned ?? $link->connect_error ?? '' ), $link->connect_errno );
		}
		return $link;
	}

	/**
	 * Runs one statement with its values bound.
	 *
	 * @param list<int|string> $values
	 * @return list<array<string, mixed>>|int rows of a query, or how many rows a change matched
	 */
	public function run( string $sql, array $values = array() ): array|int {
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
