<?php
declare( strict_types=1 );

namespace Platen;

/** What WordPress' own administration must not do, because the image and its jobs do it. */
final class Platform {

	/** @param array<string, mixed> $config */
	public function __construct( private readonly array $config ) {
	}

	public function register(): void {
		add_filter( 'map_meta_cap', array( $this, 'capabilities' ), 10, 2 );
		add_action( 'admin_init', array( $this, 'quiet' ) );
		add_action( 'admin_notices', array( $this, 'explain' ) );
		add_filter( 'send_core_update_notification_email', '__return_false' ); // it tells to press a button that is not there
		add_filter( 'update_footer', array( $this, 'footer' ), 20 );
		if ( ! defined( 'PLATEN_JOB' ) ) { // the job that upgrades must see the truth
			add_filter( 'option_db_version', array( $this, 'dbVersion' ) );
		}
		if ( ! headers_sent() && Config::tokenMatches() ) {
			header( 'X-Platen-Task: ' . gethostname() );
			header( 'X-Platen-Release: ' . $this->config['release'] );
		}
	}

	/**
	 * Nobody updates core: it is in the image, read-only.
	 *
	 * @param list<string> $caps
	 * @return list<string>
	 */
	public function capabilities( array $caps, string $cap ): array {
		return 'update_core' === $cap ? array( 'do_not_allow' ) : $caps;
	}

	/**
	 * While two releases overlap, the database already has the newer one's version. Core takes any
	 * difference as a reason to send wp-admin to upgrade.php, which is closed. What an older
	 * database lacks, Site Health says.
	 */
	public function dbVersion( mixed $stored ): mixed {
		global $wp_db_version;
		return is_numeric( $stored ) ? $wp_db_version : $stored;
	}

	/** Takes away notices that ask to do, or to ask somebody for, what wp-admin cannot do here. */
	public function quiet(): void {
		foreach ( array( 'admin_notices', 'network_admin_notices' ) as $hook ) {
			remove_action( $hook, 'update_nag', 3 );
			remove_action( $hook, 'maintenance_nag' );
		}
	}

	/** Says on the updates page how WordPress itself is updated. */
	public function explain(): void {
		if ( 'update-core' !== ( get_current_screen()->id ?? '' ) ) {
			return;
		}
		wp_admin_notice(
			sprintf(
				'<strong>WordPress %s is part of this site’s image.</strong> It is not updated here: <code>platen image update</code> takes the newest packages, <code>platen up</code> rolls them out without a pause. %s',
				esc_html( wp_get_wp_version() ),
				'shared' === $this->config['content']
					? 'Plugins, themes and translations are updated on this page, for all tasks at once.'
					: 'Plugins and themes are built into the image too (<code>content: image</code>).'
			),
			array( 'type' => 'info' )
		);
	}

	/** The version alone, without the link to an update. */
	public function footer( string $text ): string {
		return current_user_can( 'update_plugins' ) ? sprintf( 'Version %s', esc_html( wp_get_wp_version() ) ) : $text;
	}
}
