<?php
declare( strict_types=1 );

namespace Platen;

/**
 * GD's editor, which sees whether a picture reached the bucket: core's own writes streams without a
 * look at what became of it. When the bucket is gone a size is not saved, core goes on without it and
 * makes it when it is asked again.
 */
final class MediaImageEditor extends \WP_Image_Editor_GD {

	/**
	 * @param string                      $filename
	 * @param callable                    $callback
	 * @param array<int, mixed>           $arguments
	 */
	protected function make_image( $filename, $callback, $arguments ) {
		if ( ! MediaStore::owns( $filename ) ) {
			return parent::make_image( $filename, $callback, $arguments );
		}
		$store = Media::store();
		try {
			$local        = $store->temporary();
			$arguments[1] = $local;
			if ( ! parent::make_image( $local, $callback, $arguments ) ) {
				unlink( $local );
				return false;
			}
			$store->put( $filename, $local, true );
			return true;
		} catch ( MediaException $e ) {
			error_log( "platen: a size of a picture was not saved: {$e->getMessage()}" );
			isset( $local ) && file_exists( $local ) && unlink( $local );
			return false;
		}
	}
}
