<?php
declare( strict_types=1 );

namespace Platen;

/**
 * One TLS connection to the object cache, and the breaker that keeps a dead cache from costing
 * every request a time-out.
 *
 * When the server is gone: the command returns null, the failure is logged once, and for PAUSE
 * seconds no process of this task tries again. Nothing throws. Writes that were lost meanwhile are
 * remembered, and before the first read after the outage all entries get a new epoch, so that what
 * the cache still holds from before is never served.
 */
final class ValkeyConnection {

	private const CONNECT = 0.5; // seconds, each address
	private const READ    = 1.0; // seconds, a command
	private const PAUSE   = 5;   // seconds between tries while the server is gone

	private const DOWN = 'platen.objects.down'; // when the next try is due, while the server is gone
	private const LOST = 'platen.objects.lost';

	private ?\Redis $redis = null;
	private int $generation = 0; // connections made so far
	private int $retry      = 0; // when this process tries again; 0: no failure yet
	private int $lost       = 0; // stands in for LOST where APCu is not there (jobs)
	private bool $shared;        // whether the breaker is shared by the task's processes

	/** @param array{host: string, port: int, token: string, cluster: bool, ca: string} $store */
	public function __construct( private readonly array $store ) {
		$this->shared = function_exists( 'apcu_enabled' ) && apcu_enabled();
	}

	/**
	 * Runs commands on the connection. Null when the server is gone.
	 *
	 * @template T
	 * @param callable(\Redis): T $commands
	 * @param bool                $writes   whether a failure leaves an older value in the cache
	 * @return T|null
	 */
	public function run( callable $commands, bool $writes ): mixed {
		$redis = $this->connected();
		if ( null !== $redis ) {
			try {
				return $commands( $redis );
			} catch ( \RedisException $e ) {
				$this->fail( $e );
			}
		}
		if ( $writes ) {
			$this->lose();
		}
		return null;
	}

	/** Counts the connections that were made; 0 while the server is gone. */
	public function generation(): int {
		return null === $this->connected() ? 0 : $this->generation;
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

	private function connected(): ?\Redis {
		if ( null !== $this->redis || ! $this->mayTry() ) {
			return $this->redis;
		}
		try {
			$this->redis = $this->connect();
			++$this->generation;
			$this->retry = 0;
			if ( $this->shared && apcu_exists( self::DOWN ) && apcu_delete( self::DOWN ) ) {
				error_log( "platen: object cache {$this->store['host']}:{$this->store['port']} is back" );
			}
		} catch ( \RedisException $e ) {
			$this->fail( $e );
		}
		return $this->redis;
	}

	/** While the server is gone only one process of the task tries, each PAUSE seconds. */
	private function mayTry(): bool {
		if ( time() < $this->retry ) {
			return false;
		}
		$due = $this->shared ? (int) apcu_fetch( self::DOWN ) : 0;
		if ( 0 === $due || ( time() >= $due && apcu_cas( self::DOWN, $due, time() + self::PAUSE ) ) ) {
			return true;
		}
		$this->retry = time() + self::PAUSE; // a request does not change its mind in the middle
		return false;
	}

	/** @throws \RedisException */
	private function connect(): \Redis {
		$redis = new \Redis();
		// phpredis would otherwise try ten times in silence, each with its own time-out.
		$redis->setOption( \Redis::OPT_MAX_RETRIES, 0 );
		$warned = null;
		set_error_handler(
			static function ( int $level, string $message ) use ( &$warned ): bool {
				$warned ??= $message; // the first names the cause (a certificate), the rest its effects
				return true;
			}
		);
		try {
			$ok = $redis->pconnect(
				'tls://' . $this->store['host'],
				(int) $this->store['port'],
				self::CONNECT,
				'platen-objects',
				0,
				self::READ,
				array(
					'auth'   => array( $this->store['token'] ),
					'stream' => array_filter( array( 'cafile' => $this->store['ca'] ) ) + array(
						'verify_peer'      => true,
						'verify_peer_name' => true,
					),
				)
			);
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

	private function fail( \RedisException $e ): void {
		// A connection that timed out may still get the answer, which the next command would take for its own.
		try {
			$this->redis?->close();
		} catch ( \RedisException ) {
			// It is gone either way.
		}
		$this->redis = null;
		$this->retry = time() + self::PAUSE;
		if ( ! $this->shared || ! apcu_exists( self::DOWN ) ) {
			error_log( "platen: object cache {$this->store['host']}:{$this->store['port']}: {$e->getMessage()}; running without it, trying again every " . self::PAUSE . ' s' );
		}
		if ( $this->shared ) {
			apcu_store( self::DOWN, $this->retry );
		}
	}
}
