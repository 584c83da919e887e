<?php
/**
 * Tells this task's agent what changed on the site, as soon as something does: the agent asks with
 * ?since=ID and waits for up to 25 s. WordPress is not loaded. Prints one JSON object:
 * {"from":"writer","reset":false,"last":17,"changes":[{"id":17,"tags":"post-5 list-post"}]}
 * reset: what the agent has is not followed by what is in the log; "last" is where to go on, and
 * every page from before is to be dropped. Without since, the answer is a reset.
 */

declare( strict_types=1 );

foreach ( array( 'Config', 'Database', 'Changes', 'ValkeyConnection' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

const PLATEN_CHANGES_WAIT  = 25;  // seconds until an answer without news
const PLATEN_CHANGES_LOOK  = 1.0; // seconds between two looks at the log while no hint comes
const PLATEN_CHANGES_AWAY  = 5;   // seconds after which a writer that was away is tried again
const PLATEN_CHANGES_LEAVE = '/run/task/draining';

/** The connection to the log: of the writer, or of the reader endpoint while the writer is away. */
final class Platen_Changes_Source {

	public string $from = '';
	private ?Platen\Changes $log = null;
	private float $retry = 0.0;

	/** @param array<string, mixed> $db */
	public function __construct( private readonly array $db ) {
	}

	/**
	 * A reader that lags has the beginning of the log: never wrong, only late. It is asked only when
	 * the alternative is to know nothing.
	 *
	 * @template T
	 * @param callable(Platen\Changes, bool): T $ask
	 * @return T
	 */
	public function ask( callable $ask ): mixed {
		if ( 'reader' === $this->from && microtime( true ) >= $this->retry ) {
			$this->log = null;
		}
		if ( null !== $this->log ) {
			try {
				return $ask( $this->log, 'reader' === $this->from );
			} catch ( mysqli_sql_exception ) {
				$this->log = null; // connect again below
			}
		}
		try {
			$this->log  = new Platen\Changes( new Platen\Database( $this->db, 2 ) );
			$this->from = 'writer';
			return $ask( $this->log, false );
		} catch ( mysqli_sql_exception ) {
			$this->retry = microtime( true ) + PLATEN_CHANGES_AWAY;
			$this->log   = new Platen\Changes( new Platen\Database( array( 'writer' => $this->db['reader'] ) + $this->db, 2 ) );
			$this->from  = 'reader';
			return $ask( $this->log, true );
		}
	}
}

/** Waits for a hint, for a second at most. */
final class Platen_Changes_Hints {

	private string $seen = '';

	public function __construct( private readonly Platen\ValkeyConnection $server ) {
	}

	/** Remembers the newest hint: call it before looking at the log, so that none falls in between. */
	public function mark(): void {
		$newest     = $this->server->run( static fn( Redis $redis ) => $redis->xRevRange( Platen\Changes::HINTS, '+', '-', 1 ), false );
		$this->seen = is_array( $newest ) ? (string) ( array_key_first( $newest ) ?? '0-0' ) : '';
	}

	public function wait(): void {
		$until = microtime( true ) + PLATEN_CHANGES_LOOK;
		if ( '' !== $this->seen ) {
			$hints = $this->server->run(
				function ( Redis $redis ) {
					$patience = $redis->getOption( Redis::OPT_READ_TIMEOUT );
					$redis->setOption( Redis::OPT_READ_TIMEOUT, 3.0 ); // longer than the server blocks
					try {
						return $redis->xRead( array( Platen\Changes::HINTS => $this->seen ), 100, 900 );
					} finally {
						$redis->setOption( Redis::OPT_READ_TIMEOUT, $patience );
					}
				},
				false
			);
			$this->seen = null === $hints ? '' : $this->seen;
			if ( ! empty( $hints[ Platen\Changes::HINTS ] ) ) {
				$this->seen = (string) array_key_last( $hints[ Platen\Changes::HINTS ] );
				return;
			}
		}
		// The cache is gone, or does not block: the log is looked at once a second all the same.
		usleep( (int) max( 0, 1e6 * ( $until - microtime( true ) ) ) );
	}
}

/** @param array<string, mixed> $answer */
function platen_changes_answer( int $status, array $answer ): never {
	http_response_code( $status );
	header( 'Content-Type: application/json' );
	exit( json_encode( $answer, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE ) . "\n" );
}

$config = Platen\Config::values();
$source = new Platen_Changes_Source( $config['db'] );
$hints  = new Platen_Changes_Hints( new Platen\ValkeyConnection( $config['objects'], null, true ) );
$since  = isset( $_GET['since'] ) ? (int) $_GET['since'] : null;
$until  = microtime( true ) + PLATEN_CHANGES_WAIT;

try {
	$hints->mark();
	for ( $looks = 1; true; ++$looks ) {
		$changes = null === $since ? null : $source->ask( static fn( Platen\Changes $log, bool $behind ) => $log->since( $since, $behind ) );
		if ( null === $changes ) {
			$last = $source->ask( static fn( Platen\Changes $log ) => $log->last() );
			platen_changes_answer( 200, array( 'from' => $source->from, 'reset' => true, 'last' => $last, 'changes' => array() ) );
		}
		// A task that leaves waits for nobody; it asks again all the same.
		if ( array() !== $changes || microtime( true ) >= $until || ( $looks > 1 && file_exists( PLATEN_CHANGES_LEAVE ) ) ) {
			break;
		}
		$hints->wait();
	}
} catch ( mysqli_sql_exception $e ) {
	platen_changes_answer( 503, array( 'error' => "read the log of changes: {$e->getMessage()}" ) );
}
platen_changes_answer( 200, array( 'from' => $source->from, 'reset' => false, 'last' => array() === $changes ? $since : end( $changes )['id'], 'changes' => $changes ) );
