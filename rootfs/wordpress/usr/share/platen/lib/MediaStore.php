<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Uploaded media in a bucket, by the paths that WordPress has for them: ROOT/2026/11/a.jpg is the
 * key PREFIX2026/11/a.jpg, and PREFIX is the path in the URL.
 *
 * What is written is staged in a file of this request, put, and kept until the request ends, so that
 * the sizes of a picture are made without getting it again. What is asked about a file (is it there,
 * how large) is answered from the object cache. When the bucket is gone, what it alone knows throws a
 * MediaException; nothing that was acknowledged is lost.
 */
final class MediaStore {

	public const SCHEME = 'platen-media';
	public const ROOT   = self::SCHEME . '://uploads';

	private const GROUP   = 'platen_media'; // of the object cache
	private const KNOWN   = 3600;  // seconds that the cache knows a file
	private const MISSING = 60;    // seconds that it knows that there is none
	private const SMALL   = 65536; // bytes: of such a file the cache has the content too
	private const STALE   = 3600;  // seconds after which a staged file is a dead request's
	private const TEMP    = 'platen-media-';

	/** What a browser must not run on the site's own origin, where it is opened by itself. */
	private const ACTIVE = array( 'svg', 'svgz', 'htm', 'html', 'xhtml', 'xht', 'xml' );

	/** @var array<string, array{size: int, time: int}|false> what this request knows, by path */
	private array $known = array();
	/** @var list<string> beginnings of paths of which this request knows all that there are */
	private array $listed = array();
	/** @var array<string, true> paths that were made a directory */
	private array $folders = array();
	/** @var array<string, string> staged files by path, the oldest first */
	private array $staged = array();
	/** @var array<string, true> names that are held by an empty object, not yet written */
	private array $reserved = array();
	/** @var array<string, string> why a path could not be written */
	private array $failures = array();
	private bool $tidied    = false;

	/** @param int $room bytes of staged files that are kept for the rest of a request */
	public function __construct( private readonly S3 $s3, private readonly string $prefix, private readonly int $room ) {
	}

	/** Whether a path is one of a file or folder in the bucket. */
	public static function owns( string $path ): bool {
		return self::ROOT === $path || str_starts_with( $path, self::ROOT . '/' );
	}

	/** Whether two paths are one file's, however they are spelt. Asks nobody. */
	public static function areOne( string $one, string $other ): bool {
		return self::clean( $one ) === self::clean( $other );
	}

	/**
	 * Size and time of a file, true for a folder, null for nothing. Folders are not objects: whatever
	 * has no dot in its name is one, unless it is known as a file.
	 *
	 * @return array{size: int, time: int}|true|null
	 */
	public function stat( string $path ): array|bool|null {
		$path = self::clean( $path );
		if ( isset( $this->folders[ $path ] ) || self::ROOT === $path ) {
			return true;
		}
		$known = $this->known[ $path ] ?? $this->listedAsMissing( $path ) ?? $this->remembered( $path );
		if ( null === $known ) {
			if ( ! str_contains( basename( $path ), '.' ) ) {
				return true;
			}
			$known = $this->s3->head( $this->key( $path ) ) ?? false;
			$this->remember( $path, $known );
		}
		if ( 'folder' === $known ) {
			return true;
		}
		return false === $known ? null : $known;
	}

	/**
	 * Puts a local file. Where $take, the file becomes the staged copy; else it stays the caller's.
	 * When the bucket does not take it, this throws, and failure() knows why.
	 */
	public function put( string $path, string $file, bool $take = false, bool $absent = false ): bool {
		$path = self::clean( $path );
		try {
			$put = $this->s3->put( $this->key( $path ), $file, self::headers( $path ), $absent );
		} catch ( MediaException $e ) {
			$this->failures[ $path ] = $e->getMessage();
			$this->forget( $path ); // it may have arrived all the same
			throw $e;
		}
		if ( ! $put ) {
			return false;
		}
		unset( $this->reserved[ $path ], $this->failures[ $path ] );
		$size = (int) filesize( $file );
		$this->remember( $path, array( 'size' => $size, 'time' => time() ) );
		$this->cacheContent( $path, $size <= self::SMALL ? (string) file_get_contents( $file ) : null );
		if ( $take ) {
			$this->stage( $path, $file );
		}
		return true;
	}

