<?php
/** Which constants the site's settings may bring, and which scripts are closed. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require_once '/usr/share/platen/lib/Config.php';
require_once '/usr/share/platen/lib/Gate.php';

use Platen\Config;
use Platen\Gate;

Config::define();

// The test gives these in web.php.env.
expect( 'an own constant', 3, WP_POST_REVISIONS );
expect( 'a switch', true, WP_DEBUG );
expect( 'cron stays the agent’s', true, DISABLE_WP_CRON );
expect( 'errors stay out of pages', false, WP_DEBUG_DISPLAY );
expect( 'and off the share', false, WP_DEBUG_LOG );
expect( 'the address stays', Config::values()['home'], WP_HOME );
expect( 'no repair page', false, WP_ALLOW_REPAIR );
expect( 'content stays where it is', false, defined( 'WP_CONTENT_DIR' ) );
$ignored = Config::ignored();
sort( $ignored );
expect( 'what has no effect is told', array( 'DISABLE_WP_CRON', 'WP_ALLOW_REPAIR', 'WP_CONTENT_DIR', 'WP_DEBUG_DISPLAY', 'WP_DEBUG_LOG', 'WP_HOME' ), $ignored );
expect( 'files may be changed on a share, until the site says no', false, defined( 'DISALLOW_FILE_MODS' ) );
expect( 'the database’s certificate is checked', MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT, MYSQL_CLIENT_FLAGS & MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT );
expect( 'eight keys, all different', 8, count( array_unique( array( AUTH_KEY, SECURE_AUTH_KEY, LOGGED_IN_KEY, NONCE_KEY, AUTH_SALT, SECURE_AUTH_SALT, LOGGED_IN_SALT, NONCE_SALT ) ) ) );

foreach ( array( 'wp-admin/install.php', 'wp-admin/upgrade.php', 'wp-admin/setup-config.php', 'wp-admin/maint/repair.php', 'wp-admin/network/upgrade.php', 'wp-config.php' ) as $script ) {
	expect( "$script is closed", true, Gate::closed( "/usr/share/wordpress/$script" ) );
}
foreach ( array( 'index.php', 'wp-admin/index.php', 'wp-admin/update.php', 'wp-admin/plugin-install.php', 'wp-content/plugins/x/install.php' ) as $script ) {
	expect( "$script is open", false, Gate::closed( "/usr/share/wordpress/$script" ) );
}

unset( $_SERVER['HTTP_X_PLATEN_TOKEN'] );
expect( 'no token', false, Config::tokenMatches() );
$_SERVER['HTTP_X_PLATEN_TOKEN'] = '';
expect( 'an empty token', false, Config::tokenMatches() );
$_SERVER['HTTP_X_PLATEN_TOKEN'] = Config::values()['site_token'];
expect( 'the token', true, Config::tokenMatches() );
