<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Closes the scripts of core that install, upgrade or repair a site over the web. nginx closes
 * them too; this holds when a request reaches PHP another way. wp-config.php is no page either.
 */
final class Gate {

	private const CLOSED = array( 'install.php', 'upgrade.php', 'setup-config.php', 'repair.php' );

	/** Answers 404 and ends the request when its script is a closed one. Jobs pass. */
	public static function check(): void {
		// The first included file is the script that runs, whatever the request's headers claim.
		$script = get_included_files()[0] ?? '';
		if ( 'cli' !== PHP_SAPI && self::closed( $script ) ) {
			http_response_code( 404 );
			header( 'Content-Type: text/plain; charset=utf-8' );
			exit( "Not found: this site is installed and upgraded by Platen's jobs.\n" );
		}
	}

	/** Whether a script, by its path, is closed. */
	public static function closed( string $script ): bool {
		$name = basename( $script );
		return 'wp-config.php' === $name || ( str_contains( $script, '/wp-admin/' ) && in_array( $name, self::CLOSED, true ) );
	}
}
