<?php
declare( strict_types=1 );

namespace Platen;

/**
 * What the task was told, read from the file that the agent renders, and its translation into
 * WordPress' constants.
 */
final class Config {

	public const FILE         = '/run/php/config.php';
	public const TABLE_PREFIX = 'wp_';

	/**
	 * Constants that the site's own settings (`web.php.env`) may not bring, because the platform
	 * depends on their being absent. Those that define() sets itself are safe by coming first.
	 */
	private const RESERVED = array(
		'ABSPATH', 'WP_INSTALLING', 'WP_SETUP_CONFIG', 'WP_CONTENT_DIR', 'WP_CONTENT_URL', 'WP_PLUGIN_DIR',
		'WP_LANG_DIR', 'WPINC', 'SHORTINIT', 'PLATEN_JOB', 'DOING_CRON', 'WP_ADMIN', 'WP_CLI', 'COOKIEHASH',
		'ALTERNATE_WP_CRON', 'FTP_HOST', 'FTP_USER', 'FTP_PASS', 'WP_TEMP_DIR', 'CUSTOM_USER_TABLE',
		'CUSTOM_USER_META_TABLE',
	);

	/** @var array<string, mixed>|null */
	private static ?array $values = null;

	/**
	 * All keys of the rendered file; see internal/agent for their meaning. Without the file nothing
	 * can run: a web request is answered with 503, a job ends with an error.
	 *
	 * @return array<string, mixed>
	 */
	public static function values(): array {
		if ( null === self::$values ) {
			if ( ! is_readable( self::FILE ) ) {
				self::refuse( 'read ' . self::FILE . ': not readable; the agent (or platen-job) renders it before PHP starts' );
			}
			self::$values = require self::FILE;
		}
		return self::$values;
	}

	/** Defines WordPress' constants: first the platform's, then the site's own where still free. */
	public static function define(): void {
		$c = self::values();
		// Where these are not needed the site may still ask for them itself.
		$strict = array_filter(
			array(
				'DISALLOW_FILE_MODS' => 'shared' !== $c['content'],
				'FORCE_SSL_ADMIN'    => str_starts_with( $c['home'], 'https:' ),
			)
		);

		foreach ( array(
			'DB_NAME'                      => $c['db']['name'],
			'DB_USER'                      => $c['db']['user'],
			'DB_PASSWORD'                  => $c['db']['password'],
			'DB_HOST'                      => $c['db']['writer'],
			'DB_CHARSET'                   => 'utf8mb4',
			'DB_COLLATE'                   => 'utf8mb4_unicode_520_ci',
			'MYSQL_CLIENT_FLAGS'           => self::mysqlFlags(),

			// Constants: no database row decides under which address the site answers.
			'WP_HOME'                      => $c['home'],
			'WP_SITEURL'                   => $c['home'],

			'WPMU_PLUGIN_DIR'              => '/usr/share/platen/mu-plugins',
			'FS_METHOD'                    => 'direct',
			'FS_CHMOD_DIR'                 => 0755,
			'FS_CHMOD_FILE'                => 0644,
			'WP_AUTO_UPDATE_CORE'          => false,
			'WP_ALLOW_REPAIR'              => false,
			'DISABLE_WP_CRON'              => true, // the agent runs it, once a minute for the whole site

			// nginx serves the single files; load-scripts.php would cost a PHP process for each page.
			'CONCATENATE_SCRIPTS'          => false,
			// The image leaves out the scripts that are not minified.
			'SCRIPT_DEBUG'                 => false,
			// Errors go to php's error_log, which is standard error; never to the page nor to the share.
			'WP_DEBUG_LOG'                 => false,
			'WP_DEBUG_DISPLAY'             => false,
			'WP_ENVIRONMENT_TYPE'          => self::environmentType( $c['env'] ),
		) + $strict + $c['keys'] as $name => $value ) {
			defined( $name ) || define( $name, $value );
		}

		foreach ( $c['constants'] as $name => $value ) {
			if ( ! defined( $name ) && ! in_array( $name, self::RESERVED, true ) ) {
				define( $name, $value );
			}
		}
		defined( 'WP_DEBUG' ) || define( 'WP_DEBUG', false );
	}

	/**
	 * Names from the site's settings that had no effect, since they are the platform's.
	 *
	 * @return list<string>
	 */
	public static function ignored(): array {
		$ignored = array();
		foreach ( self::values()['constants'] as $name => $value ) {
			if ( ! defined( $name ) || constant( $name ) !== $value ) {
				$ignored[] = $name;
			}
		}
		return $ignored;
	}

	/**
	 * Flags for every connection to the database. With CLIENT_SSL alone mysqlnd encrypts but
	 * believes any certificate; only the second flag makes it check chain and host name: against
	 * db.ca where Database opens it, against openssl.cafile of php.ini where a plugin does.
	 */
	public static function mysqlFlags(): int {
		$verify = '' === self::values()['db']['ca'] ? 0 : MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT;
		return MYSQLI_CLIENT_SSL | $verify;
	}

	/** Whether the request carries the site's token, which opens what is not for visitors. */
	public static function tokenMatches(): bool {
		$token = self::values()['site_token'];
		return '' !== $token && hash_equals( $token, (string) ( $_SERVER['HTTP_X_PLATEN_TOKEN'] ?? '' ) );
	}

	/** Prints why nothing can run, to whoever asked, and ends the request. */
	private static function refuse( string $why ): never {
		if ( 'cli' === PHP_SAPI ) {
			fwrite( STDERR, "platen: $why\n" );
			exit( 1 );
		}
		error_log( "platen: $why" );
		http_response_code( 503 );
		header( 'Retry-After: 5' );
		exit( "This site is not ready yet.\n" );
	}

	private static function environmentType( string $env ): string {
		return match ( $env ) {
			'local', 'development', 'staging' => $env,
			'dev'                             => 'development',
			default                           => 'production',
		};
	}
}
