<?php
declare( strict_types=1 );

namespace Platen;

/** Makes Site Health ask what can be answered here, and tell what only the platform knows. */
final class SiteHealth {

	/** @param array<string, mixed> $config */
	public function __construct( private readonly array $config ) {
	}

	public function register(): void {
		add_filter( 'site_status_tests', array( $this, 'tests' ) );
		add_filter( 'site_status_test_php_modules', array( $this, 'modules' ) );
		add_filter( 'debug_information', array( $this, 'information' ) );
	}

	/**
	 * @param array{direct: array<string, mixed>, async: array<string, mixed>} $tests
	 * @return array{direct: array<string, mixed>, async: array<string, mixed>}
	 */
	public function tests( array $tests ): array {
		// Core asks whether it may replace its own files at night. It may not, and must not.
		unset( $tests['async']['background_updates'], $tests['direct']['wordpress_version'] );
		if ( 'shared' !== $this->config['content'] ) {
			// Nothing is written, so neither backups of a plugin nor space for it are needed.
			unset(
				$tests['direct']['plugin_theme_auto_updates'],
				$tests['direct']['update_temp_backup_writable'],
				$tests['direct']['available_updates_disk_space']
			);
		}
		if ( in_array( wp_parse_url( $this->config['home'], PHP_URL_HOST ), array( 'localhost', '127.0.0.1', '::1', '[::1]' ), true ) ) {
			unset( $tests['async']['https_status'] ); // no certificate can be had for this machine's own name
		}
		$tests['direct']['platen_release']      = array( 'label' => 'Release', 'test' => array( $this, 'release' ) );
		$tests['direct']['platen_object_cache'] = array( 'label' => 'Object cache', 'test' => array( $this, 'objectCache' ) );
		return $tests;
	}

	/**
	 * @param array<string, mixed> $modules
	 * @return array<string, mixed>
	 */
	public function modules( array $modules ): array {
		unset( $modules['imagick'] ); // the image has gd, which does the same for a fraction of the size
		return $modules;
	}

	/** @return array<string, mixed> whether the database fits the release */
	public function release(): array {
		global $wpdb, $wp_db_version;
		$stored = (int) $wpdb->get_var( "SELECT option_value FROM $wpdb->options WHERE option_name = 'db_version'" );
		if ( $stored < $wp_db_version ) {
			return $this->result(
				'platen_release',
				'critical',
				'The database is older than this release',
				sprintf( 'It has version %d, the release needs %d. Run <code>platen up</code>: its job upgrades the database before it starts tasks.', $stored, $wp_db_version )
			);
		}
		return $this->result(
			'platen_release',
			'good',
			sprintf( 'WordPress %s runs from the image', wp_get_wp_version() ),
			'WordPress itself, its drop-ins and must-use plugins are read-only and come with each release. <code>platen image update</code> and <code>platen up</code> bring newer ones; <code>platen status</code> shows what runs.'
				. ( $stored > $wp_db_version ? ' A newer release has already upgraded the database; both work with it.' : '' )
		);
	}

	/** @return array<string, mixed> whether the object cache answers */
	public function objectCache(): array {
		global $wp_object_cache;
		if ( $wp_object_cache instanceof ObjectCache && $wp_object_cache->connected() ) {
			return $this->result( 'platen_object_cache', 'good', 'The object cache answers', 'All tasks share it, over TLS. It may be emptied at any time; nobody is logged out by that.' );
		}
		return $this->result( 'platen_object_cache', 'critical', 'The object cache does not answer', 'The site works without it, slower, and tries again every few seconds. <code>platen status</code> shows the tier.' );
	}

	/**
	 * @param array<string, mixed> $info
	 * @return array<string, mixed>
	 */
	public function information( array $info ): array {
		$ignored        = Config::ignored();
		$info['platen'] = array(
			'label'  => 'Platen',
			'fields' => array(
				'site'    => array( 'label' => 'Site', 'value' => $this->config['site'] . ' / ' . $this->config['env'] ),
				'release' => array( 'label' => 'Release', 'value' => $this->config['release'] ?: '–' ),
				'task'    => array( 'label' => 'Task that answered', 'value' => gethostname() ),
				'content' => array( 'label' => 'Plugins and themes', 'value' => 'shared' === $this->config['content'] ? 'on the share, changed in wp-admin' : 'in the image, read-only' ),
				'ignored' => array( 'label' => 'Settings without effect (the platform’s)', 'value' => $ignored ? implode( ', ', $ignored ) : 'none' ),
			),
		);
		return $info;
	}

	/** @return array<string, mixed> */
	private function result( string $test, string $status, string $label, string $text ): array {
		return array(
			'label'       => $label,
			'status'      => $status,
			'badge'       => array( 'label' => 'Platform', 'color' => 'good' === $status ? 'blue' : 'red' ),
			'description' => "<p>$text</p>",
			'actions'     => '',
			'test'        => $test,
		);
	}
}
