<?php
declare( strict_types=1 );

namespace Platen;

/**
 * One TLS connection to the primary of the object cache, and the breaker that keeps a dead cache
 * from costing every request a time-out.
 *
 * When the server is gone: the command returns null, the failure is logged once, and for PAUSE
 * seconds no process of this task tries again. Nothing throws. Writes that were lost meanwhile are
 * remembered, and before the first read after the outage all entries get a new epoch, so that what
 * the cache still holds from before is never served.
 *
 * Everything goes to the primary, reads too: a replica lags, and would need READONLY and a second
 * connection. The endpoint may lead elsewhere after a takeover, in cluster mode always to any node
 * of the shard: MOVED names the primary, which the task's processes remember; any other answer
 * that says 'not I' or 'not now' closes the connection and asks the endpoint again. Two steps are
 * taken at most, then the server counts as gone.
 *
 * phpredis has one time-out for connecting, which holds for TCP and for the TLS handshake each, and
 * one for an answer. Both are WAIT for a page, since the frozen server that they are for costs
 * exactly one of them: a handshake on a connection that is made, or an answer on one that is kept.
 * A server that is only slow for once costs the task PAUSE seconds of cache and nothing else.
 *
 * A request that works on the site (a login, a form, wp-admin) waits longer, and does not take a
 * visitor's word for it that the server is gone: a deletion that it could not send leaves the old value
 * to all other tasks until this one is back and has renewed the epoch. So does a job.
 */
final class ValkeyConnection {

	private const WAIT  = 0.09; // seconds
	private const WORK  = 1.0;  // seconds, of a request that works on the site
	private const JOB   = 2.0;  // seconds, by the command line
	private const PAUSE = 5;    // seconds between tries while the server is gone

	private const DOWN    = 'platen.objects.down'; // when the next try is due, while the server is gone
	private const LOST    = 'platen.objects.lost';
	private const PRIMARY = 'platen.objects.primary'; // where MOVED led to

	/** Answers of a node that is not, or not yet, the primary. The command was not carried out. */
	private const NOT_I = '/(?:^|[ -])(?:READONLY|CLUSTERDOWN|TRYAGAIN|LOADING|MASTERDOWN)\b/';

	/** Round trips of this request, for those who measure. */
	public int $trips = 0;

	private ?\Redis $redis = null;
	private int $generation = 0; // connections made so far
	private int $retry      = 0; // when this process tries again; 0: no failure yet
	private int $lost       = 0; // stands in for LOST where APCu is not there (jobs)
	private bool $proven    = false; // whether this connection has answered this request
	private string $primary = '';    // HOST:PORT, stands in for PRIMARY
	private bool $shared;            // whether the breaker is shared by the task's processes
	private float $wait;
	private string $down;            // DOWN of those who wait as long

	/**
	 * @param array{host: string, port: int, token: string, cluster: bool, ca: string} $store
	 * @param float|null $wait  seconds that a connection or an answer may take
	 * @param bool       $works whether this is no visitor's page
	 */
	public function __construct( private readonly array $store, ?float $wait = null, bool $works = false ) {
		$this->shared = function_exists( 'apcu_enabled' ) && apcu_enabled();
		$this->wait   = $wait ?? ( 'cli' === PHP_SAPI ? self::JOB : ( $works ? self::WORK : self::WAIT ) );
		$this->down   = self::DOWN . ( $works ? '.works' : '' );
	}

	/**
	 * Runs commands on the connection, again when the node says that another is the primary, and
	 * on a kept connection that turns out to be cut. Null when the server is gone.
	 *
	 * @template T
	 * @param callable(\Redis, int): T $commands gets the connection and its number
	 * @param bool                     $writes   whether a failure leaves an older value in the cache
	 * @return T|null
	 */
	public function run( callable $commands, bool $writes ): mixed {
		for ( $steps = 0; null !== $this->redis || $steps > 0 || $this->mayTry(); ++$steps ) {
			$began = hrtime( true );
			try {
				$kept          = null !== $this->redis;
				$this->redis ??= $this->open();
				$this->redis->clearLastError();
				++$this->trips;
				$result = $writes && $this->wait < self::WORK
					? $this->patiently( $commands )
					: $commands( $this->redis, $this->generation );
				$error  = $this->redis->getLastError();
				if ( null !== $error ) {
					throw new \RedisException( $error );
				}
				$this->proven || $this->answered();
				return $result;
			} catch ( \RedisException $e ) {
				$quick = hrtime( true ) - $began < $this->wait * 5e8; // no time-out: the other side was cut or refuses
				if ( $steps < 2 && ( $this->elsewhere( $e->getMessage() )
					// A kept connection may be cut at any time; so may the primary that is remembered.
					|| ( 0 === $steps && $quick && ! $writes && ! $kept && ! $this->proven && $this->forget( $e ) ) ) ) {
					$this->close();
					continue;
				}
				$this->fail( $e );
				break;
			}
		}
		if ( $writes ) {
			$this->lose();
		}
		return null;
	}

	/**
	 * Runs a visitor's write on the connection, which has answered this page before: a late answer
	 * would be worse than one that is waited for, since a lost write costs the whole site its epoch.
	 */
	private function patiently( callable $commands ): mixed {
		$redis = $this->redis;
		$redis->setOption( \Redis::OPT_READ_TIMEOUT, $this->proven ? self::WORK : $this->wait );
		try {
			return $commands( $redis, $this->generation );
		} finally {
			$redis->setOption( \Redis::OPT_READ_TIMEOUT, $this->wait );
		}
	}

