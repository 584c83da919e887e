<?php
/**
 * The image's wp-config.php: the same file for every site. What differs between sites is in
 * /run/php/config.php, which the agent renders into memory when the task starts.
 */

require_once '/usr/share/platen/lib/RequestLog.php';
require_once '/usr/share/platen/lib/Config.php';
require_once '/usr/share/platen/lib/Gate.php';
require_once '/usr/share/platen/lib/ContentVersion.php';

Platen\RequestLog::begin();
Platen\Gate::check();
Platen\Config::define();

// Before anything of the share is included: another task may just have changed it.
if ( 'shared' === Platen\Config::values()['content'] ) {
	Platen\ContentVersion::follow( ABSPATH . 'wp-content' );
}

$table_prefix = Platen\Config::TABLE_PREFIX;

require_once ABSPATH . 'wp-settings.php';
