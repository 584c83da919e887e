<?php
/**
 * Plugin Name: Platen: sessions
 * Description: Gives PHP sessions back in time, and answers 503 rather than lose one. Part of the image.
 */

require_once '/usr/share/platen/lib/Sessions.php';

if ( 'cli' !== PHP_SAPI ) {
	( new Platen\Sessions( Platen\Config::values()['home'] ) )->register();
}
