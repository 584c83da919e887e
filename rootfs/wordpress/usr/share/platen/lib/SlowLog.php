<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Says, in one line of JSON, where the time of a slow request went. php-fpm's own slow log does not
 * know the request's id and stops the process by ptrace. What is measured costs a few dozen
 * microseconds a request; no server is asked.
 */
final class SlowLog {

	private const LIMIT = 3.0; // seconds; PLATEN_SLOW of web.php.env says otherwise, 0 = never

	// Ends of WordPress' own stages, in their order.
	private const STAGES = array(
		'muplugins_loaded'  => 'core',
		'plugins_loaded'    => 'plugins',
		'after_setup_theme' => 'theme',
		'init'              => 'init',
		'wp'                => 'query',
		'template_redirect' => 'template',
		'shutdown'          => 'page',
	);

	/** @var array<string, float> seconds since the request began, by stage */
	private array $ends = array();
	/** @var array<string, float> seconds that each host was waited for */
	private array $hosts  = array();
	private float $asked  = 0.0;
	private int $requests = 0;
	/** @var array<string, int> of this process before the request's plugins */
	private readonly array $usage;

	public function __construct() {
		$this->usage = getrusage();
	}

	public function register(): void {
		foreach ( self::STAGES as $hook => $stage ) {
			add_action(
				$hook,
				function () use ( $stage ): void {
					$this->ends[ $stage ] ??= self::elapsed();
				},
				'shutdown' === $hook ? PHP_INT_MIN : PHP_INT_MAX
			);
		}
		add_filter( 'pre_http_request', array( $this, 'asks' ), PHP_INT_MAX );
		add_action( 'http_api_debug', array( $this, 'answered' ), PHP_INT_MIN, 5 );
		// The last of all shutdown functions: those of plugins may be what takes long.
		register_shutdown_function( static fn( self $log ) => register_shutdown_function( array( $log, 'settle' ) ), $this );
	}

	/** A request to another server begins. */
	public function asks( mixed $answer ): mixed {
		$this->asked = microtime( true );
		return $answer;
	}

	/** It ended, whatever came of it. */
	public function answered( mixed $response, string $context, string $class, mixed $arguments, string $url ): void {
		$host = (string) parse_url( $url, PHP_URL_HOST );
		++$this->requests;
		$this->hosts[ $host ] = ( $this->hosts[ $host ] ?? 0.0 ) + microtime( true ) - $this->asked;
	}

	/** At the very end of the request: writes the line when it took too long. */
	public function settle(): void {
		$seconds = self::elapsed();
		$limit   = defined( 'PLATEN_SLOW' ) ? (float) \PLATEN_SLOW : self::LIMIT;
		if ( $limit > 0 && $seconds >= $limit ) {
			error_log( (string) json_encode( $this->line( $seconds ), JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PRESERVE_ZERO_FRACTION ) );
		}
	}

	/** @return array<string, mixed> */
	private function line( float $seconds ): array {
		global $wpdb;
		$stages = array();
		$before = 0.0;
		foreach ( $this->ends as $stage => $end ) {
			$stages[ $stage ] = round( $end - $before, 3 );
			$before           = $end;
		}
		$stages['after'] = round( $seconds - $before, 3 );
		arsort( $this->hosts );
		return array(
			'time'        => gmdate( 'Y-m-d\TH:i:s\Z' ),
			'level'       => 'warning',
			'stream'      => 'php',
			'message'     => 'slow request',
			'id'          => RequestLog::id(),
			'method'      => (string) ( $_SERVER['REQUEST_METHOD'] ?? '' ),
			'path'        => strtok( (string) ( $_SERVER['REQUEST_URI'] ?? '' ), '?' ), // a query can hold a key
			'status'      => http_response_code(),
			'seconds'     => round( $seconds, 3 ),
			'cpu_seconds' => round( self::cpu( getrusage() ) - self::cpu( $this->usage ), 3 ),
			'stages'      => $stages,
			'queries'     => (int) ( $wpdb->num_queries ?? 0 ),
			'http'        => array( 'requests' => $this->requests, 'hosts' => array_map( static fn( float $s ) => round( $s, 3 ), array_slice( $this->hosts, 0, 5 ) ) ),
			'memory'      => memory_get_peak_usage( true ),
		);
	}

	/** @param array<string, int> $usage */
	private static function cpu( array $usage ): float {
		return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec'] + ( $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'] ) / 1e6;
	}

	private static function elapsed(): float {
		return microtime( true ) - (float) $_SERVER['REQUEST_TIME_FLOAT'];
	}
}
