<?php
declare( strict_types=1 );

namespace Platen;

/**
 * What a server behind the reader endpoint is, and how far it is behind the writer. Asked at most
 * once a second a task: one process asks, the others take its answer (APCu).
 *
 * Whoever cannot say its lag has an infinite one: it gets no reads. Nothing here throws.
 */
final class Replica {

	/** Lag in ms of a server that is not known to follow, or to follow at all. */
	public const NEVER = PHP_INT_MAX;

	private const FRESH = 1.0; // seconds that an answer holds
	private const STALE = 2.0; // seconds that it still holds while another process asks
	private const QUEUE = 16;  // write sets that a Galera node may have to apply yet

	/** @var array<string, array{float, ?int}> answers of this process: time, lag */
	private static array $answers = array();

	/**
	 * @param string                                             $name     of the server, unique behind the endpoint
	 * @param bool                                               $readOnly as it says of itself
	 * @param callable(string): (list<array<string, mixed>>|int) $ask      runs a statement there: rows, or the error's number
	 */
	public function __construct( private readonly string $name, private readonly bool $readOnly, private readonly mixed $ask ) {
	}

	/**
	 * Milliseconds behind the writer; NEVER when that is not known. Null: it is the writer, or there
	 * is none beside it: it cannot lag.
	 */
	public function lag(): ?int {
		$known = $this->known();
		if ( null !== $known && microtime( true ) - $known[0] < self::FRESH ) {
			return $known[1];
		}
		$shared = function_exists( 'apcu_enabled' ) && apcu_enabled();
		if ( $shared && null !== $known && microtime( true ) - $known[0] < self::STALE && ! apcu_add( $this->key( 'asking' ), true, 2 ) ) {
			return $known[1]; // another process is asking
		}
		$answer = array( microtime( true ), $this->measure() );
		if ( $shared ) {
			apcu_store( $this->key( 'lag' ), $answer, 60 );
			apcu_delete( $this->key( 'asking' ) );
		}
		self::$answers[ $this->name ] = $answer;
		return $answer[1];
	}

	/** Asks now. */
	public function measure(): ?int {
		$variables = $this->pairs(
			"SHOW GLOBAL VARIABLES WHERE Variable_name IN ('aurora_version', 'aurora_server_id', 'innodb_read_only', 'wsrep_on', 'wsrep_cluster_address')"
		);
		if ( null === $variables ) {
			return self::NEVER;
		}
		if ( isset( $variables['aurora_version'] ) ) {
			return $this->aurora( $variables );
		}
		if ( 'ON' === strtoupper( $variables['wsrep_on'] ?? '' ) && '' !== ( $variables['wsrep_cluster_address'] ?? '' ) ) {
			return $this->galera();
		}
		return $this->replication();
	}

	/**
	 * Aurora's replicas share the writer's storage; the writer notes how far each of them is.
	 *
	 * @param array<string, string> $variables
	 */
	private function aurora( array $variables ): ?int {
		if ( 'OFF' === strtoupper( $variables['innodb_read_only'] ?? '' ) ) {
			return null; // the reader endpoint of a cluster without readers leads to the writer
		}
		$server = preg_replace( '~[^A-Za-z0-9-]~', '', $variables['aurora_server_id'] ?? '' );
		$rows   = ( $this->ask )( "SELECT Replica_lag_in_msec AS lag FROM mysql.ro_replica_status WHERE Server_id = '$server'" );
		if ( is_int( $rows ) ) { // older, and open to everybody
			$rows = ( $this->ask )( "SELECT REPLICA_LAG_IN_MILLISECONDS AS lag FROM information_schema.replica_host_status WHERE SERVER_ID = '$server'" );
		}
		if ( is_int( $rows ) ) {
			return $this->unknown( "read mysql.ro_replica_status: error $rows; grant SELECT on it to the site's user" );
		}
		return is_numeric( $rows[0]['lag'] ?? null ) ? (int) ceil( (float) $rows[0]['lag'] ) : self::NEVER;
	}

	/** A node has what was committed elsewhere before it answers the commit; it applies it a moment later. */
	private function galera(): int {
		$status = $this->pairs( "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_local_state', 'wsrep_local_recv_queue')" );
		$synced = null !== $status
			&& 'ON' === strtoupper( $status['wsrep_ready'] ?? '' )
			&& in_array( (int) ( $status['wsrep_local_state'] ?? 0 ), array( 2, 4 ), true ) // donor, synced
			&& (int) ( $status['wsrep_local_recv_queue'] ?? self::NEVER ) <= self::QUEUE;
		return $synced ? 0 : self::NEVER;
	}

	private function replication(): ?int {
		$rows = ( $this->ask )( 'SHOW REPLICA STATUS' );
		if ( 1064 === $rows ) {
			$rows = ( $this->ask )( 'SHOW SLAVE STATUS' ); // before MySQL 8.0.22 and MariaDB 10.5
		}
		if ( is_int( $rows ) ) {
			// A server that takes writes and is no replica needs no privilege to be believed; a
			// read-only one that may not say how far it is behind cannot be used.
			return $this->unknown( "ask how far it is behind: error $rows; grant REPLICATION CLIENT (MySQL) or REPLICA MONITOR (MariaDB) to the site's user" );
		}
		if ( array() === $rows ) {
			// Read-only and replicating from nobody: what it has is as old as it likes.
			return $this->readOnly ? self::NEVER : null;
		}
		$lag = 0;
		foreach ( $rows as $row ) {
			$seconds = $row['Seconds_Behind_Source'] ?? $row['Seconds_Behind_Master'] ?? null;
			if ( ! is_numeric( $seconds ) ) {
				return self::NEVER; // stopped, or its connection to the writer is
			}
			// Whole seconds, cut off: 0 is anything below one. A replica that is told to stay behind
			// says 0 while it has nothing to do.
			$lag = max( $lag, (int) $seconds * 1000 + 999, (int) ( $row['SQL_Delay'] ?? 0 ) * 1000 );
		}
		return $lag;
	}

	/** @return array<string, string>|null name → value; null when it could not be asked */
	private function pairs( string $sql ): ?array {
		$rows = ( $this->ask )( $sql );
		return is_int( $rows ) ? null : array_column( $rows, 'Value', 'Variable_name' );
	}

	private function unknown( string $why ): int {
		$key = $this->key( 'told' );
		if ( ! function_exists( 'apcu_enabled' ) || ! apcu_enabled() || apcu_add( $key, true, 300 ) ) {
			error_log( "platen: database reader {$this->name} gets no reads: $why" );
		}
		return self::NEVER;
	}

	/** @return array{float, ?int}|null the last answer of any process of the task */
	private function known(): ?array {
		$known = function_exists( 'apcu_enabled' ) && apcu_enabled() ? apcu_fetch( $this->key( 'lag' ) ) : false;
		return is_array( $known ) ? $known : self::$answers[ $this->name ] ?? null;
	}

	private function key( string $what ): string {
		return "platen.reader.$what.{$this->name}";
	}
}
