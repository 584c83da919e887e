<?php
/** What wpdb needs of WordPress, so that it can be tested without all of it. */

declare( strict_types=1 );

define( 'ABSPATH', '/usr/share/wordpress/' );
define( 'WPINC', 'wp-includes' );
define( 'WP_DEBUG', false );
define( 'WP_DEBUG_DISPLAY', false );
define( 'WP_CONTENT_DIR', '/tmp' );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', 'utf8mb4_unicode_520_ci' );

require ABSPATH . WPINC . '/plugin.php';
require ABSPATH . WPINC . '/class-wp-error.php';

function is_multisite(): bool {
	return false;
}
function is_wp_error( mixed $thing ): bool {
	return $thing instanceof WP_Error;
}
function __( string $text ): string {
	return $text;
}
function wp_load_translations_early(): void {
}
function wp_debug_backtrace_summary(): array {
	return array();
}

require ABSPATH . WPINC . '/class-wpdb.php';
foreach ( array( 'Config', 'Database', 'Freshness', 'Sql', 'Replica', 'Link', 'SplitDatabase' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}
