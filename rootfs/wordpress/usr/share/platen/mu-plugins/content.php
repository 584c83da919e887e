<?php
/**
 * Plugin Name: Platen: content
 * Description: Tells all tasks when plugins, themes or translations on the share change. Part of the image.
 */

require_once '/usr/share/platen/lib/ContentVersion.php';
require_once '/usr/share/platen/lib/ContentChanges.php';

if ( 'shared' === Platen\Config::values()['content'] ) {
	( new Platen\ContentChanges( WP_CONTENT_DIR ) )->register();
	// The theme's style.css is read for each page otherwise, one way to the share. Updates clear it;
	// what changes unannounced is seen after as long as OPcache takes.
	add_filter( 'wp_cache_themes_persistently', static fn() => 30 );
}
