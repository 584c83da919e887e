<?php
declare( strict_types=1 );

namespace Platen;

/** Asks each tier behind this task whether it works, without WordPress. Nothing here throws. */
final class Probe {

	private const TIMEOUT = 1; // seconds, each wait

	/** @param array<string, mixed> $config */
	public function __construct( private readonly array $config, private readonly string $content ) {
	}

	/** @return array{ok: bool, checks: array<string, array{ok: bool, ms: float, error?: string}>} */
	public function run(): array {
		$checks = array(
			'database' => self::check( fn() => ( new Database( $this->config['db'], self::TIMEOUT ) )->run( 'SELECT 1' ) ),
			'sessions' => self::check( fn() => $this->ping( $this->config['sessions'] ) ),
			'objects'  => self::check( fn() => $this->ping( $this->config['objects'] ) ),
			'files'    => self::check( fn() => $this->write() ),
		);
		return array(
			'ok'     => ! in_array( false, array_column( $checks, 'ok' ), true ),
			'checks' => $checks,
		);
	}

	private static function check( callable $ask ): array {
		$start = hrtime( true );
		$error = null;
		set_error_handler(
			static function ( int $level, string $message ) use ( &$error ): bool {
				$error ??= $message;
				return true;
			}
		);
		try {
			$ask();
			$ok = true;
		} catch ( \Throwable $e ) {
			$ok      = false;
			$error ??= $e->getMessage();
		} finally {
			restore_error_handler();
		}
		$answer = array( 'ok' => $ok, 'ms' => round( ( hrtime( true ) - $start ) / 1e6, 1 ) );
		return $ok ? $answer : $answer + array( 'error' => $error );
	}

	private function ping( array $store ): void {
		$redis = new \Redis();
		$redis->setOption( \Redis::OPT_MAX_RETRIES, 0 );
		$redis->connect(
			'tls://' . $store['host'],
			(int) $store['port'],
			self::TIMEOUT,
			null,
			0,
			self::TIMEOUT,
			array( 'auth' => array( $store['token'] ), 'stream' => array_filter( array( 'cafile' => $store['ca'] ) ) )
		);
		if ( true !== $redis->ping() ) {
			throw new \RuntimeException( 'unexpected answer to PING' );
		}
		$redis->close();
	}

	/** A new file each time: an existing one could be writable on a share that is full. */
	private function write(): void {
		$folder = 'shared' === $this->config['content'] ? $this->content : "$this->content/uploads";
		$file   = "$folder/.platen-probe-" . bin2hex( random_bytes( 6 ) );
		$wrote  = file_put_contents( $file, 'probe' );
		if ( is_file( $file ) ) {
			unlink( $file );
		}
		if ( 5 !== $wrote ) {
			throw new \RuntimeException( "cannot write in $folder" );
		}
	}
}
