<?php
declare( strict_types=1 );

namespace Platen;

/**
 * What this request has read from readers, which may lag, and what it has written. The database
 * drop-in says it; those ask who decide whether a result may be kept: object cache and page cache.
 *
 * Tables go by their names in the database, with prefix, in lower case; '*' stands for all of them,
 * where a statement could not be understood.
 */
final class Freshness {

	/** Milliseconds that a reader may lag; one that lags more gets no queries. */
	public const LAG_BOUND = 1000;

	/** @var array<string, true> */
	private static array $read = array();
	/** @var array<string, true> */
	private static array $written = array();
	private static ?int $version  = null;
	private static bool $old      = false;
	/** @var list<callable(list<string>): void> */
	private static array $listeners = array();

	/**
	 * Notes tables that were read from a server that may lag.
	 *
	 * @param list<string> $tables
	 */
	public static function read( array $tables ): void {
		self::$read += array_fill_keys( $tables, true );
	}

	/**
	 * Notes tables that are about to be written. Listeners hear of each table once a request, before
	 * the statement runs.
	 *
	 * @param list<string> $tables
	 */
	public static function wrote( array $tables ): void {
		$new = array_values( array_filter( $tables, static fn( string $table ) => ! isset( self::$written[ $table ] ) ) );
		if ( array() === $new ) {
			return;
		}
		self::$written += array_fill_keys( $new, true );
		foreach ( self::$listeners as $listener ) {
			$listener( $new );
		}
	}

	/**
	 * Calls a listener with the tables that are written from now on, and at once with those that
	 * were written already.
	 *
	 * @param callable(list<string>): void $listener
	 */
	public static function onWrite( callable $listener ): void {
		self::$listeners[] = $listener;
		if ( array() !== self::$written ) {
			$listener( self::writtenTables() );
		}
	}

	/** Notes up to which change (wp_platen_changes.id) a reader that is read from has all changes. */
	public static function seen( int $version ): void {
		self::$version = min( $version, self::$version ?? $version );
	}

	/** Notes that something was read from a server that lags more than the bound, since no other was left. */
	public static function old(): void {
		self::$old = true;
	}

	/** Whether something was: nothing of this request may be kept anywhere. */
	public static function isOld(): bool {
		return self::$old;
	}

	/** The last change that all readers of this request have; null when nothing was read from one that may lag. */
	public static function version(): ?int {
		return self::$version;
	}

	/** @return list<string> */
	public static function readTables(): array {
		return array_map( 'strval', array_keys( self::$read ) );
	}

	/** @return list<string> */
	public static function writtenTables(): array {
		return array_map( 'strval', array_keys( self::$written ) );
	}

	/** Forgets everything but the listeners: a test, or a process that begins with the next piece of work. */
	public static function reset(): void {
		self::$read    = array();
		self::$written = array();
		self::$version = null;
		self::$old     = false;
	}
}
