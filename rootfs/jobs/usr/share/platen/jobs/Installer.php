<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Makes the database fit the release: installs WordPress into an empty one, upgrades an older one,
 * leaves any other alone. It can be killed at any point and run again, also by two at once: a row
 * lock, which ends with its connection, lets one in. When a server is gone it throws.
 */
final class Installer {

	private const LOCK       = 'install';
	private const UNFINISHED = 'installing'; // the row stands from before the first table until all is done
	private const WAIT       = 120;          // seconds for another installer
	private const PATIENCE   = 15;           // seconds: the endpoint may still follow a node that was just replaced
	private const PERMALINKS = '/%postname%/';

	private readonly Database $lock;  // its transaction holds the row
	private readonly Database $state; // what it writes stays, whatever happens to the lock
	private ?int $stored = null;      // the database's version before; null: not installed

	/** @param array<string, mixed> $config */
	public function __construct( private readonly array $config ) {
		$this->lock  = new Database( $config['db'], self::WAIT + 10, self::PATIENCE );
		$this->state = new Database( $config['db'], 30, self::PATIENCE );
	}

	/** Before WordPress is loaded: waits for its turn and looks at what is there. */
	public function prepare(): void {
		$this->enter();
		$this->clearUnfinished();
		$this->stored = $this->storedVersion();
		if ( null === $this->stored ) {
			$this->state->run( 'INSERT IGNORE INTO ' . Lease::table() . ' (name, expires) VALUES (?, UNIX_TIMESTAMP())', array( self::UNFINISHED ) );
			$this->forgetCache(); // it may still hold another database's options
		}
	}

	/**
	 * After prepare() and with WordPress loaded: installs or upgrades.
	 *
	 * @param array{title: string, user: string, email: string} $site
	 * @return array{installed: bool, upgraded: bool, version: string, db_version: int}
	 */
	public function finish( array $site ): array {
		global $wp_db_version;
		$install = null === $this->stored;
		$upgrade = ! $install && $this->stored < $wp_db_version; // newer: another release upgraded it, and both work
		if ( $install ) {
			$this->install( $site );
			$this->state->run( 'DELETE FROM ' . Lease::table() . ' WHERE name = ?', array( self::UNFINISHED ) );
		} elseif ( $upgrade ) {
			require_once ABSPATH . 'wp-admin/includes/upgrade.php';
			wp_upgrade();
		}
		if ( $this->setAddress() || $install || $upgrade ) {
			wp_cache_flush();
		}
		$now = $this->storedVersion();
		if ( null === $now || $now < $wp_db_version ) {
			throw new \RuntimeException( "the database has version $now after the upgrade, the release needs $wp_db_version" );
		}
		return array(
			'installed'  => $install,
			'upgraded'   => $upgrade,
			'version'    => wp_get_wp_version(),
			'db_version' => $now,
		);
	}

	private function enter(): void {
		Lease::prepare( $this->state );
		$this->state->run( 'INSERT IGNORE INTO ' . Lease::table() . ' (name) VALUES (?)', array( self::LOCK ) );
		$this->lock->run( 'SET SESSION innodb_lock_wait_timeout = ' . self::WAIT );
		$this->lock->run( 'START TRANSACTION' );
		try {
			$this->lock->run( 'SELECT name FROM ' . Lease::table() . ' WHERE name = ? FOR UPDATE', array( self::LOCK ) );
		} catch ( \mysqli_sql_exception $e ) {
			throw new \RuntimeException( 'another install job has been running for ' . self::WAIT . " s; wait for it or end it ({$e->getMessage()})", 0, $e );
		}
	}

	/**
	 * Begins anew after an installation that was killed: core cannot go on in the middle of its own.
	 * Only that is ever dropped: the row says it never came to its end, and nobody has used it.
	 */
	private function clearUnfinished(): void {
		if ( array() === $this->state->run( 'SELECT name FROM ' . Lease::table() . ' WHERE name = ?', array( self::UNFINISHED ) ) ) {
			return;
		}
		$prefix = Config::TABLE_PREFIX;
		$tables = array_column(
			$this->state->run(
				'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE ? AND table_name <> ?',
				array( addcslashes( $prefix, '_%' ) . '%', Lease::table() )
			),
			'name'
		);
		$limits = array( "{$prefix}users" => 1, "{$prefix}posts" => 5, "{$prefix}comments" => 1 ); // what core itself makes
		foreach ( array_intersect_key( $limits, array_flip( $tables ) ) as $table => $most ) {
			$rows = $this->state->run( "SELECT COUNT(*) AS n FROM `$table`" )[0]['n'];
			if ( $rows > $most ) {
				throw new \RuntimeException( "an installation was interrupted, but $table has $rows rows, so somebody uses it. Nothing was changed. If the site is complete, run: DELETE FROM " . Lease::table() . " WHERE name = '" . self::UNFINISHED . "'" );
			}
		}
		foreach ( $tables as $table ) {
			$this->state->run( "DROP TABLE `$table`" );
		}
	}

	/** Null when WordPress is not installed. */
	private function storedVersion(): ?int {
		$tables = $this->state->run(
			'SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
			array( Config::TABLE_PREFIX . 'options' )
		);
		if ( array() === $tables ) {
			return null;
		}
		$rows = $this->state->run( 'SELECT option_value FROM ' . Config::TABLE_PREFIX . "options WHERE option_name = 'db_version'" );
		return array() === $rows ? null : (int) $rows[0]['option_value'];
	}

	/** @param array{title: string, user: string, email: string} $site */
	private function install( array $site ): void {
		if ( '' === $this->config['admin_password'] ) {
			throw new \RuntimeException( 'no administrator password: the secret admin_password is empty' );
		}
		// Set first: core would otherwise ask the site itself for a permalink, which nobody serves yet.
		add_action( 'populate_options', static fn() => update_option( 'permalink_structure', self::PERMALINKS ) );
		require_once ABSPATH . 'wp-admin/includes/upgrade.php';
		$result = wp_install( $site['title'], $site['user'], $site['email'], true, '', wp_slash( $this->config['admin_password'] ) );
		if ( ! get_userdata( (int) $result['user_id'] ) ) {
			throw new \RuntimeException( "WordPress could not make the administrator {$site['user']} <{$site['email']}>" );
		}
		// Core asks who sees a password that it made itself to change it; this one is the administrator's.
		delete_user_meta( $result['user_id'], 'default_password_nag' );
		update_option( 'timezone_string', 'UTC' );

		global $wp_rewrite;
		$wp_rewrite->init();
		create_initial_taxonomies(); // made before there were permalinks, they have none: /category/… led nowhere
		$wp_rewrite->flush_rules( false );
	}

	/** Writes the address where plugins read it past WordPress' constants. True when it was another. */
	private function setAddress(): bool {
		global $wpdb;
		$changed = 0;
		foreach ( array( 'home', 'siteurl' ) as $option ) {
			// update_option() would compare with the constant and write nothing.
			$changed += (int) $wpdb->update( $wpdb->options, array( 'option_value' => $this->config['home'] ), array( 'option_name' => $option ) );
		}
		return $changed > 0;
	}

	private function forgetCache(): void {
		( new ObjectCache( new ValkeyConnection( $this->config['objects'] ), '' ) )->flush();
	}
}
