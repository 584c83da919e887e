<?php
declare( strict_types=1 );

namespace Platen;

/**
 * WordPress' object cache in Valkey, with the request's own copy in front of it.
 *
 * Keys are EPOCH:GROUPEPOCH:BLOG:GROUP:KEY. A flush gives a new epoch, so that what was written
 * before, or is still being written under the old one, can no longer be reached; no entry is
 * searched for or deleted, the server evicts them. The epochs are fields of one hash; when the
 * server loses it, all entries are out of reach, which is what a flush does too.
 *
 * When the server is gone each method does what WordPress' own cache does within one request:
 * reads find what this request wrote, writes stay in this request, and both say so by their
 * usual results. See ValkeyConnection for what happens when it comes back.
 */
final class ObjectCache {

	private const EPOCHS = 'platen:epochs';
	/** Seconds that an entry lives at most: bounds how long anything wrong can stay. */
	private const LONGEST = 86400;

	/** Adds an offset to an integer without losing its time to live; nil: absent, '?': not an integer. */
	private const ADD_OFFSET = <<<'LUA'
		local v = redis.call('GET', KEYS[1])
		if not v then return nil end
		if not string.match(v, '^%-?%d+$') then return '?' end
		local n = redis.call('INCRBY', KEYS[1], ARGV[1])
		if n < 0 then redis.call('SET', KEYS[1], '0', 'KEEPTTL'); n = 0 end
		return n
		LUA;

	/** Read by WordPress' screens and by plugins that show statistics. */
	public int $cache_hits   = 0;
	public int $cache_misses = 0;
	/** @var array<string, true> */
	public array $global_groups = array();

	/** @var array<string, true> */
	private array $non_persistent = array();
	/** @var array<string, mixed> what this request has seen, by group, blog and key */
	private array $cache = array();
	/** @var array<string, string>|null group => epoch; '' is everyone's */
	private ?array $epochs = null;
	/** The connection on which the epochs were read: another may follow an outage. */
	private int $read_on = 0;

	public function __construct( private readonly ValkeyConnection $server, private string $blog ) {
	}

	/** Stores unless the key exists. False when it does, or additions are suspended. */
	public function add( $key, $data, $group = 'default', int $expire = 0 ): bool {
		return $this->valid( $key ) && $this->add_multiple( array( $key => $data ), $group, $expire )[ $key ];
	}

	/** @return array<int|string, bool> */
	public function add_multiple( array $data, $group = '', int $expire = 0 ): array {
		$done = array_fill_keys( array_keys( $data ), false );
		if ( function_exists( 'wp_suspend_cache_addition' ) && wp_suspend_cache_addition() ) {
			return $done;
		}
		// What this request has seen exists: core adds each post again wherever it loads one.
		$new = array_filter( $data, fn( $key ) => $this->valid( $key ) && ! array_key_exists( $this->id( $key, $group ), $this->cache ), ARRAY_FILTER_USE_KEY );
		return array_replace( $done, $this->store( $new, $group, $expire, 'NX' ) );
	}

	/** Stores only when the key exists. */
	public function replace( $key, $data, $group = 'default', int $expire = 0 ): bool {
		return $this->valid( $key ) && $this->store( array( $key => $data ), $group, $expire, 'XX' )[ $key ];
	}

	/** Stores. True also when the server is gone: the request has it. */
	public function set( $key, $data, $group = 'default', int $expire = 0 ): bool {
		return $this->valid( $key ) && $this->store( array( $key => $data ), $group, $expire, '' )[ $key ];
	}

	/** @return array<int|string, bool> */
	public function set_multiple( array $data, $group = '', int $expire = 0 ): array {
		$valid = array_filter( $data, fn( $key ) => $this->valid( $key ), ARRAY_FILTER_USE_KEY );
		return array_replace( array_fill_keys( array_keys( $data ), false ), $this->store( $valid, $group, $expire, '' ) );
	}

