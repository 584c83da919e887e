<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Tells every task that PHP files on the share changed. OPcache looks at a file's time only every
 * 30 s; a plugin that one task has just updated must not run half old, half new on another.
 *
 * The truth is a small file on the share whose content is new after each change. The agent reads it
 * twice a second (open() asks the server on NFS, where stat() may answer from a cache) and keeps a
 * copy in the task's memory, since asking from each request costs each page a way to the share. Each
 * request reads the copy, about 10 µs, and the first one that sees a new version makes OPcache
 * forget the share's scripts. Without APCu or the agent, or when the share cannot be read, OPcache's
 * own 30 s hold.
 */
final class ContentVersion {

	private const FOLDER = '.platen';
	private const FILE   = 'content-version';
	private const COPY   = '/run/php/content-version';

	/** Microseconds after which every task follows an announcement, with a margin. */
	public const SPREAD = 800_000;

	private static string $current = '';

	/** The version of the share's files that this request began with; '' when none is known. */
	public static function current(): string {
		return self::$current;
	}

	/** Forgets compiled files of the share when another request announced a change. */
	public static function follow( string $content, string $copy = self::COPY ): void {
		if ( ! function_exists( 'apcu_enabled' ) || ! apcu_enabled() ) {
			return;
		}
		self::$current = $version = (string) @file_get_contents( $copy );
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
	public static function announce( string $content, string $copy = self::COPY ): bool {
		$folder  = "$content/" . self::FOLDER;
		$version = bin2hex( random_bytes( 8 ) );
		$done    = ( is_dir( $folder ) || @mkdir( $folder, 0750 ) || is_dir( $folder ) )
			&& self::put( "$folder/" . self::FILE, $version );
		if ( ! $done ) {
			error_log( "platen: announce changed files in $folder: " . ( error_get_last()['message'] ?? 'unknown error' ) . '; other tasks see them within 30 s' );
		}
		self::put( $copy, $version ); // this task need not wait for its agent; a job has none
		return $done;
	}

	/** Replaces a file at once: readers see the old or the new content. */
	private static function put( string $file, string $text ): bool {
		$new = "$file." . bin2hex( random_bytes( 4 ) );
		return false !== @file_put_contents( $new, $text ) && @rename( $new, $file );
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
