<?php
declare( strict_types=1 );

namespace Platen;

/** Notices when WordPress writes PHP files to the share, and announces it to all tasks. */
final class ContentChanges {

	private bool $pending = false;

	public function __construct( private readonly string $content ) {
	}

	public function register(): void {
		add_filter( 'wp_opcache_invalidate_file', array( $this, 'written' ) );
		// First in line: what others do on these hooks may already reach another task.
		add_action( 'upgrader_process_complete', array( $this, 'announce' ), PHP_INT_MIN );
		add_action( 'deleted_plugin', array( $this, 'announce' ), PHP_INT_MIN );
		add_action( 'deleted_theme', array( $this, 'announce' ), PHP_INT_MIN );
		add_action( 'shutdown', array( $this, 'settle' ) );
	}

	/**
	 * Core asks this filter after each PHP file it has written. An upgrade writes hundreds and
	 * announces once; the editor writes one and then asks the site, any task, whether it still runs.
	 */
	public function written( bool $invalidate ): bool {
		if ( class_exists( 'WP_Upgrader', false ) ) {
			$this->pending = true;
		} else {
			$this->announce();
			usleep( ContentVersion::SPREAD ); // or a task that has the old code says that the new one works
		}
		return $invalidate;
	}

	/** Announces; when the share cannot be written the log says so and the request goes on. */
	public function announce(): void {
		$this->pending = ! ContentVersion::announce( $this->content );
	}

	/** Announces what an upgrade wrote without coming to its end. */
	public function settle(): void {
		if ( $this->pending ) {
			$this->announce();
		}
	}
}