	/** The value, or false with $found = false. $force asks the server again. */
	public function get( $key, $group = 'default', $force = false, &$found = null ): mixed {
		$found = false;
		if ( ! $this->valid( $key ) ) {
			return false;
		}
		$id = $this->id( $key, $group );
		if ( array_key_exists( $id, $this->cache ) && ! ( $force && $this->persists( $group ) && 0 !== $this->server->generation() ) ) {
			$found = true;
		} elseif ( $this->persists( $group ) ) {
			$name  = $this->prefix( $group ) . $key;
			$answer = $this->server->run( static fn( \Redis $redis ) => $redis->get( $name ), false );
			$found  = $this->keep( $id, $answer );
		}
		if ( ! $found ) {
			++$this->cache_misses;
			return false;
		}
		++$this->cache_hits;
		return self::copy( $this->cache[ $id ] );
	}

	/** @return array<int|string, mixed> in the order of $keys; false where nothing is found */
	public function get_multiple( $keys, $group = 'default', $force = false ): array {
		$values = $ask = array();
		foreach ( $keys as $key ) {
			$values[ $key ] = false;
			if ( $this->valid( $key ) && $this->persists( $group )
				&& ( $force || ! array_key_exists( $this->id( $key, $group ), $this->cache ) ) ) {
				$ask[] = $key;
			}
		}
		if ( array() !== $ask ) {
			$prefix  = $this->prefix( $group );
			$names   = array_map( static fn( $key ) => $prefix . $key, $ask );
			$answers = $this->server->run( static fn( \Redis $redis ) => $redis->mGet( $names ), false );
			foreach ( is_array( $answers ) ? $answers : array() as $i => $answer ) {
				$this->keep( $this->id( $ask[ $i ], $group ), $answer );
			}
		}
		foreach ( $values as $key => $ignored ) {
			$id = $this->id( $key, $group );
			if ( $this->valid( $key ) && array_key_exists( $id, $this->cache ) ) {
				$values[ $key ] = self::copy( $this->cache[ $id ] );
				++$this->cache_hits;
			} else {
				++$this->cache_misses;
			}
		}
		return $values;
	}

	/** True when there was something to delete, here or on the server. */
	public function delete( $key, $group = 'default' ): bool {
		return $this->valid( $key ) && $this->delete_multiple( array( $key ), $group )[ $key ];
	}

	/** @return array<int|string, bool> */
	public function delete_multiple( array $keys, $group = '' ): array {
		$done  = array();
		$names = array();
		foreach ( $keys as $key ) {
			$done[ $key ] = false;
			if ( $this->valid( $key ) ) {
				$id           = $this->id( $key, $group );
				$done[ $key ] = array_key_exists( $id, $this->cache );
				$names[]      = $key;
				unset( $this->cache[ $id ] );
			}
		}
		if ( array() === $names || ! $this->persists( $group ) ) {
			return $done;
		}
		$prefix  = $this->prefix( $group );
		$answers = $this->each( $names, static fn( \Redis $redis, $key ) => $redis->unlink( $prefix . $key ), true );
		foreach ( $names as $i => $key ) {
			$done[ $key ] = $done[ $key ] || 1 === ( $answers[ $i ] ?? 0 );
		}
		return $done;
	}

	/** The new number, never below 0; false when the key does not exist. Atomic over all tasks. */
	public function incr( $key, int $offset = 1, $group = 'default' ): int|false {
		if ( ! $this->valid( $key ) ) {
			return false;
		}
		$id     = $this->id( $key, $group );
		$number = '?';
		if ( $this->persists( $group ) ) {
			$name   = $this->prefix( $group ) . $key;
			$number = $this->server->run(
				static function ( \Redis $redis ) use ( $name, $offset ) {
					$n = $redis->eval( self::ADD_OFFSET, array( $name, $offset ), 1 );
					if ( false === $n && null !== $redis->getLastError() ) {
						$redis->clearLastError();
						return '?'; // beyond 64 bits
					}
					return $n;
				},
				true
			) ?? '?';
		}
		if ( '?' === $number ) { // not an integer, not persistent, or no server: as WordPress' own does
			$value = $this->get( $key, $group, false, $found );
			if ( ! $found ) {
				return false;
			}
			$number = max( 0, ( is_numeric( $value ) ? (int) $value : 0 ) + $offset );
			$this->set( $key, $number, $group );
			return $number;
		}
		if ( false === $number ) {
			unset( $this->cache[ $id ] );
			return false;
		}
		return $this->cache[ $id ] = $number;
	}

