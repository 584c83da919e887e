<?php
/**
 * Plugin Name: Platen: login
 * Description: Bounds guesses of passwords over all tasks, and tells no stranger who there is to guess for. Part of the image.
 */

foreach ( array( 'ValkeyConnection', 'LoginLimit', 'Strangers' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

( new Platen\LoginLimit( new Platen\ValkeyConnection( Platen\Config::values()['objects'], null, true ), Platen\Config::values()['site'] . '-' . Platen\Config::values()['env'] ) )->register();
( new Platen\Strangers() )->register();
