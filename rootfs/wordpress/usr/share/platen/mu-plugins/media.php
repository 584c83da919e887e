<?php
/**
 * Plugin Name: Platen: media
 * Description: Keeps uploads in the site's bucket, where the CDN reads them (files: {media: s3}). Part of the image.
 */

if ( '' !== Platen\Config::values()['media']['bucket'] ) {
	foreach ( array( 'MediaException', 'TaskRole', 'S3', 'MediaStore', 'MediaStream', 'Media' ) as $platen_class ) {
		require_once "/usr/share/platen/lib/$platen_class.php";
	}
	unset( $platen_class );
	( new Platen\Media( Platen\Config::values() ) )->register();
}
