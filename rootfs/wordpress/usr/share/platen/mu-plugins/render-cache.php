<?php
/**
 * Plugin Name: Platen: render cache
 * Description: Keeps what WordPress works out of theme.json anew for each page, as long as nothing that it depends on changes. Part of the image.
 */

require_once '/usr/share/platen/lib/ContentVersion.php';
require_once '/usr/share/platen/lib/RenderCache.php';

( new Platen\RenderCache( Platen\Config::values() ) )->register();
