<?php
declare( strict_types=1 );

namespace Platen;

/**
 * The right to do something that one task at a time may do. It is a row with an end, by the
 * database's clock, so that a killed holder blocks nobody for longer than that; it needs neither
 * GET_LOCK (which Galera refuses) nor the object cache (which may lose it). When the server is
 * gone every method throws \mysqli_sql_exception, and the lease must be taken as not held.
 */
final class Lease {

	private const NO_SUCH_TABLE = 1146;

	private readonly string $holder;

	/** @param int $seconds how long it holds after take() and renew() */
	public function __construct( private readonly Database $database, private readonly string $name, private readonly int $seconds ) {
		$this->holder = gethostname() . ' ' . bin2hex( random_bytes( 8 ) );
	}

	/** The table of leases, without prefix-less names: it goes where the site's tables go. */
	public static function table(): string {
		return Config::TABLE_PREFIX . 'platen_lease';
	}

	/** Makes the table where it is not. */
	public static function prepare( Database $database ): void {
		$database->run(
			'CREATE TABLE IF NOT EXISTS ' . self::table() . ' (
				name varchar(64) NOT NULL PRIMARY KEY,
				holder varchar(191) NOT NULL DEFAULT "",
				expires bigint NOT NULL DEFAULT 0
			) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci'
		);
	}

	/** True when this object now holds the lease; false when another does. */
	public function take(): bool {
		try {
			$this->database->run( 'INSERT IGNORE INTO ' . self::table() . ' (name) VALUES (?)', array( $this->name ) );
		} catch ( \mysqli_sql_exception $e ) {
			if ( self::NO_SUCH_TABLE !== $e->getCode() ) {
				throw $e;
			}
			self::prepare( $this->database );
			return $this->take();
		}
		return 1 === $this->database->run(
			'UPDATE ' . self::table() . ' SET holder = ?, expires = UNIX_TIMESTAMP() + ? WHERE name = ? AND expires < UNIX_TIMESTAMP()',
			array( $this->holder, $this->seconds, $this->name )
		);
	}

	/** Holds it for longer. False when it ran out and another took it: stop then. */
	public function renew(): bool {
		return 1 === $this->database->run(
			'UPDATE ' . self::table() . ' SET expires = UNIX_TIMESTAMP() + ? WHERE name = ? AND holder = ?',
			array( $this->seconds, $this->name, $this->holder )
		);
	}

	/** Gives it back; does nothing when it is another's by now. */
	public function release(): void {
		$this->database->run(
			'UPDATE ' . self::table() . ' SET expires = 0, holder = "" WHERE name = ? AND holder = ?',
			array( $this->name, $this->holder )
		);
	}
}
