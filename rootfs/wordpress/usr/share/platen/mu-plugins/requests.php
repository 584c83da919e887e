<?php
/**
 * Plugin Name: Platen: requests
 * Description: Logs where the time of a slow request went, under the request's id. Part of the image.
 */

require_once '/usr/share/platen/lib/RequestLog.php';
require_once '/usr/share/platen/lib/SlowLog.php';

if ( '' !== Platen\RequestLog::id() ) {
	( new Platen\SlowLog() )->register();
}