	/** As incr(), downwards. */
	public function decr( $key, int $offset = 1, $group = 'default' ): int|false {
		return $this->incr( $key, -$offset, $group );
	}

	/** Puts everything out of reach, for all tasks. When the server is gone: as soon as it is back. */
	public function flush(): bool {
		$this->cache  = array();
		$this->epochs = null;
		$this->renew();
		return true;
	}

	/** Forgets what this request has seen; the server keeps it. */
	public function flush_runtime(): bool {
		$this->cache  = array();
		$this->epochs = null; // a long job sees a flush that came from elsewhere
		return true;
	}

	/** Puts one group out of reach, for all tasks and blogs. */
	public function flush_group( $group ): bool {
		$group = self::group( $group );
		foreach ( array_keys( $this->cache ) as $id ) {
			if ( str_starts_with( (string) $id, "$group\0" ) ) {
				unset( $this->cache[ $id ] );
			}
		}
		if ( ! $this->persists( $group ) ) {
			return true;
		}
		$this->epochs();
		$epoch = self::epoch();
		if ( null !== $this->server->run( static fn( \Redis $redis ) => $redis->hSet( self::EPOCHS, $group, $epoch ), true ) ) {
			$this->epochs[ $group ] = $epoch;
		}
		return true;
	}

	/** Groups that all blogs of a network share. */
	public function add_global_groups( $groups ): void {
		$this->global_groups += array_fill_keys( array_map( 'strval', (array) $groups ), true );
	}

	/** Groups that live in the request alone. */
	public function add_non_persistent_groups( $groups ): void {
		$this->non_persistent += array_fill_keys( array_map( 'strval', (array) $groups ), true );
	}

	/** Later keys of groups that are not global are this blog's. */
	public function switch_to_blog( int $blog ): void {
		$this->blog = function_exists( 'is_multisite' ) && is_multisite() ? "$blog:" : '';
	}

	/** Whether the server answers; Site Health shows it. */
	public function connected(): bool {
		return 0 !== $this->server->generation();
	}

	/** Prints what WordPress' own cache prints. */
	public function stats(): void {
		printf( '<p><strong>Cache Hits:</strong> %d<br /><strong>Cache Misses:</strong> %d</p>', $this->cache_hits, $this->cache_misses );
	}

	/**
	 * @param array<int|string, mixed> $data valid keys
	 * @param string                   $when '' always, NX when absent, XX when there
	 * @return array<int|string, bool>
	 */
	private function store( array $data, $group, int $expire, string $when ): array {
		$answers = null;
		if ( $this->persists( $group ) && array() !== $data ) {
			$prefix  = $this->prefix( $group );
			$options = array_filter( array( 'EX' => self::ttl( $expire ), $when ) );
			// An addition that is lost leaves nothing old behind.
			$answers = $this->each(
				array_keys( $data ),
				static fn( \Redis $redis, $key ) => $redis->set( $prefix . $key, self::encode( $data[ $key ] ), $options ),
				'NX' !== $when
			);
		}
		$done = array();
		$i    = 0;
		foreach ( $data as $key => $value ) {
			$id           = $this->id( $key, $group );
			$there        = array_key_exists( $id, $this->cache );
			$done[ $key ] = null === $answers
				? ( 'NX' === $when ? ! $there : 'XX' !== $when || $there ) // no server: as within one request
				: (bool) $answers[ $i++ ];
			if ( $done[ $key ] ) {
				$this->cache[ $id ] = self::copy( $value );
			}
		}
		return $done;
	}

	/**
	 * Runs a command for each key in one round trip.
	 *
	 * @param list<int|string> $keys
	 * @return list<mixed>|null in their order; null when the server is gone
	 */
	private function each( array $keys, callable $command, bool $writes ): ?array {
		return $this->server->run(
			static function ( \Redis $redis ) use ( $keys, $command ): array {
				if ( 1 === count( $keys ) ) {
					return array( $command( $redis, $keys[0] ) );
				}
				$pipe = $redis->pipeline();
				foreach ( $keys as $key ) {
					$command( $pipe, $key );
				}
				return $pipe->exec();
			},
			$writes
		);
	}

