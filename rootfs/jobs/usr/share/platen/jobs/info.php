<?php
/** Prints what is installed: {"version":…,"db_version":…,"url":…,"theme":…,"plugins":[{"name","version","active"}]}. */

declare( strict_types=1 );

require __DIR__ . '/bootstrap.php';
require '/usr/share/wordpress/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';

$plugins = array();
foreach ( get_plugins() as $file => $plugin ) {
	$plugins[] = array(
		'name'    => $file,
		'version' => $plugin['Version'],
		'active'  => is_plugin_active( $file ),
	);
}
echo json_encode(
	array(
		'version'    => wp_get_wp_version(),
		'db_version' => (int) get_option( 'db_version' ),
		'url'        => home_url(),
		'theme'      => get_stylesheet(),
		'plugins'    => $plugins,
	),
	JSON_UNESCAPED_SLASHES
), "\n";