	/** A local file with the content, for this request and not to be changed; null when there is none. */
	public function fetch( string $path ): ?string {
		$path = self::clean( $path );
		if ( is_file( $this->staged[ $path ] ?? '' ) ) { // who gave it may have deleted it
			return $this->staged[ $path ];
		}
		$content = function_exists( 'wp_cache_get' ) ? wp_cache_get( "content:$path", self::GROUP ) : false;
		$file    = $this->temporary();
		if ( is_string( $content ) ) {
			if ( strlen( $content ) !== file_put_contents( $file, $content ) ) {
				unlink( $file );
				throw new MediaException( "read $path: no room for it in " . dirname( $file ), 507 );
			}
		} else {
			try {
				$facts = $this->s3->get( $this->key( $path ), $file );
			} catch ( MediaException $e ) {
				unlink( $file );
				throw $e;
			}
			$this->remember( $path, $facts ?? false );
			if ( null === $facts ) {
				unlink( $file );
				return null;
			}
			if ( $facts['size'] <= self::SMALL ) {
				$this->cacheContent( $path, (string) file_get_contents( $file ) );
			}
		}
		$this->stage( $path, $file );
		return $file;
	}

	/** Deletes a file; true also when there was none. Throws when the bucket does not answer. */
	public function delete( string $path ): void {
		$path = self::clean( $path );
		$this->unstage( $path );
		try {
			$this->s3->delete( $this->key( $path ) );
		} catch ( MediaException $e ) {
			$this->forget( $path );
			throw $e;
		}
		unset( $this->reserved[ $path ] );
		$this->remember( $path, false );
		$this->cacheContent( $path, null );
	}

	/**
	 * Names in a folder, those that begin with $start: files, and folders with a slash at the end.
	 *
	 * @return list<string>
	 */
	public function names( string $folder, string $start = '' ): array {
		$folder = self::clean( $folder );
		$prefix = $this->key( $folder ) . ( self::ROOT === $folder ? '' : '/' );
		$names  = array();
		foreach ( $this->s3->list( $prefix . $start, '/' ) as $key => $facts ) {
			$name = substr( $key, strlen( $prefix ) );
			if ( '' === $name ) {
				continue; // a folder's own object, as the console makes them
			}
			$names[] = $name;
			if ( ! str_ends_with( $name, '/' ) ) {
				$this->known[ "$folder/$name" ] = $facts;
			}
		}
		if ( '' !== $start ) {
			$this->listed[] = "$folder/$start";
		}
		return $names;
	}

	/**
	 * Takes a name before anything is written to it, so that two tasks at once get two names: an empty
	 * object that only one can put. False when somebody has the name. Those that were never written
	 * are deleted with the request.
	 */
	public function reserve( string $path ): bool {
		$path  = self::clean( $path );
		$empty = $this->temporary();
		try {
			if ( ! $this->s3->put( $this->key( $path ), $empty, self::headers( $path ), true ) ) {
				$this->forget( $path );
				return false;
			}
		} catch ( MediaException $e ) {
			$this->failures[ $path ] = $e->getMessage();
			throw $e;
		} finally {
			unlink( $empty );
		}
		$this->reserved[ $path ] = true;
		$this->known[ $path ]    = false; // until it is written there is nothing to see
		return true;
	}

	/** Throws when the bucket cannot be asked now. */
	public function probe( string $path ): void {
		$this->s3->head( $this->key( self::clean( $path ) ) );
	}

	/** Why a path could not be written; null when it was, or nobody tried. */
	public function failure( string $path ): ?string {
		return $this->failures[ self::clean( $path ) ] ?? null;
	}

	/** Makes a folder, which in a bucket is only a word. */
	public function makeFolder( string $path ): void {
		$path                   = self::clean( $path );
		$this->folders[ $path ] = true;
		if ( str_contains( basename( $path ), '.' ) && function_exists( 'wp_cache_set' ) ) {
			wp_cache_set( $path, 'folder', self::GROUP );
		}
	}

	/** A new local file of this request, which close() removes. */
	public function temporary(): string {
		if ( ! $this->tidied ) {
			$this->tidied = true;
			foreach ( (array) glob( sys_get_temp_dir() . '/' . self::TEMP . '*' ) as $old ) {
				if ( (int) @filemtime( $old ) < time() - self::STALE ) { // phpcs:ignore WordPress.PHP.NoSilencedErrors
					@unlink( $old ); // phpcs:ignore WordPress.PHP.NoSilencedErrors
				}
			}
		}
		$file = tempnam( sys_get_temp_dir(), self::TEMP );
		if ( false === $file ) {
			throw new MediaException( 'make a file in ' . sys_get_temp_dir() . ' for an upload: no room, or not writable', 507 );
		}
		return $file;
	}

	/** The end of a request: gives up names that were not used, and removes what is staged. */
	public function close(): void {
		foreach ( array_keys( $this->reserved ) as $path ) {
			try {
				// Not one that somebody else was given, and has written.
				if ( 0 === ( $this->s3->head( $this->key( $path ) )['size'] ?? null ) ) {
					$this->s3->delete( $this->key( $path ) );
				}
			} catch ( MediaException $e ) {
				error_log( "platen: an unused name stays taken: {$e->getMessage()}" );
			}
		}
		$this->reserved = array();
		foreach ( array_keys( $this->staged ) as $path ) {
			$this->unstage( $path );
		}
	}