	/** Whether the server is there, connecting if need be. */
	public function connected(): bool {
		return null !== $this->redis || true === $this->run( static fn() => true, false );
	}

	/** The server works: the others of the task may use it too. */
	private function answered(): void {
		$this->proven = true;
		$this->retry  = 0;
		if ( ! $this->shared ) {
			return;
		}
		if ( $this->down !== self::DOWN ) {
			apcu_delete( $this->down );
		}
		if ( apcu_exists( self::DOWN ) && apcu_delete( self::DOWN ) ) {
			error_log( "platen: object cache {$this->store['host']}:{$this->store['port']} is back" );
		}
	}

	/** A mark of the writes that were lost in this task, or 0. Pass it to recovered(). */
	public function lost(): int {
		return $this->shared ? (int) apcu_fetch( self::LOST ) : $this->lost;
	}

	/** Forgets lost writes after the caller made them harmless, unless more were lost since. */
	public function recovered( int $mark ): void {
		$this->shared ? apcu_cas( self::LOST, $mark, 0 ) : $this->lost = 0;
	}

	/** Remembers that the cache may hold what the database no longer says. */
	private function lose(): void {
		$this->lost = random_int( 1, PHP_INT_MAX );
		if ( $this->shared ) {
			apcu_store( self::LOST, $this->lost );
		}
	}

	/** Whether the next try goes elsewhere: to the primary that the answer names, or to the endpoint. */
	private function elsewhere( string $answer ): bool {
		if ( $this->store['cluster'] && 1 === preg_match( '/^MOVED \d+ (.*):(\d+)$/', $answer, $to ) ) {
			$this->primary = ( '' === $to[1] ? $this->store['host'] : $to[1] ) . ":$to[2]";
			if ( $this->shared ) {
				apcu_store( self::PRIMARY, $this->primary );
			}
			return true;
		}
		if ( 1 === preg_match( self::NOT_I, $answer ) ) {
			$this->forgetPrimary();
			return true;
		}
		return false;
	}

	/** True: the endpoint is asked again. False when this was no failure of the line. */
	private function forget( \RedisException $e ): bool {
		$this->forgetPrimary();
		return 1 !== preg_match( '/^(?:WRONGPASS|NOAUTH|NOPERM|ERR|OOM)\b|certificate/i', $e->getMessage() );
	}

	private function forgetPrimary(): void {
		$this->primary = '';
		if ( $this->shared ) {
			apcu_delete( self::PRIMARY );
		}
	}

	/** While the server is gone only one process of the task tries, each PAUSE seconds. */
	private function mayTry(): bool {
		if ( time() < $this->retry ) {
			return false;
		}
		$due = $this->shared ? (int) apcu_fetch( $this->down ) : 0;
		if ( 0 === $due || ( time() >= $due && apcu_cas( $this->down, $due, time() + self::PAUSE ) ) ) {
			return true;
		}
		$this->retry = time() + self::PAUSE; // a request does not change its mind in the middle
		return false;
	}

	/** @throws \RedisException */
	private function open(): \Redis {
		$primary = $this->shared ? (string) apcu_fetch( self::PRIMARY ) : $this->primary;
		$colon   = (int) strrpos( $primary, ':' );
		$redis   = '' === $primary
			? $this->connect( $this->store['host'], (int) $this->store['port'] )
			: $this->connect( substr( $primary, 0, $colon ), (int) substr( $primary, $colon + 1 ) );
		++$this->generation;
		$this->proven = false;
		return $redis;
	}

	/** @throws \RedisException */
	private function connect( string $host, int $port ): \Redis {
		$redis = new \Redis();
		// phpredis would otherwise try ten times in silence, each with its own time-out.
		$redis->setOption( \Redis::OPT_MAX_RETRIES, 0 );
		$stream = array_filter( array( 'cafile' => $this->store['ca'] ) ) + array(
			'verify_peer'      => true,
			'verify_peer_name' => true,
		);
		if ( false !== filter_var( $host, FILTER_VALIDATE_IP ) ) {
			// A certificate names hosts. One that is good for the endpoint is good for its nodes.
			$stream['peer_name'] = $this->store['host'];
			$host                = str_contains( $host, ':' ) ? "[$host]" : $host;
		}
		$warned = null;
		set_error_handler(
			static function ( int $level, string $message ) use ( &$warned ): bool {
				$warned ??= $message; // the first names the cause (a certificate), the rest its effects
				return true;
			}
		);
		try {
			$ok = $redis->pconnect( "tls://$host", $port, $this->wait, 'platen-objects', 0, $this->wait, array( 'auth' => array( $this->store['token'] ), 'stream' => $stream ) );
		} catch ( \RedisException $e ) {
			throw null === $warned ? $e : new \RedisException( $warned, 0, $e );
		} finally {
			restore_error_handler();
		}
		if ( ! $ok ) {
			throw new \RedisException( $warned ?? 'cannot connect' );
		}
		return $redis;
	}

	private function close(): void {
		// A connection that timed out may still get the answer, which the next command would take for its own.
		try {
			$this->redis?->close();
		} catch ( \RedisException ) {
			// It is gone either way.
		}
		$this->redis = null;
	}

	private function fail( \RedisException $e ): void {
		$this->close();
		$this->forgetPrimary();
		$this->retry = time() + self::PAUSE;
		if ( ! $this->shared || ! apcu_exists( $this->down ) ) {
			error_log( "platen: object cache {$this->store['host']}:{$this->store['port']}: {$e->getMessage()}; running without it, trying again every " . self::PAUSE . ' s' );
		}
		if ( $this->shared ) {
			apcu_store( $this->down, $this->retry );
		}
	}
}
