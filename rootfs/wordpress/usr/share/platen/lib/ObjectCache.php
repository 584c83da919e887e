<?php
declare( strict_types=1 );

namespace Platen;

require_once __DIR__ . '/Freshness.php';

/**
 * WordPress' object cache in Valkey, with the request's own copy in front of it.
 *
 * Names are {p}EPOCH:GROUPEPOCH:GROUP:BLOG:KEY. The hash tag keeps all of them in one slot, so that
 * MGET, pipelines and scripts work in cluster mode. A flush gives a new epoch: what was written
 * before, or is still being written under the old one, can no longer be reached; no entry is
 * searched for or deleted, the server evicts them. The epochs are fields of one hash; when the
 * server loses it, all entries are out of reach, which is what a flush does too. The hash also
 * names the history (`master_replid`) that it belongs to: after a takeover, or when a task meets
 * another server than before, deletions that never reached this one may be missing, and a new epoch
 * begins.
 *
 * **No stale fill.** A reader that reads the database, is overtaken by a writer that commits and
 * deletes the entry, and then stores what it read, would leave the old value there. Therefore
 * deletions are numbered by the server (`clock` in the hash) and leave a tombstone with their number
 * for TOMBSTONE seconds: a miss to readers. A request knows the number that was current when it
 * began, or that it saw when it missed the entry. It may fill a gap that has no tombstone or one
 * not younger than that; else its value may be from before the deletion and stays its own. Proof:
 * the writer deletes after its commit. If the value was read before the commit, then also before
 * the deletion, whose number is thus above all that the request knew before it read. If the fill
 * comes first, the deletion removes it. If the deletion comes first, the fill finds its tombstone –
 * also under a value that somebody else stored since, which carries the number on ('V…') – unless
 * TOMBSTONE seconds are over, and a request older than FILLS seconds fills nothing. A request's own
 * deletions do not stop it, but carry the number of the last foreign one. Nor does a request fill
 * anything that met the server only in its middle, or under whose eyes the epochs changed; what it
 * sets is deleted then, since it may also be the news. Deletions and sets that name an epoch which
 * is over are refused by the server and sent again under the new one. flush() and flush_runtime()
 * begin a request anew: what it read from the database before them it must not store after them.
 *
 * **No lost update of options.** `alloptions` is one value for hundreds of options, which two
 * writers would take turns to overwrite, and so is `notoptions`; of two writers of one option the
 * one that committed first may store last. In these groups set() never replaces a value. It fills
 * a gap that this request saw, by the rules above, or it deletes: the next reader gets it from the
 * database. The writer itself goes on with its own copy. A write that adds an option removes
 * `notoptions` too, whose readers may be about to store that the option does not exist; readers
 * may add names to exactly the version of `notoptions` that they read.
 *
 * **Nothing from a reader that lags.** A request that writes a table says so on the server before
 * its statement runs, and until LAG seconds after its end. A request that has read this table from
 * a reader, and began before that, stores nothing; a value that it wanted to replace is deleted.
 * Requests that read from the writer only do not ask.
 *
 * When the server is gone each method does what WordPress' own cache does within one request:
 * reads find what this request wrote, writes stay in this request, and both say so by their
 * usual results. See ValkeyConnection for what happens when it comes back.
 *
 * What differs from WordPress' own, which knows neither time nor other requests: an entry lives as
 * long as its expiry says, a day at most, and may be evicted at any time; two requests see each
 * other's entries when they first ask for them; numbers are counted on the server, so that an
 * integer that another task counted up is what incr() goes on from.
 */
#[\AllowDynamicProperties]
final class ObjectCache {

	private const TAG    = '{p}';
	private const EPOCHS = self::TAG . 'epochs';
	private const MARKS  = self::TAG . 'written:';

	/** Seconds that an entry lives at most: bounds how long anything wrong can stay. */
	private const LONGEST = 86400;
	/** Seconds that a deletion is remembered, and those in which a request may fill: shorter, for the clocks' sake. */
	private const TOMBSTONE = 60;
	private const FILLS     = 50;
	/**
	 * Milliseconds after its writer's end from which every reader has a value: the bound, and the age of
	 * the measurement that says that a reader keeps to it (Replica: up to 2 s while another process asks,
	 * and 1 s in the request).
	 */
	private const LAG = Freshness::LAG_BOUND + 3500;
	/** Seconds that a writer by the command line may take; one on the web takes what the task was told. */
	private const JOB = 3600;

	/** Entries of these are rows of the database: an addition without a get() before is a fill too. */
	private const ROWS = array(
		'posts' => 1, 'post_meta' => 1, 'terms' => 1, 'term_meta' => 1, 'comment' => 1, 'comment_meta' => 1, 'users' => 1,
		'user_meta' => 1, 'userlogins' => 1, 'useremail' => 1, 'userslugs' => 1, 'options' => 1, 'site-options' => 1,
		'sites' => 1, 'blog_meta' => 1, 'blog-details' => 1, 'site-details' => 1, 'networks' => 1, 'bookmark' => 1,
	);
	private const OPTIONS = array( 'options' => 1, 'site-options' => 1 );
	/** Entries of these are nowhere else, so none can be older than the database. */
	private const ALONE = array( 'transient' => 1, 'site-transient' => 1 );

	/*
	 * Of an entry: nothing; a tombstone T<number>;<request>;<foreign number>; or a value, with the
	 * same head but V when it took a tombstone's place. No value begins with these letters.
	 */

