<?php
declare( strict_types=1 );

namespace Platen;

/** "Purge page cache" in the admin bar: this page for editors, all pages for administrators. */
final class PurgeButton {

	private const ACTION = 'platen_purge';
	private const SAID   = 'platen_purged';

	public function __construct( private readonly Purge $purge ) {
	}

	public function register(): void {
		add_action( 'admin_bar_menu', array( $this, 'menu' ), 100 );
		add_action( 'admin_post_' . self::ACTION, array( $this, 'press' ) );
		add_action( 'admin_notices', array( $this, 'notice' ) );
		add_filter( 'removable_query_args', static fn( array $args ) => array( ...$args, self::SAID ) );
	}

	public function menu( \WP_Admin_Bar $bar ): void {
		$here = (string) ( $_SERVER['REQUEST_URI'] ?? '/' );
		if ( ! is_admin() && current_user_can( 'edit_others_posts' ) ) {
			$this->node( $bar, 'platen-purge', 'Purge this page from the cache', array( 'scope' => 'page', 'path' => $here ) );
		}
		if ( current_user_can( 'manage_options' ) ) {
			$this->node( $bar, 'platen-purge-all', 'Purge page cache', array( 'scope' => 'all', 'path' => $here ) );
		}
		if ( ! is_admin() && '' !== $this->said() ) {
			$bar->add_node( array( 'id' => 'platen-purged', 'title' => esc_html( $this->said() ) ) );
		}
	}

	/** @param array<string, string> $args */
	private function node( \WP_Admin_Bar $bar, string $id, string $title, array $args ): void {
		$url = add_query_arg( array( 'action' => self::ACTION ) + array_map( 'rawurlencode', $args ), admin_url( 'admin-post.php' ) );
		$bar->add_node( array( 'id' => $id, 'title' => $title, 'href' => wp_nonce_url( $url, self::ACTION ) ) );
	}

	/** Purges and leads back. Says no to who may not. */
	public function press(): void {
		check_admin_referer( self::ACTION );
		$all = 'all' === ( $_GET['scope'] ?? '' );
		if ( ! current_user_can( $all ? 'manage_options' : 'edit_others_posts' ) ) {
			wp_die( 'You may not purge the page cache.', '', array( 'response' => 403 ) );
		}
		$path = wp_sanitize_redirect( '/' . ltrim( (string) wp_unslash( $_GET['path'] ?? '/' ), '/\\' ) );
		$this->purge->add( $all ? Changes::ALL : PageTags::ofPath( $path ) );
		wp_safe_redirect( add_query_arg( self::SAID, $all ? 'all' : 'page', $path ) );
		exit;
	}

	public function notice(): void {
		if ( '' !== $this->said() ) {
			wp_admin_notice( esc_html( $this->said() ), array( 'type' => 'success', 'dismissible' => true ) );
		}
	}

	private function said(): string {
		return match ( $_GET[ self::SAID ] ?? '' ) {
			'all'   => 'The page cache is purged on all tasks: each page is made anew.',
			'page'  => 'This page is purged from the cache on all tasks.',
			default => '',
		};
	}
}
