<?php
/**
 * Plugin Name: Platen: page cache
 * Description: Tells nginx which pages it may keep, and all tasks which to drop when something changes. Part of the image.
 */

foreach ( array( 'Freshness', 'Database', 'ValkeyConnection', 'Changes', 'PageTags', 'PageCache', 'Purge', 'PurgeButton' ) as $platen_class ) {
	require_once "/usr/share/platen/lib/$platen_class.php";
}
unset( $platen_class );

( new Platen\PageCache( new Platen\PageTags() ) )->register();
$platen_purge = new Platen\Purge( Platen\Config::values() );
$platen_purge->register();
( new Platen\PurgeButton( $platen_purge ) )->register();
unset( $platen_purge );
