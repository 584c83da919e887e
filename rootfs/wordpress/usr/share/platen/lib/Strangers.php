<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Tells visitors no list of who can log in: an author's address holds his login name. Pages of
 * authors that somebody links to stay as they are. No server is asked.
 */
final class Strangers {

	public function register(): void {
		add_filter( 'request', array( $this, 'query' ) );
		add_filter( 'rest_pre_dispatch', array( $this, 'dispatch' ), 10, 3 );
		add_filter( 'wp_sitemaps_add_provider', array( $this, 'sitemap' ), 10, 2 );
	}

	/**
	 * No /wp-sitemap-users-1.xml, and no /?author=1 in any spelling, by GET and POST: nginx closes the plainest ones without PHP.
	 *
	 * @param array<string, mixed> $vars
	 * @return array<string, mixed>
	 */
	public function query( array $vars ): array {
		$names = isset( $vars['author'] ) && ! is_admin() && ! is_user_logged_in();
		// A sitemap that there is not shows the front page, says core.
		if ( $names || 'users' === ( $vars['sitemap'] ?? '' ) ) {
			return array( 'error' => '404' );
		}
		return $vars;
	}

	/** The REST API's users, unless the site asks for them: PLATEN_REST_USERS of web.php.env. */
	public function dispatch( mixed $result, mixed $server, \WP_REST_Request $request ): mixed {
		$open = defined( 'PLATEN_REST_USERS' ) && true === \PLATEN_REST_USERS;
		// Routes are looked up by an expression that does not mind upper case.
		if ( null === $result && ! $open && 1 === preg_match( '#^/wp/v2/users(?:/|$)#i', $request->get_route() ) && ! is_user_logged_in() ) {
			return new \WP_Error( 'rest_user_cannot_view', 'Users are not listed to visitors.', array( 'status' => 401 ) );
		}
		return $result;
	}

	/** Takes it out of the list of sitemaps. */
	public function sitemap( mixed $provider, string $name ): mixed {
		return 'users' === $name ? false : $provider;
	}
}
