<?php
/**
 * Plugin Name: Platen: platform
 * Description: Leaves to Platen what is Platen's: updates of WordPress itself and of the database. Part of the image.
 */

require_once '/usr/share/platen/lib/Platform.php';
require_once '/usr/share/platen/lib/SiteHealth.php';

( new Platen\Platform( Platen\Config::values() ) )->register();
( new Platen\SiteHealth( Platen\Config::values() ) )->register();
