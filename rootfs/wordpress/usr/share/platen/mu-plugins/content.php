<?php
/**
 * Plugin Name: Platen: content
 * Description: Tells all tasks when plugins, themes or translations on the share change. Part of the image.
 */

require_once '/usr/share/platen/lib/ContentVersion.php';
require_once '/usr/share/platen/lib/ContentChanges.php';

if ( 'shared' === Platen\Config::values()['content'] ) {
	( new Platen\ContentChanges( WP_CONTENT_DIR ) )->register();
}
