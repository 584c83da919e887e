<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Gives what PHP logs in a request, be it a warning, a fatal error or a plugin's error_log(), the
 * request's id, which edge and nginx log too: PHP writes to a file of that name, which the agent
 * collects. There is such a file only where there is something to say. Where the folder is full or
 * missing PHP itself falls back to standard error, without the id.
 */
final class RequestLog {

	private const FOLDER = '/run/php/errors';

	/** The id that nginx made or passed on; '' for a request that has none. */
	public static function id(): string {
		$id = (string) ( $_SERVER['HTTP_X_REQUEST_ID'] ?? '' );
		return 1 === preg_match( '/^[A-Za-z0-9._:-]{8,128}$/D', $id ) ? $id : '';
	}

	/** Logs to the request's file from now on. Jobs, cron and health have no id and log as always. */
	public static function begin( string $folder = self::FOLDER ): void {
		$id = self::id();
		if ( '' !== $id ) {
			ini_set( 'error_log', "$folder/r-$id" );
		}
	}
}