	/** Local copies of this request. */
	public function stagedFiles(): int {
		return count( $this->staged );
	}

	private function stage( string $path, string $file ): void {
		$this->unstage( $path );
		$this->staged[ $path ] = $file;
		$sum                   = array_sum( array_map( static fn( string $staged ): int => (int) @filesize( $staged ), $this->staged ) ); // phpcs:ignore WordPress.PHP.NoSilencedErrors
		while ( $sum > $this->room && count( $this->staged ) > 1 ) {
			$oldest = array_key_first( $this->staged );
			$sum   -= (int) @filesize( $this->staged[ $oldest ] ); // phpcs:ignore WordPress.PHP.NoSilencedErrors
			$this->unstage( $oldest );
		}
	}

	private function unstage( string $path ): void {
		if ( isset( $this->staged[ $path ] ) ) {
			@unlink( $this->staged[ $path ] ); // phpcs:ignore WordPress.PHP.NoSilencedErrors
			unset( $this->staged[ $path ] );
		}
	}

	/** False when a list that had this path's place did not have the path. */
	private function listedAsMissing( string $path ): ?bool {
		foreach ( $this->listed as $start ) {
			if ( str_starts_with( $path, $start ) && ! str_contains( substr( $path, strlen( $start ) ), '/' ) ) {
				return false;
			}
		}
		return null;
	}

	/** @return array{size: int, time: int}|false|string|null */
	private function remembered( string $path ): array|false|string|null {
		if ( ! function_exists( 'wp_cache_get' ) ) {
			return null;
		}
		$value = wp_cache_get( $path, self::GROUP, false, $found );
		if ( ! $found ) {
			return null;
		}
		if ( is_array( $value ) ) {
			$this->known[ $path ] = $value;
			return $value;
		}
		return 'folder' === $value ? $value : false;
	}

	/** @param array{size: int, time: int}|false $facts */
	private function remember( string $path, array|false $facts ): void {
		$this->known[ $path ] = $facts;
		if ( function_exists( 'wp_cache_set' ) ) {
			wp_cache_set( $path, false === $facts ? 'none' : $facts, self::GROUP, false === $facts ? self::MISSING : self::KNOWN );
		}
	}

	private function forget( string $path ): void {
		unset( $this->known[ $path ] );
		if ( function_exists( 'wp_cache_delete' ) ) {
			wp_cache_delete( $path, self::GROUP );
			wp_cache_delete( "content:$path", self::GROUP );
		}
	}

	private function cacheContent( string $path, ?string $content ): void {
		if ( ! function_exists( 'wp_cache_set' ) ) {
			return;
		}
		if ( null === $content ) {
			wp_cache_delete( "content:$path", self::GROUP );
		} else {
			wp_cache_set( "content:$path", $content, self::GROUP, self::KNOWN );
		}
	}

	private static function clean( string $path ): string {
		$path = self::SCHEME . '://' . trim( (string) preg_replace( '~/+~', '/', substr( $path, strlen( self::SCHEME ) + 3 ) ), '/' );
		if ( ! self::owns( $path ) || preg_match( '~/\.{1,2}(/|$)|[\x00-\x1f]~', $path ) ) {
			throw new MediaException( "$path is no path of an upload", 400 );
		}
		return $path;
	}

	private function key( string $path ): string {
		return $this->prefix . ltrim( substr( $path, strlen( self::ROOT ) ), '/' );
	}

	/**
	 * What the object says of itself: to CloudFront and browsers it is all they know.
	 *
	 * @return array<string, string>
	 */
	private static function headers( string $path ): array {
		$extension = strtolower( pathinfo( $path, PATHINFO_EXTENSION ) );
		$type      = 'application/octet-stream';
		foreach ( ( function_exists( 'wp_get_mime_types' ) ? wp_get_mime_types() : array() ) + array(
			'svg|svgz' => 'image/svg+xml',
			'xml'      => 'application/xml',
			'json|map' => 'application/json',
			'woff2'    => 'font/woff2',
			'woff'     => 'font/woff',
			'ttf'      => 'font/ttf',
			'otf'      => 'font/otf',
		) as $extensions => $mime ) {
			if ( in_array( $extension, explode( '|', $extensions ), true ) ) {
				$type = $mime;
				break;
			}
		}
		// An attachment keeps its name and its bytes; what else plugins write they overwrite.
		$constant = preg_match( '~^(image|video|audio|font)/|^application/pdf$~', $type );
		$headers  = array(
			'content-type'  => str_starts_with( $type, 'text/' ) ? "$type; charset=utf-8" : $type,
			'cache-control' => $constant ? 'public, max-age=31536000, immutable' : 'public, max-age=300',
		);
		if ( in_array( $extension, self::ACTIVE, true ) ) {
			// As a picture in a page it shows; opened by itself it would run on the site's origin.
			$headers['content-disposition'] = 'attachment';
		}
		return $headers;
	}
}