	/**
	 * The epochs as this request first saw them; all tasks agree on them through the server. What is
	 * returned while the server is gone is never sent to it.
	 */
	private function epochs(): array {
		$connection = $this->server->generation();
		if ( 0 === $connection ) {
			return array( '' => '' );
		}
		if ( null === $this->epochs || $connection !== $this->read_on ) {
			$lost = $this->server->lost();
			if ( 0 !== $lost && $this->renew() ) {
				$this->server->recovered( $lost );
			}
			$first  = self::epoch();
			$epochs = $this->server->run(
				static function ( \Redis $redis ) use ( $first ) {
					$epochs = $redis->hGetAll( self::EPOCHS );
					if ( ! isset( $epochs[''] ) ) {
						$redis->hSetNx( self::EPOCHS, '', $first ); // another task may be first
						$epochs = $redis->hGetAll( self::EPOCHS );
					}
					return $epochs;
				},
				false
			);
			if ( ! isset( $epochs[''] ) ) {
				return array( '' => $first ); // gone just now, or evicting everything: nobody else knows this epoch
			}
			$this->epochs  = $epochs;
			$this->read_on = $connection;
		}
		return $this->epochs;
	}

	/** Begins a new epoch for all; group epochs go, since the keys below the old one are gone. */
	private function renew(): bool {
		$epoch = self::epoch();
		return null !== $this->server->run(
			static fn( \Redis $redis ) => $redis->multi()->del( self::EPOCHS )->hSet( self::EPOCHS, '', $epoch )->exec(),
			true
		);
	}

	private function prefix( $group ): string {
		$group  = self::group( $group );
		$epochs = $this->epochs();
		$blog   = isset( $this->global_groups[ $group ] ) ? '' : $this->blog;
		return $epochs[''] . ':' . ( $epochs[ $group ] ?? '' ) . ":$blog$group:";
	}

	private function id( $key, $group ): string {
		$group = self::group( $group );
		return "$group\0" . ( isset( $this->global_groups[ $group ] ) ? '' : $this->blog ) . $key;
	}

	private function persists( $group ): bool {
		return ! isset( $this->non_persistent[ self::group( $group ) ] );
	}

	private function valid( $key ): bool {
		if ( is_int( $key ) || ( is_string( $key ) && '' !== trim( $key ) ) ) {
			return true;
		}
		if ( function_exists( '_doing_it_wrong' ) ) {
			_doing_it_wrong( __METHOD__, 'A cache key must be an integer or a string that is not empty, not ' . get_debug_type( $key ) . '.', '6.1.0' );
		}
		return false;
	}

	private static function group( $group ): string {
		return '' === (string) $group ? 'default' : (string) $group;
	}

	private static function ttl( int $expire ): int {
		return $expire > 0 ? min( $expire, self::LONGEST ) : self::LONGEST;
	}

	/** Unique and new, never a counter: one that was lost could come back with an old value. */
	private static function epoch(): string {
		return bin2hex( random_bytes( 6 ) );
	}

	/** Integers stay readable for the server, which counts with them; all else keeps its exact type. */
	private static function encode( mixed $value ): string {
		return is_int( $value ) ? (string) $value : igbinary_serialize( $value );
	}

	/** Takes the server's answer into the request's copy. False for a miss; null (no server) changes nothing. */
	private function keep( string $id, mixed $answer ): bool {
		if ( is_string( $answer ) && self::decode( $answer, $value ) ) {
			$this->cache[ $id ] = $value;
			return true;
		}
		if ( null !== $answer ) {
			unset( $this->cache[ $id ] );
		}
		return false;
	}

	/** False when the entry cannot be read: it is a miss then. */
	private static function decode( string $text, mixed &$value ): bool {
		if ( 1 === preg_match( '/^-?\d+$/D', $text ) ) {
			$value = (int) $text;
			return true;
		}
		$value = @igbinary_unserialize( $text );
		return null !== $value || $text === self::encode( null );
	}

	private static function copy( mixed $value ): mixed {
		return is_object( $value ) ? clone $value : $value;
	}
}
