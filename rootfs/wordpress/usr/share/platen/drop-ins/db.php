<?php
/**
 * Plugin Name: Platen database
 * Description: Sends reads to readers and writes to the writer, and survives a failover. Part of the image.
 */

foreach ( array( 'Config', 'Database', 'Freshness', 'Sql', 'Replica', 'Link', 'SplitDatabase' ) as $platen_class ) {
	require_once "/usr/share/platen/lib/$platen_class.php";
}
unset( $platen_class );

if ( ! isset( $wpdb ) ) {
	$wpdb = new Platen\SplitDatabase( DB_USER, DB_PASSWORD, DB_NAME, DB_HOST );
}
