<?php
declare( strict_types=1 );

namespace Platen;

/**
 * The log of what changed on the site: a row a change, with the tags of the pages that it touches.
 * Agents follow it and drop those pages; whoever reads from a reader asks it how far that is.
 *
 * Ids are dense and in the order of commits, so "all up to N" has one meaning on every server that
 * replicates the log. One statement takes the largest committed id and inserts the next. Of two at
 * once, both may take the same: then one commits it, and the other waits for that row, fails
 * (duplicate key, or deadlock, since INSERT … SELECT locks what it reads) and tries again. N+1 is
 * never taken before N is committed, since an id that is not committed is not seen. An
 * auto-increment would give ids out at the beginning and commit them in any order.
 *
 * When the database is gone the methods throw \mysqli_sql_exception.
 */
final class Changes {

	/** Stands for every page. */
	public const ALL = 'all';
	/** Bytes of the tags of one change; a change that touches more touches all. */
	public const LONGEST = 8000;
	/** The stream in the object cache that tells agents to look now. It may be lost: they look every second. */
	public const HINTS = '{p}:changes';

	private const NO_SUCH_TABLE = 1146;
	// Duplicate key, lock wait, deadlock (also how Galera says that another node was first).
	private const LOST_RACE = array( 1062, 1205, 1213 );
	private const TRIES     = 50;
	private const KEEP_ROWS = 10_000;
	private const KEEP_DAYS = 2;

	public function __construct( private readonly Database $database ) {
	}

	public static function table(): string {
		return Config::TABLE_PREFIX . 'platen_changes';
	}

	/**
	 * Writes a change and returns its id. Call it when what changed is committed: an agent that sees
	 * the change takes each page that is rendered from then on to be new.
	 *
	 * @param list<string> $tags
	 */
	public function write( array $tags ): int {
		$text = implode( ' ', $tags );
		if ( strlen( $text ) > self::LONGEST ) {
			$text = self::ALL;
		}
		$table = self::table();
		for ( $try = 1; true; ++$try ) {
			try {
				$this->database->run(
					"INSERT INTO $table (id, tags, at) SELECT LAST_INSERT_ID(COALESCE(MAX(id), 0) + 1), ?, UNIX_TIMESTAMP() FROM $table",
					array( $text )
				);
				break;
			} catch ( \mysqli_sql_exception $e ) {
				if ( self::NO_SUCH_TABLE === $e->getCode() && 1 === $try ) {
					$this->prepare();
				} elseif ( $try >= self::TRIES || ! in_array( $e->getCode(), self::LOST_RACE, true ) ) {
					throw $e;
				} else {
					usleep( random_int( 500, 5000 ) );
				}
			}
		}
		$id = (int) $this->database->run( 'SELECT LAST_INSERT_ID() AS id' )[0]['id'];
		if ( 0 === $id % 100 ) {
			$this->prune( $id );
		}
		return $id;
	}

	/**
	 * The changes after $since, oldest first, as many as fit into $bytes; null when the log does not
	 * reach back to it, or is another one. A log that was never written is empty.
	 *
	 * @param bool $behind whether the server may lag: then a log that ends before $since is no other one
	 * @return list<array{id: int, tags: string}>|null
	 */
	public function since( int $since, bool $behind = false, int $bytes = 40_000 ): ?array {
		$rows = $this->select( 'SELECT id, tags FROM ' . self::table() . ' WHERE id > ? ORDER BY id LIMIT 500', array( $since ) );
		if ( array() === $rows ) {
			return $since > 0 && ! $behind && $this->last() < $since ? null : array();
		}
		if ( (int) $rows[0]['id'] !== $since + 1 ) {
			return null;
		}
		$changes = array();
		foreach ( $rows as $row ) {
			$bytes -= strlen( $row['tags'] ) + 30;
			if ( array() !== $changes && $bytes < 0 ) {
				break;
			}
			$changes[] = array( 'id' => (int) $row['id'], 'tags' => $row['tags'] );
		}
		return $changes;
	}

	/** The id of the newest change; 0 when there is none. */
	public function last(): int {
		return (int) ( $this->select( 'SELECT MAX(id) AS id FROM ' . self::table() )[0]['id'] ?? 0 );
	}

	/** Makes the table where it is not. */
	public function prepare(): void {
		$this->database->run(
			'CREATE TABLE IF NOT EXISTS ' . self::table() . ' (
				id bigint NOT NULL PRIMARY KEY,
				tags text NOT NULL,
				at bigint NOT NULL
			) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin'
		);
	}

	/** Forgets old rows, never the newest: ids would begin again. The primary key finds both. */
	private function prune( int $last ): void {
		try {
			$this->database->run(
				'DELETE FROM ' . self::table() . ' WHERE id < ? OR (id < ? AND at < UNIX_TIMESTAMP() - ?) ORDER BY id LIMIT 2000',
				array( $last - self::KEEP_ROWS, $last, self::KEEP_DAYS * 86400 )
			);
		} catch ( \mysqli_sql_exception $e ) {
			error_log( 'platen: prune the log of changes: ' . $e->getMessage() ); // the next hundredth tries again
		}
	}

	/**
	 * @param list<int|string> $values
	 * @return list<array<string, mixed>>
	 */
	private function select( string $sql, array $values = array() ): array {
		try {
			return $this->database->run( $sql, $values );
		} catch ( \mysqli_sql_exception $e ) {
			if ( self::NO_SUCH_TABLE === $e->getCode() ) {
				return array();
			}
			throw $e;
		}
	}
}