	/** Begins an epoch, unless one of this history is there. Answers with the hash. */
	private const RENEW = <<<'LUA'
		local server = redis.call('HGET', KEYS[1], 'server')
		if ARGV[3] == '' and redis.call('HEXISTS', KEYS[1], 'epoch') == 1 and server == ARGV[2] then
			return redis.call('HGETALL', KEYS[1])
		end
		local time = redis.call('TIME')
		local clock = time[1] .. string.format('%06d', time[2])
		local before = redis.call('HGET', KEYS[1], 'clock')
		if before and before > clock then clock = before end
		if ARGV[2] ~= '' then server = ARGV[2] end
		redis.call('DEL', KEYS[1])
		redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'server', server or '', 'clock', clock)
		return redis.call('HGETALL', KEYS[1])
		LUA;

	/**
	 * Refuses what was named under epochs that are over: a writer that deletes there would miss what
	 * readers fill under the new ones. ARGV begin with the epoch, the group's field and its epoch.
	 */
	private const CURRENT = <<<'LUA'
		if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] or (redis.call('HGET', KEYS[1], ARGV[2]) or '') ~= ARGV[3] then
			return 'stale'
		end

		LUA;

	/** Counts a deletion; prepended to the scripts that delete. */
	private const BURY = <<<'LUA'
		local function tick()
			if redis.call('HEXISTS', KEYS[1], 'clock') == 0 then
				local time = redis.call('TIME')
				redis.call('HSET', KEYS[1], 'clock', time[1] .. string.format('%06d', time[2]))
			end
			return string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'clock', 1))
		end
		local function bury(key, n, me, ttl)
			local head = redis.call('GETRANGE', key, 0, 79)
			local old, who, foreign = string.match(head, '^[TV](%d+);(%x*);(%d+);')
			if old and who ~= me then foreign = old end
			redis.call('SET', key, 'T' .. n .. ';' .. me .. ';' .. (foreign or '0') .. ';', 'EX', ttl)
			return head ~= '' and string.sub(head, 1, 1) ~= 'T' and 1 or 0
		end

		LUA;

	/** KEYS: hash, entries. ARGV: CURRENT's, request, tombstones' seconds. Answers for each whether it was there. */
	private const DELETE = self::CURRENT . self::BURY . <<<'LUA'
		local n, out = tick(), {}
		for i = 2, #KEYS do out[i - 1] = bury(KEYS[i], n, ARGV[4], ARGV[5]) end
		return out
		LUA;

	/**
	 * KEYS: hash, entries, marks of tables. ARGV: CURRENT's, request, tombstones' seconds, how many entries,
	 * mode, seconds to live, milliseconds since the request began; then for each entry its value
	 * and the number that the request knows, '' to store regardless. Modes: add, set, replace, and
	 * fill, which deletes where there is a value. Answers: 1 stored, 0 not (there; for replace: not
	 * there), -1 the value may be from before a deletion, -2 it may come from a reader that lags.
	 */
	private const STORE = self::CURRENT . self::BURY . <<<'LUA'
		local me, ttl, count, mode = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
		local lags = false
		if #KEYS > count + 1 then
			local time = redis.call('TIME')
			local began = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[9]
			for i = count + 2, #KEYS do
				if redis.call('ZCOUNT', KEYS[i], string.format('%.0f', began), '+inf') > 0 then lags = true end
			end
		end
		local out = {}
		for i = 1, count do
			local key, value, known = KEYS[i + 1], ARGV[8 + 2 * i], ARGV[9 + 2 * i]
			local head = redis.call('GETRANGE', key, 0, 79)
			local n, who, foreign = string.match(head, '^[TV](%d+);(%x*);(%d+);')
			local there = head ~= '' and string.sub(head, 1, 1) ~= 'T'
			local last = n and (who == me and foreign or n)
			if there and mode == 'add' or not there and mode == 'replace' then
				out[i] = 0
			elseif last and known ~= '' and tonumber(last) > tonumber(known) then
				if there and mode ~= 'add' then bury(key, tick(), me, ttl) end
				out[i] = -1
			elseif lags then
				if there then bury(key, tick(), me, ttl) end
				out[i] = -2
			elseif there and mode == 'fill' then
				bury(key, tick(), me, ttl)
				out[i] = 1
			else
				local keep = n and 'V' .. n .. ';' .. who .. ';' .. foreign .. ';' or ''
				redis.call('SET', key, keep .. value, 'EX', ARGV[8])
				out[i] = 1
			end
		end
		return out
		LUA;

	/**
	 * KEYS: hash, entry, marks. ARGV: CURRENT's, request, seconds to live, milliseconds since the
	 * request began, head of the version to be replaced, value. Answers with the new head.
	 */
	private const SUPERSEDE = self::CURRENT . self::BURY . <<<'LUA'
		local head = redis.call('GETRANGE', KEYS[2], 0, 79)
		head = string.match(head, '^[TV]%d+;%x*;%d+;') or head
		if head ~= ARGV[7] then return false end
		if #KEYS > 2 then
			local time = redis.call('TIME')
			local began = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[6]
			for i = 3, #KEYS do
				if redis.call('ZCOUNT', KEYS[i], string.format('%.0f', began), '+inf') > 0 then return false end
			end
		end
		local new = 'V' .. tick() .. ';' .. ARGV[4] .. ';0;'
		redis.call('SET', KEYS[2], new .. ARGV[8], 'EX', ARGV[5])
		return new
		LUA;

	/** Adds ARGV[4] to an integer without losing its time to live; nil: absent, '?': not an integer. Answers with text: a script's own numbers have 53 bits. */
	private const ADD_OFFSET = self::CURRENT . <<<'LUA'
		local v = redis.call('GET', KEYS[2])
		if not v or string.sub(v, 1, 1) == 'T' then return nil end
		if not string.match(v, '^%-?%d+$') then return '?' end
		local n = redis.call('INCRBY', KEYS[2], ARGV[4])
		if n < 0 then redis.call('SET', KEYS[2], '0', 'KEEPTTL') end
		return redis.call('GET', KEYS[2])
		LUA;

	/** Replaces exactly this content, keeping its time to live. */
	private const SWAP = <<<'LUA'
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
		return 1
		LUA;

	/** KEYS: marks. ARGV: request, milliseconds from now until which its writes may be unseen by readers, seconds to keep. */
	private const MARK = <<<'LUA'
		local time = redis.call('TIME')
		local now = time[1] * 1000 + math.floor(time[2] / 1000)
		for i = 1, #KEYS do
			redis.call('ZADD', KEYS[i], string.format('%.0f', now + ARGV[2]), ARGV[1])
			redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now - ARGV[3] * 1000))
			local stay = math.ceil(ARGV[2] / 1000) + ARGV[3]
			if redis.call('TTL', KEYS[i]) < stay then redis.call('EXPIRE', KEYS[i], stay) end
		end
		return 1
		LUA;

	/** Read by WordPress' screens and by plugins that show statistics. */
	public int $cache_hits   = 0;
	public int $cache_misses = 0;
	/** @var array<string, true> */
	public array $global_groups = array();

	/** @var array<string, true> */
	private array $non_persistent = array();
	/** @var array<string, mixed> what this request has seen, by group, blog and key */
	private array $copies = array();
	/** @var array<string, array{string, bool, string}> group as given => how its ids begin, whether it persists, its name */
	private array $groups = array();

	/** @var array<string, string>|null the hash, as this request first saw it */
	private ?array $epochs = null;
	/** @var array<string, string>|null as this request saw it before it had to look again */
	private ?array $before = null;
	/** The connection on which it was read: another may follow an outage. */
	private int $read_on = 0;
	/** What was current on the server, and since when this request knows it. */
	private ?int $clock     = null;
	private string $server  = '';
	private int|float $since;
	/** Whether all that this request read from the database it read after that. */
	private bool $fills = true;
	/** Names this request in tombstones and marks. */
	private readonly string $me;

	/** @var array<string, int> id => number of the last deletion that was known when this request missed it */
	private array $missed = array();
	/** @var array<string, true> ids that the server could not be asked for */
	private array $unasked = array();
	/** @var array<string, string> id => head of the version that this request knows, of notoptions */
	private array $versions = array();
	/** @var array<string, string|false> what was fetched ahead and not asked for yet */
	private array $ahead = array();
	/** @var array<string, true> ids of copies that the server has not: it is gone, or must not have them */
	private array $own = array();
	/** @var array<string, true> ids that were asked for */
	private array $asked = array();
	/** @var array<string, true> marks of tables that this request writes */
	private array $marks = array();

	public function __construct( private readonly ValkeyConnection $connection, private string $blog, private readonly ?Prefetch $prefetch = null ) {
		$this->me    = bin2hex( random_bytes( 6 ) );
		$this->since = hrtime( true );
	}

	/** Stores unless the key exists. False when it does, or additions are suspended. */
	public function add( $key, $data, $group = 'default', $expire = 0 ): bool {
		if ( self::suspended() || ! $this->valid( $key ) ) {
			return false;
		}
		return $this->add_valid( array( $key => $data ), $group, (int) $expire )[ $key ];
	}

	/** @return array<int|string, bool> */
	public function add_multiple( array $data, $group = '', $expire = 0 ): array {
		$done = array_fill_keys( array_keys( $data ), false );
		if ( self::suspended() ) {
			return $done;
		}
		return array_replace( $done, $this->add_valid( array_filter( $data, $this->valid( ... ), ARRAY_FILTER_USE_KEY ), $group, (int) $expire ) );
	}

	/** Stores only when the key exists. */
	public function replace( $key, $data, $group = 'default', $expire = 0 ): bool {
		return $this->valid( $key ) && $this->store( array( $key => $data ), $group, (int) $expire, 'replace' )[ $key ];
	}

	/** Stores. True also when the server is gone, or must not have it: the request has it. */
	public function set( $key, $data, $group = 'default', $expire = 0 ): bool {
		return $this->valid( $key ) && $this->set_valid( array( $key => $data ), $group, (int) $expire, true )[ $key ];
	}

	/** @return array<int|string, bool> */
	public function set_multiple( array $data, $group = '', $expire = 0 ): array {
		$valid = array_filter( $data, $this->valid( ... ), ARRAY_FILTER_USE_KEY );
		return array_replace( array_fill_keys( array_keys( $data ), false ), $this->set_valid( $valid, $group, (int) $expire, false ) );
	}

	/** The value, or false with $found = false. $force asks the server again. */
	public function get( $key, $group = 'default', $force = false, &$found = null ): mixed {
		if ( ! is_int( $key ) && ! $this->valid( $key ) ) {
			$found = false;
			return false;
		}
		[ $prefix, $persists ] = $this->groups[ $group ] ?? $this->group( $group );
		$id    = $prefix . $key;
		$found = isset( $this->copies[ $id ] ) || array_key_exists( $id, $this->copies );
		if ( $persists && ( $force || ! $found ) ) {
			$this->fetch( array( $id ), (bool) $force );
			$found = array_key_exists( $id, $this->copies );
		}
		if ( ! $found ) {
			++$this->cache_misses;
			return false;
		}
		++$this->cache_hits;
		$value = $this->copies[ $id ];
		return is_object( $value ) ? clone $value : $value;
	}

	/** @return array<int|string, mixed> in the order of $keys; false where nothing is found */
	public function get_multiple( $keys, $group = 'default', $force = false ): array {
		[ $prefix, $persists ] = $this->groups[ $group ] ?? $this->group( $group );

		$values = $ids = $ask = array();
		foreach ( $keys as $key ) {
			$values[ $key ] = false;
			if ( $this->valid( $key ) ) {
				$ids[ $key ] = $id = $prefix . $key;
				if ( $persists && ( $force || ! array_key_exists( $id, $this->copies ) ) ) {
					$ask[] = $id;
				}
			}
		}
		if ( array() !== $ask ) {
			$this->fetch( $ask, (bool) $force );
		}
		foreach ( $keys as $key ) {
			$id = $ids[ $key ] ?? null;
			if ( null === $id ) {
				continue;
			}
			if ( array_key_exists( $id, $this->copies ) ) {
				$values[ $key ] = self::copy( $this->copies[ $id ] );
				++$this->cache_hits;
			} else {
				++$this->cache_misses;
			}
		}
		return $values;
	}

	/** True when there was something to delete, here or on the server. */
	public function delete( $key, $group = 'default', $deprecated = false ): bool {
		return $this->valid( $key ) && $this->delete_multiple( array( $key ), $group )[ $key ];
	}

	/** @return array<int|string, bool> */
	public function delete_multiple( array $keys, $group = '' ): array {
		[ $prefix, $persists ] = $this->groups[ $group ] ?? $this->group( $group );

		$done = $ids = $twice = array();
		foreach ( $keys as $key ) {
			$twice[ $key ] = isset( $done[ $key ] ); // what was deleted already is not there
			$done[ $key ]  = false;
			if ( $this->valid( $key ) ) {
				$ids[ $key ]  = $id = $prefix . $key;
				$done[ $key ] = array_key_exists( $id, $this->copies );
				unset( $this->copies[ $id ], $this->own[ $id ] );
			}
		}
		if ( array() !== $ids && $persists ) {
			$answers = $this->bury( array_values( $ids ) ) ?? array();
			foreach ( array_keys( $ids ) as $i => $key ) {
				$done[ $key ] = ! $twice[ $key ] && ( $done[ $key ] || 1 === ( $answers[ $i ] ?? 0 ) );
			}
		}
		return $done;
	}

	/**
	 * The new number, never below 0; false when the key does not exist. Atomic over all tasks, also
	 * where what is there is a number of another type.
	 */
	public function incr( $key, $offset = 1, $group = 'default' ): int|float|false {
		if ( ! $this->valid( $key ) ) {
			return false;
		}
		[ $prefix, $persists ] = $this->groups[ $group ] ?? $this->group( $group );
		$id     = $prefix . $key;
		$offset = (int) $offset;
		$number = $persists && ! isset( $this->own[ $id ] ) ? $this->count( $id, $offset ) : null;
		if ( null === $number ) { // not persistent, or not on the server: as WordPress' own does
			if ( ! array_key_exists( $id, $this->copies ) ) {
				return false;
			}
			if ( $persists ) {
				$this->set( $key, self::sum( $this->copies[ $id ], $offset ), $group );
				return $this->copies[ $id ];
			}
			return $this->copies[ $id ] = self::sum( $this->copies[ $id ], $offset );
		}
		unset( $this->ahead[ $id ] );
		if ( false === $number ) {
			unset( $this->copies[ $id ] );
			return false;
		}
		return $this->copies[ $id ] = $number;
	}

	/** As incr(), downwards. */
	public function decr( $key, $offset = 1, $group = 'default' ): int|float|false {
		return $this->incr( $key, -(int) $offset, $group );
	}

	/** Puts everything out of reach, for all tasks. When the server is gone: as soon as it is back. */
	public function flush(): bool {
		$epoch = self::epoch();
		$this->connection->run( static fn( \Redis $redis ) => self::script( $redis, self::RENEW, array( self::EPOCHS ), array( $epoch, '', 'always' ) ), true );
		return $this->flush_runtime();
	}

	/** Forgets what this request has seen; the server keeps it. A long job begins anew with it. */
	public function flush_runtime(): bool {
		$this->copies = $this->own = $this->missed = $this->unasked = $this->versions = $this->ahead = array();
		$this->epochs = $this->before = $this->clock = null;
		$this->fills  = true;
		$this->since  = hrtime( true );
		return true;
	}

	/** Puts one group out of reach, for all tasks and blogs. */
	public function flush_group( $group ): bool {
		[ , $persists, $name ] = $this->groups[ $group ] ?? $this->group( $group );
		foreach ( array( 'copies', 'own', 'missed', 'versions', 'ahead' ) as $kept ) {
			foreach ( array_keys( $this->$kept ) as $id ) {
				if ( str_starts_with( (string) $id, "$name:" ) ) {
					unset( $this->$kept[ $id ] );
				}
			}
		}
		if ( $persists ) {
			$epoch = self::epoch();
			if ( null !== $this->ask( static fn( \Redis $redis ) => $redis->hSet( self::EPOCHS, "group:$name", $epoch ), true ) && null !== $this->epochs ) {
				$this->epochs[ "group:$name" ] = $epoch;
			}
		}
		return true;
	}

	/** Groups that all blogs of a network share. */
	public function add_global_groups( $groups ): void {
		$this->global_groups += array_fill_keys( array_map( 'strval', (array) $groups ), true );
		$this->groups         = array();
	}

	/**
	 * Groups that live in the request alone. One that should outlive it needs keys that say which
	 * version of the code they belong to, since releases overlap.
	 */
	public function add_non_persistent_groups( $groups ): void {
		$this->non_persistent += array_fill_keys( array_map( 'strval', (array) $groups ), true );
		$this->groups          = array();
	}

	/** Later keys of groups that are not global are this blog's. */
	public function switch_to_blog( $blog_id ): void {
		$this->blog   = self::multisite() ? (int) $blog_id . ':' : '';
		$this->groups = array();
	}

	/** What WordPress' own did before switch_to_blog(): forgets what is one blog's. */
	public function reset(): void {
		if ( function_exists( '_deprecated_function' ) ) {
			_deprecated_function( __METHOD__, '3.5.0', 'WP_Object_Cache::switch_to_blog()' );
		}
		foreach ( array_keys( $this->copies ) as $id ) {
			if ( ! isset( $this->global_groups[ self::unescape( strstr( (string) $id, ':', true ) ) ] ) ) {
				unset( $this->copies[ $id ] );
			}
		}
	}

	/** Remembers what the page asked for. The connection outlives the request. */
	public function close(): bool {
		$this->prefetch?->save( $this->asked );
		return true;
	}

	/** Whether the server answers; Site Health shows it. */
	public function connected(): bool {
		return $this->connection->connected();
	}

	/** Round trips to the server so far. */
	public function trips(): int {
		return $this->connection->trips;
	}

	/** Prints what WordPress' own cache prints. */
	public function stats(): void {
		printf( '<p><strong>Cache Hits:</strong> %d<br /><strong>Cache Misses:</strong> %d<br /></p><ul>', $this->cache_hits, $this->cache_misses );
		foreach ( $this->__get( 'cache' ) as $group => $entries ) {
			printf( '<li><strong>Group:</strong> %s - ( %sk )</li>', htmlspecialchars( (string) $group ), number_format( strlen( serialize( $entries ) ) / 1024, 2 ) );
		}
		echo '</ul>';
	}

	/** Plugins read the properties of WordPress' own class, of which some are private there too. */
	public function __get( string $name ): mixed {
		if ( 'cache' === $name ) {
			$groups = array();
			foreach ( $this->copies as $id => $value ) {
				[ $group, $key ] = explode( ':', (string) $id, 2 );
				$groups[ self::unescape( $group ) ][ $key ] = $value;
			}
			return $groups;
		}
		return match ( $name ) {
			'blog_prefix' => $this->blog,
			'multisite'   => self::multisite(),
			default       => null,
		};
	}

	/** Long jobs empty `cache` to have memory. */
	public function __set( string $name, mixed $value ): void {
		if ( 'cache' === $name ) {
			$this->flush_runtime();
		} elseif ( 'blog_prefix' === $name ) {
			$this->blog   = (string) $value;
			$this->groups = array();
		} elseif ( 'multisite' !== $name ) {
			$this->$name = $value;
		}
	}

	public function __isset( string $name ): bool {
		return in_array( $name, array( 'cache', 'blog_prefix', 'multisite' ), true );
	}

	public function __unset( string $name ): void {
		'cache' === $name && $this->flush_runtime();
	}

	/**
	 * Says on the server that this request is about to write tables, before it does, until after
	 * its end. When the server is gone nothing of before is served when it comes back.
	 *
	 * @param list<string> $tables
	 */
	public function writes( array $tables ): void {
		if ( array() === $this->marks ) {
			// Registered from within: after the functions that are registered already, which may write.
			register_shutdown_function( fn() => register_shutdown_function( $this->written( ... ) ) );
		}
		$new          = array_fill_keys( array_map( static fn( string $table ) => self::MARKS . $table, $tables ), true );
		$this->marks += $new + array( self::MARKS => true ); // the last is for those that may have read any table
		$limit        = 'cli' === PHP_SAPI ? self::JOB : max( 60, (int) ini_get( 'max_execution_time' ) );
		$this->mark( array_keys( $new + array( self::MARKS => true ) ), $limit * 1000 );
	}

	/** All is committed: readers have it LAG later. */
	public function written(): void {
		$this->mark( array_keys( $this->marks ), self::LAG );
	}

	/** @param list<string> $marks */
	private function mark( array $marks, int $milliseconds ): void {
		$this->ask( fn( \Redis $redis ) => self::script( $redis, self::MARK, $marks, array( $this->me, $milliseconds, self::TOMBSTONE ) ), true );
	}

	/** @return array<int|string, bool> */
	private function add_valid( array $data, $group, int $expire ): array {
		[ $prefix ] = $this->groups[ $group ] ?? $this->group( $group );
		// What this request has seen exists: core adds each post again wherever it loads one.
		$new = array_filter( $data, fn( $key ) => ! array_key_exists( $prefix . $key, $this->copies ), ARRAY_FILTER_USE_KEY );
		return array_replace( array_fill_keys( array_keys( $data ), false ), $this->store( $new, $group, $expire, 'add' ) );
	}

	/** @return array<int|string, bool> */
	private function set_valid( array $data, $group, int $expire, bool $single ): array {
		[ $prefix, $persists, $name ] = $this->groups[ $group ] ?? $this->group( $group );
		if ( ! $persists || ! isset( self::OPTIONS[ $name ] ) ) {
			return $this->store( $data, $group, $expire, 'set' );
		}
		$fill = $bury = array();
		foreach ( $data as $key => $value ) {
			$id = $prefix . $key;
			// A network's options are NETWORK:NAME.
			$of = 'site-options' === $name && 1 === preg_match( '/^\d+:/', (string) $key, $network ) ? $network[0] : '';
			if ( "{$of}notoptions" === $key ) {
				$this->supersede( $id, $value, $expire ) || $bury[] = $id;
			} elseif ( 'alloptions' === $key && 'options' === $name ) {
				$bury = array_merge( $bury, $this->changed( $prefix, $value ) );
			} else {
				if ( isset( $this->missed[ $id ] ) && $this->may_fill() ) {
					$fill[ $key ] = $value;
				} else {
					$bury[] = $id;
				}
				// Only writers store one at a time, or readers of a network's options: see the class.
				if ( $single ) {
					$bury[] = "$prefix{$of}notoptions";
				}
			}
			$this->copies[ $id ] = self::copy( $value );
		}
		array() === $bury || $this->bury( $bury );
		array() === $fill || $this->store( $fill, $group, $expire, 'fill' );
		return array_fill_keys( array_keys( $data ), true );
	}

	/**
	 * What a write of `alloptions` invalidates: itself, the options that differ (they may be stored
	 * singly too), and with new names `notoptions`.
	 *
	 * @return list<string>
	 */
	private function changed( string $prefix, mixed $value ): array {
		$before = $this->copies[ $prefix . 'alloptions' ] ?? null;
		if ( ! is_array( $before ) || ! is_array( $value ) ) {
			$this->flush_group( 'options' ); // what changed is not known
			$this->fills = false;            // nor what this request read from the database before
			return array();
		}
		$names = array( 'alloptions' );
		foreach ( $value as $name => $option ) {
			if ( ! array_key_exists( $name, $before ) ) {
				$names[]    = $name;
				$names['-'] = 'notoptions';
			} elseif ( $before[ $name ] !== $option ) {
				$names[] = $name;
			}
		}
		$names = array_merge( array_values( $names ), array_keys( array_diff_key( $before, $value ) ) );
		return array_map( static fn( $name ) => $prefix . $name, $names );
	}

	/** Stores `notoptions` with names added, in place of exactly the version that this request read. False: it must go. */
	private function supersede( string $id, mixed $value, int $expire ): bool {
		$before  = $this->copies[ $id ] ?? array();
		$version = $this->versions[ $id ] ?? null;
		if ( null === $version || ! is_array( $value ) || ! is_array( $before ) || array() !== array_diff_key( $before, $value ) ) {
			return false;
		}
		if ( ! $this->may_fill() ) {
			return true; // it stays this request's
		}
		$marks = $this->marks_of_reads();
		$head  = $this->ask(
			fn( \Redis $redis ) => self::script(
				$redis,
				self::SUPERSEDE,
				array( self::EPOCHS, $this->name( $id ), ...$marks ),
				array( ...$this->current( $id ), $this->me, self::ttl( $expire ), $this->age(), $this->may_fill() ? $version : '-', self::encode( $value ) )
			),
			false
		);
		if ( is_string( $head ) ) {
			$this->versions[ $id ] = $head;
		}
		return true; // else another request was first, and what it left is newer
	}

	/**
	 * @param array<int|string, mixed> $data valid keys
	 * @param string                   $mode see STORE
	 * @return array<int|string, bool>
	 */
	private function store( array $data, $group, int $expire, string $mode ): array {
		[ $prefix, $persists, $name ] = $this->groups[ $group ] ?? $this->group( $group );

		$answers = null;
		if ( $persists && array() !== $data ) {
			$this->begin();
			// An addition that is lost leaves nothing old behind. Nor does what a request that writes no
			// table sets after it could not ask: whoever made the server's entry old has lost a write himself.
			$fills   = 'add' === $mode || ( array() === Freshness::writtenTables()
				&& array() === array_filter( array_keys( $data ), fn( $key ) => ! isset( $this->unasked[ $prefix . $key ] ) ) );
			$answers = $this->ask( fn( \Redis $redis ) => $this->send( $redis, $data, $prefix, $name, $expire, $mode ), ! $fills );
		}
		$done = array();
		foreach ( $data as $key => $value ) {
			$id     = $prefix . $key;
			$there  = array_key_exists( $id, $this->copies );
			$answer = $answers[ $id ] ?? null;
			unset( $this->missed[ $id ], $this->ahead[ $id ] );
			$done[ $key ] = match ( $answer ) {
				1, 2, -2 => true,
				0        => false,
				-1       => 'add' !== $mode,
				default  => match ( $mode ) { // no server, or not for it: as within one request
					'add'     => ! $there,
					'replace' => $there,
					default   => true,
				},
			};
			if ( $done[ $key ] || -1 === $answer ) { // what must not be shared is the request's own
				$this->copies[ $id ] = self::copy( $value );
				if ( $persists && 1 !== $answer ) {
					$this->own[ $id ] = true;
				} else {
					unset( $this->own[ $id ] );
				}
			}
		}
		return $done;
	}

	/**
	 * A request that may not fill adds nothing, and what it sets it deletes: that may be what the
	 * database says since a moment ago, or what it said before.
	 *
	 * @return array<string, int>|string by id, of those that were sent; 'stale': see CURRENT
	 */
	private function send( \Redis $redis, array $data, string $prefix, string $name, int $expire, string $mode ): array|string {
		$alone = isset( self::ALONE[ $name ] );
		// An addition that nobody has looked for before, and that is no row of the database, is no fill: a
		// lock, say, which must be asked for however long the request runs.
		$lock = 'add' === $mode && ! isset( self::ROWS[ $name ] )
			&& array() === array_filter( array_keys( $data ), fn( $key ) => isset( $this->missed[ $prefix . $key ] ) );
		$may  = $alone || $lock || $this->may_fill();

		$arguments = $names = $ids = $unfit = array();
		foreach ( $data as $key => $value ) {
			$id = $prefix . $key;
			try {
				$text = self::encode( $value );
			} catch ( \Throwable $e ) { // a closure in it, say: WordPress' own cache takes that
				error_log( "platen: object cache: $name:$key stays this request's: {$e->getMessage()}" );
				$unfit[] = $id;
				continue;
			}
			$ids[]       = $id;
			$names[]     = $this->name( $id );
			$known       = 'replace' === $mode || $alone ? null
				: $this->missed[ $id ] ?? ( 'add' === $mode && isset( self::ROWS[ $name ] ) ? (int) $this->clock : null );
			$arguments[] = $text;
			$arguments[] = (string) $known;
		}
		if ( array() !== $unfit && 'add' !== $mode ) { // no older value in its place
			$answers = self::script( $redis, self::DELETE, array( self::EPOCHS, ...array_map( $this->name( ... ), $unfit ) ), array( ...$this->current( $unfit[0] ), $this->me, self::TOMBSTONE ) );
			if ( ! is_array( $answers ) ) {
				return (string) $answers;
			}
		}
		if ( array() === $ids ) {
			return array();
		}
		if ( ! $may && 'add' === $mode ) {
			return array();
		}
		if ( ! $may ) {
			$answers = self::script( $redis, self::DELETE, array( self::EPOCHS, ...$names ), array( ...$this->current( $ids[0] ), $this->me, self::TOMBSTONE ) );
			if ( ! is_array( $answers ) ) {
				return (string) $answers;
			}
			return 'replace' === $mode ? array_combine( $ids, $answers ) : array_fill_keys( $ids, 2 );
		}
		$answers = self::script(
			$redis,
			self::STORE,
			array( self::EPOCHS, ...$names, ...$this->marks_of_reads() ),
			array( ...$this->current( $ids[0] ), $this->me, self::TOMBSTONE, count( $ids ), $mode, self::ttl( $expire ), $this->age(), ...$arguments )
		);
		return is_array( $answers ) ? array_combine( $ids, $answers ) : (string) $answers;
	}

	/**
	 * Deletes entries of one group on the server.
	 *
	 * @param list<string> $ids
	 * @return list<int>|null for each whether it was there; null when the server is gone
	 */
	private function bury( array $ids ): ?array {
		$answers = $this->ask(
			fn( \Redis $redis ) => self::script( $redis, self::DELETE, array( self::EPOCHS, ...array_map( $this->name( ... ), $ids ) ), array( ...$this->current( $ids[0] ), $this->me, self::TOMBSTONE ) ),
			true
		);
		foreach ( $ids as $id ) {
			// Of what was fetched ahead nothing is left; and no version that this request knows.
			unset( $this->ahead[ $id ], $this->missed[ $id ], $this->versions[ $id ] );
		}
		return is_array( $answers ) ? $answers : null;
	}

	/** Takes entries from the server into the request's copies. @param list<string> $ids */
	private function fetch( array $ids, bool $force ): void {
		$this->begin();
		$ask = array();
		foreach ( $ids as $id ) {
			null === $this->prefetch || $this->asked[ $id ] = true;
			if ( ! $force && isset( $this->ahead[ $id ] ) ) {
				$this->keep( $id, $this->ahead[ $id ] );
			} else {
				$ask[] = $id;
			}
			unset( $this->ahead[ $id ] );
		}
		if ( array() === $ask ) {
			return;
		}
		$answers = $this->ask( fn( \Redis $redis ) => $redis->mGet( array_map( $this->name( ... ), $ask ) ), false );
		if ( ! is_array( $answers ) ) {
			$this->unasked += array_fill_keys( $ask, true );
			return;
		}
		foreach ( $answers as $i => $answer ) {
			$this->keep( $ask[ $i ], $answer );
		}
	}

	/** Takes the server's answer into the request's copies; a miss is remembered with what it says. */
	private function keep( string $id, string|false $answer ): void {
		$n    = (int) $this->clock;
		$head = '';
		if ( is_string( $answer ) && '' !== $answer && ( 'T' === $answer[0] || 'V' === $answer[0] ) ) {
			if ( 1 === preg_match( '/^[TV](\d+);([0-9a-f]*);(\d+);/', $answer, $parts ) ) {
				$head   = $parts[0];
				$n      = max( $n, (int) $parts[1] );
				$answer = 'V' === $answer[0] ? substr( $answer, strlen( $head ) ) : false;
				if ( false === $answer && $parts[2] === $this->me && array_key_exists( $id, $this->copies ) ) {
					return; // this request changed an option: its copy is what it wrote
				}
			}
		}
		if ( str_ends_with( $id, 'notoptions' ) && ( false === $answer || '' !== $head ) ) {
			$this->versions[ $id ] = $head;
		}
		if ( is_string( $answer ) && self::decode( $answer, $value ) ) {
			$this->copies[ $id ] = $value;
			unset( $this->missed[ $id ], $this->own[ $id ] );
		} else {
			unset( $this->copies[ $id ] );
			$this->missed[ $id ] = $n;
		}
	}

	/** Counts on the server. False: not there; null: no server. */
	private function count( string $id, int $offset ): int|float|false|null {
		return $this->ask(
			function ( \Redis $redis ) use ( $id, $offset ) {
				$name = $this->name( $id );
				for ( $tries = 0; $tries < 1000; $tries++ ) {
					$n = self::script( $redis, self::ADD_OFFSET, array( self::EPOCHS, $name ), array( ...$this->current( $id ), $offset ) );
					if ( 'stale' === $n ) {
						return $n;
					}
					if ( is_string( $n ) && '?' !== $n ) {
						return (int) $n;
					}
					if ( false === $n && null === $redis->getLastError() ) {
						return false;
					}
					$redis->clearLastError(); // beyond 64 bits
					$old = $redis->get( $name );
					if ( ! is_string( $old ) || 'T' === $old[0] ) {
						return false;
					}
					if ( ! self::decode( preg_replace( '/^V\d+;[0-9a-f]*;\d+;/', '', $old ), $value ) ) {
						return false;
					}
					$n = self::sum( $value, $offset );
					if ( 1 === self::script( $redis, self::SWAP, array( $name ), array( $old, self::encode( $n ) ) ) ) {
						return $n;
					}
				}
				throw new \RedisException( 'a counter never stood still' );
			},
			true
		);
	}

	/** As WordPress' own does it. */
	private static function sum( mixed $value, int $offset ): int|float {
		$sum = ( is_numeric( $value ) ? $value : 0 ) + $offset;
		return $sum < 0 ? 0 : $sum;
	}

	/** Whether what this request read from the database it read after what it knows of the server. */
	private function may_fill(): bool {
		return $this->fills && ! Freshness::isOld() && hrtime( true ) - $this->since < self::FILLS * 1e9;
	}

	/** Milliseconds since the request began, rounded up. */
	private function age(): int {
		return (int) ( ( hrtime( true ) - $this->since ) / 1e6 ) + 1;
	}

	/** @return list<string> marks that forbid this request to store */
	private function marks_of_reads(): array {
		$tables = Freshness::readTables();
		if ( array() === $tables ) {
			return array();
		}
		if ( in_array( '*', $tables, true ) ) {
			return array( self::MARKS );
		}
		return array_map( static fn( $table ) => self::MARKS . $table, array( '*', ...$tables ) );
	}

	/** Reads the epochs once, and what is fetched ahead. Without the server the request fills nothing later. */
	private function begin(): void {
		if ( null === $this->epochs && null === $this->connection->run( $this->greet( ... ), false ) ) {
			$this->fills = false;
		}
	}

	/**
	 * Runs commands under the epochs of the connection that they go to.
	 *
	 * @template T
	 * @param callable(\Redis): T $commands make their names within: another server has other epochs
	 * @return T|null null when the server is gone
	 */
	private function ask( callable $commands, bool $writes ): mixed {
		$this->begin();
		return $this->connection->run(
			function ( \Redis $redis, int $connection ) use ( $commands ) {
				for ( $tries = 0; $tries < 10; $tries++ ) {
					if ( null === $this->epochs || $this->read_on !== $connection ) {
						$this->greet( $redis, $connection );
					}
					$result = $commands( $redis );
					if ( 'stale' !== $result ) {
						return $result;
					}
					$this->before = $this->epochs;
					$this->epochs = null;
				}
				throw new \RedisException( 'the epochs change all the time' );
			},
			$writes
		);
	}

	/**
	 * Reads the epochs, and in the same round trip what the page will ask for, under the epochs that
	 * the task last saw.
	 *
	 * @throws \RedisException
	 */
	private function greet( \Redis $redis, int $connection ): true {
		$shared = function_exists( 'apcu_enabled' ) && apcu_enabled();
		$last   = $shared ? apcu_fetch( 'platen.objects.epochs' ) : false;
		$last   = is_array( $last ) ? $last : array();
		$lost   = $this->connection->lost();
		$before = $this->epochs ?? $this->before;
		$ids    = null === $this->clock && isset( $last['epoch'] ) && array() === $this->copies ? $this->prefetch?->ids() ?? array() : array();

		$pipe = $redis->pipeline()->rawCommand( 'INFO', 'replication' )->hGetAll( self::EPOCHS );
		if ( array() !== $ids ) {
			$this->epochs = $last;
			$pipe->mGet( array_map( $this->name( ... ), $ids ) );
			$this->epochs = null;
		}
		$answers = $pipe->exec();
		if ( null !== $redis->getLastError() ) {
			throw new \RedisException( $redis->getLastError() );
		}
		$info = (string) $answers[0];
		if ( str_contains( $info, 'role:slave' ) ) {
			throw new \RedisException( 'READONLY this node is a replica' );
		}
		$server = 1 === preg_match( '/^master_replid:(\w+)/m', $info, $found ) ? $found[1] : '';
		$known  = $shared ? $last['server'] ?? '' : $this->server;
		$other  = '' !== $known && '' !== $server && $known !== $server;
		$epochs = $answers[1];
		if ( 0 !== $lost || $other || ! isset( $epochs['epoch'] ) || ( $epochs['server'] ?? '' ) !== $server ) {
			$flat = self::script( $redis, self::RENEW, array( self::EPOCHS ), array( self::epoch(), $server, 0 !== $lost || $other ? 'always' : '' ) );
			if ( ! is_array( $flat ) ) {
				throw new \RedisException( $redis->getLastError() ?? 'no epoch' );
			}
			$epochs = array_column( array_chunk( $flat, 2 ), 1, 0 );
			0 === $lost || $this->connection->recovered( $lost );
		}
		$this->epochs  = $epochs;
		$this->read_on = $connection;
		foreach ( $ids as $i => $id ) {
			$group = 'group:' . strstr( $id, ':', true );
			if ( $last['epoch'] === $epochs['epoch'] && ( $last[ $group ] ?? '' ) === ( $epochs[ $group ] ?? '' ) ) {
				$this->ahead[ $id ] = $answers[2][ $i ];
			}
		}
		if ( null === $this->clock ) {
			$this->clock  = (int) $epochs['clock'];
			$this->server = $server;
		} elseif ( $server !== $this->server ) {
			$this->fills  = false; // its deletions have other numbers
			$this->missed = $this->versions = $this->ahead = array();
			$this->server = $server;
		} elseif ( array_diff_key( $epochs, array( 'clock' => 1 ) ) != array_diff_key( $before ?? array(), array( 'clock' => 1 ) ) ) {
			$this->fills = false; // deletions that this request knows nothing of are under the old names
		}
		unset( $epochs['clock'], $last['clock'] );
		if ( $shared && $epochs !== $last ) {
			apcu_store( 'platen.objects.epochs', $epochs );
		}
		return true;
	}

	/**
	 * Runs a script by its digest; the server is sent the text once.
	 *
	 * @param list<string>     $keys
	 * @param list<string|int> $arguments
	 */
	private static function script( \Redis $redis, string $text, array $keys, array $arguments ): mixed {
		static $digests = array();
		$digest  = $digests[ $text ] ??= sha1( $text );
		$all     = array( ...$keys, ...$arguments );
		$answer  = $redis->evalSha( $digest, $all, count( $keys ) );
		if ( false === $answer && str_starts_with( (string) $redis->getLastError(), 'NOSCRIPT' ) ) {
			$redis->clearLastError();
			$answer = $redis->eval( $text, $all, count( $keys ) );
		}
		return $answer;
	}

	/** The name of an entry on the server. */
	private function name( string $id ): string {
		$group = 'group:' . strstr( $id, ':', true );
		return self::TAG . $this->epochs['epoch'] . ':' . ( $this->epochs[ $group ] ?? '' ) . ":$id";
	}

	/** @return array{string, string, string} the epochs that the entry is named under, for CURRENT */
	private function current( string $id ): array {
		$group = 'group:' . strstr( $id, ':', true );
		return array( $this->epochs['epoch'], $group, $this->epochs[ $group ] ?? '' );
	}

	/** @return array{string, bool, string} how ids of the group begin, whether it persists, its name */
	private function group( $group ): array {
		$given = empty( $group ) ? 'default' : (string) $group;
		$name  = strtr( $given, array( '%' => '%25', ':' => '%3A' ) );
		return $this->groups[ $group ] = array(
			"$name:" . ( isset( $this->global_groups[ $given ] ) ? '' : $this->blog ),
			! isset( $this->non_persistent[ $given ] ),
			$name,
		);
	}

	private static function unescape( string $name ): string {
		return strtr( $name, array( '%25' => '%', '%3A' => ':' ) );
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

	private static function suspended(): bool {
		return function_exists( 'wp_suspend_cache_addition' ) && wp_suspend_cache_addition();
	}

	private static function multisite(): bool {
		return function_exists( 'is_multisite' ) && is_multisite();
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

	/** False when the entry cannot be read: it is a miss then. */
	private static function decode( string $text, mixed &$value ): bool {
		if ( '' === $text ) {
			return false;
		}
		if ( "\0" !== $text[0] && 1 === preg_match( '/^-?\d+$/D', $text ) ) {
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
