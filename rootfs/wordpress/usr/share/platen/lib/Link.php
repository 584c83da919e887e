<?php
declare( strict_types=1 );

namespace Platen;

/** One connection to a database server, with what that server says of itself. */
final class Link {

	/** When it was last used, microtime. */
	public float $used;

	private function __construct(
		public readonly \mysqli $mysqli,
		public readonly string $server,   // host name and port that the server knows itself by
		public readonly bool $readOnly,   // it takes no writes
		public readonly ?int $version,    // the last change that it has; null when that was not asked
		public float $expires             // microtime after which another should be made
	) {
		$this->used = microtime( true );
	}

	/**
	 * Opens a connection and asks the server what it is, in one question. Without a server, or when
	 * it answers no questions, it throws \mysqli_sql_exception.
	 *
	 * @param array{name: string, user: string, password: string} $db
	 * @param string|null $changes table whose highest id is wanted too; a missing one is version 0
	 * @param float       $age     seconds after which it should make room for another
	 */
	public static function open( array $db, string $address, int $connect, ?int $read, string $init, ?string $changes, float $age ): self {
		$mysqli = Database::open( $db, $address, $connect, $read, 0, $init );
		$sql    = "SELECT CONCAT(@@hostname, ':', @@port) AS server, @@read_only AS r, @@innodb_read_only AS i";
		$result = null === $changes ? false : $mysqli->query( "$sql, (SELECT MAX(id) FROM $changes) AS version" );
		if ( false === $result && ( null === $changes || 1146 === $mysqli->errno ) ) {
			$result = $mysqli->query( $sql );
		}
		$row = $result instanceof \mysqli_result ? $result->fetch_assoc() : null;
		if ( ! is_array( $row ) ) {
			$error = new \mysqli_sql_exception( "ask $address what it is: {$mysqli->error}", $mysqli->errno );
			$mysqli->close();
			throw $error;
		}
		$readOnly = array_filter( array( $row['r'], $row['i'] ), static fn( $value ) => ! in_array( strtoupper( (string) $value ), array( '0', 'OFF' ), true ) );
		return new self(
			$mysqli,
			(string) $row['server'],
			array() !== $readOnly,
			null === $changes ? null : (int) ( $row['version'] ?? 0 ),
			microtime( true ) + $age
		);
	}

	/** Runs a statement: the rows, or the error's number. For questions of our own. */
	public function ask( string $sql ): array|int {
		$result = $this->mysqli->query( $sql );
		return $result instanceof \mysqli_result ? $result->fetch_all( MYSQLI_ASSOC ) : $this->mysqli->errno;
	}

	/** Whether the server still answers on it. */
	public function alive(): bool {
		$this->used = microtime( true );
		return false !== $this->mysqli->query( 'DO 1' );
	}
}
