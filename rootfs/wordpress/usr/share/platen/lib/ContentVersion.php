<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Tells every task that PHP files on the share changed. OPcache looks at a file's time only every
 * 30 s; a plugin that one task has just updated must not run half old, half new on another.
 *
 * The truth is a small file on the share whose content is new after each change. Each request reads
 * it (open() asks the server on NFS, where stat() may answer from a cache; about 10 µs on a local
 * disk), and the first request that sees a new one makes OPcache forget the share's scripts.
 * Without APCu, or when the share cannot be read, OPcache's own 30 s hold.
 */
final class ContentVersion {

	private const FOLDER = '.platen';
	private const FILE   = 'content-version';

	/** Forgets compiled files of the share when another request announced a change. */
	public static function follow( string $content ): void {
		if ( ! function_exists( 'apcu_enabled' ) || ! apcu_enabled() ) {
			return;
		}
		$version = (string) @file_get_contents( "$content/" . self::FOLDER . '/' . self::FILE );
		$process = 'platen.content.' . getmypid();
		if ( apcu_fetch( $process ) === $version ) {
			return;
		}
		clearstatcache( true ); // resolved paths are remembered by each process alone
		// Once for all processes; those that come meanwhile wait until it is done.
		apcu_entry(
			"platen.content.seen.$version",
			static function () use ( $content ): bool {
				self::forget( $content );
				return true;
			}
		);
		apcu_store( $process, $version );
	}

	/**
	 * Says that files on the share changed, after they did. False (and a line in the log) when the
	 * share cannot be written: the other tasks then notice within OPcache's 30 s.
	 */
	public static function announce( string $content ): bool {
		$folder = "$content/" . self::FOLDER;
		$new    = "$folder/" . self::FILE . '.' . bin2hex( random_bytes( 4 ) );
		$done   = ( is_dir( $folder ) || @mkdir( $folder, 0750 ) || is_dir( $folder ) )
			&& false !== @file_put_contents( $new, bin2hex( random_bytes( 8 ) ) )
			&& @rename( $new, "$folder/" . self::FILE );
		if ( ! $done ) {
			error_log( "platen: announce changed files in $folder: " . ( error_get_last()['message'] ?? 'unknown error' ) . '; other tasks see them within 30 s' );
		}
		return $done;
	}

	/** Invalidates one by one: a reset would throw core away too, and not count for this request. */
	private static function forget( string $content ): void {
		$status = function_exists( 'opcache_get_status' ) ? @opcache_get_status( true ) : false;
		foreach ( array_keys( $status['scripts'] ?? array() ) as $script ) {
			if ( str_starts_with( $script, "$content/" ) ) {
				opcache_invalidate( $script, true );
			}
		}
	}
}
