<?php
declare( strict_types=1 );

namespace Platen;

/**
 * PHP's stream wrapper of the bucket of media, so that whatever writes to the folder of uploads writes
 * there: core, and plugins. The names of the methods are PHP's.
 *
 * A file is read from a local copy and written to one, which is put when it is closed. PHP tells
 * nobody that closing failed: it is a warning in the log, MediaStore::failure() knows it, and core's
 * own uploads and picture sizes ask there. When the bucket is gone, reading is a warning and false.
 */
final class MediaStream {

	private const INCLUDED = 128; // STREAM_OPEN_FOR_INCLUDE

	private static ?MediaStore $store = null;

	/** @var resource|null */
	public $context;
	/** @var resource|null */
	private $file        = null;
	private string $path = '';
	private string $work = '';  // our own local file; empty: a staged one, only read
	private bool $dirty  = false;
	private bool $new    = false;
	/** @var list<string> */
	private array $names = array();

	/** Registers the wrapper; the second call changes the store. */
	public static function register( MediaStore $store ): void {
		if ( null === self::$store ) {
			stream_wrapper_register( MediaStore::SCHEME, self::class );
		}
		self::$store = $store;
	}

	public function stream_open( string $path, string $mode, int $options ): bool {
		if ( ( $options & self::INCLUDED ) !== 0 ) {
			return $this->warn( "$path is an upload, and none is run as code" );
		}
		$this->path = $path;
		return $this->attempt(
			function () use ( $path, $mode ): bool {
				$kind = $mode[0];
				if ( 'r' === $kind && ! str_contains( $mode, '+' ) ) {
					$local      = self::$store->fetch( $path );
					$this->file = null === $local ? null : fopen( $local, 'rb' );
					return null === $local ? $this->missing( $mode ) : false !== $this->file;
				}
				$old = in_array( $kind, array( 'r', 'a', 'c' ), true ) ? self::$store->fetch( $path ) : null;
				if ( null === $old && 'r' === $kind ) {
					return $this->missing( $mode );
				}
				$this->work = self::$store->temporary();
				if ( null !== $old ) {
					$this->copyOf( $old );
				}
				$this->new   = 'x' === $kind;
				$this->dirty = null === $old; // it is there once it was opened
				$this->file  = fopen( $this->work, 'a' === $kind ? 'a+b' : 'r+b' );
				if ( $this->new && null !== self::$store->stat( $path ) ) {
					unlink( $this->work );
					return $this->warn( "$path exists" );
				}
				return false !== $this->file;
			}
		);
	}

	/** @return string|false */
	public function stream_read( int $count ): string|false {
		return fread( $this->file, $count );
	}

	public function stream_write( string $bytes ): int {
		if ( '' === $this->work ) {
			return 0;
		}
		$this->dirty = true;
		return (int) fwrite( $this->file, $bytes );
	}

	public function stream_eof(): bool {
		return feof( $this->file );
	}

	public function stream_tell(): int {
		return (int) ftell( $this->file );
	}

	public function stream_seek( int $offset, int $whence = SEEK_SET ): bool {
		return 0 === fseek( $this->file, $offset, $whence );
	}

	public function stream_truncate( int $size ): bool {
		$this->dirty = true;
		return '' !== $this->work && ftruncate( $this->file, max( 0, $size ) );
	}

	/** Other processes are not kept out: they have copies of their own, and the last to close wins. */
	public function stream_lock( int $operation ): bool {
		return true;
	}

	public function stream_flush(): bool {
		return fflush( $this->file );
	}

	public function stream_close(): void {
		fclose( $this->file );
		if ( '' === $this->work ) {
			return;
		}
		if ( ! $this->dirty ) {
			unlink( $this->work );
			return;
		}
		$put = $this->attempt(
			function (): bool {
				return self::$store->put( $this->path, $this->work, true, $this->new ) || $this->warn( "$this->path was made by another task" );
			}
		);
		if ( ! $put && file_exists( $this->work ) ) {
			unlink( $this->work );
		}
	}

	/** @return array<int|string, int>|false */
	public function stream_stat(): array|false {
		return fstat( $this->file );
	}

	public function stream_set_option( int $option, int $first, ?int $second ): bool {
		return false;
	}

	/** @return resource|false */
	public function stream_cast( int $as ) {
		return $this->file ?? false;
	}

	/** Owner and mode mean nothing here; touch() makes a file. */
	public function stream_metadata( string $path, int $option, mixed $value ): bool {
		if ( STREAM_META_TOUCH !== $option ) {
			return true;
		}
		return $this->attempt(
			static function () use ( $path ): bool {
				if ( is_array( self::$store->stat( $path ) ) ) {
					return true;
				}
				return self::$store->put( $path, self::$store->temporary(), true );
			}
		);
	}

	/** @return array<int|string, int>|false */
	public function url_stat( string $path, int $flags ): array|false {
		$stat = null;
		$this->attempt(
			static function () use ( $path, &$stat ): bool {
				$stat = self::$store->stat( $path );
				return true;
			}
		);
		if ( null === $stat ) {
			return false;
		}
		$time = true === $stat ? time() : $stat['time'];
		$all  = array(
			'dev'     => 0,
			'ino'     => 0,
			'mode'    => true === $stat ? 0040777 : 0100666,
			'nlink'   => 1,
			'uid'     => 0,
			'gid'     => 0,
			'rdev'    => 0,
			'size'    => true === $stat ? 0 : $stat['size'],
			'atime'   => $time,
			'mtime'   => $time,
			'ctime'   => $time,
			'blksize' => -1,
			'blocks'  => -1,
		);
		return array_values( $all ) + $all;
	}

	public function unlink( string $path ): bool {
		return $this->attempt(
			static function () use ( $path ): bool {
				self::$store->delete( $path );
				return true;
			}
		);
	}

	/** The new name is there before the old one goes; a file that is to be named as it is stays. */
	public function rename( string $from, string $to ): bool {
		return $this->attempt(
			function () use ( $from, $to ): bool {
				if ( MediaStore::areOne( $from, $to ) ) {
					return null !== self::$store->stat( $from ) || $this->warn( "rename $from: there is no such file" );
				}
				$local = self::$store->fetch( $from );
				if ( null === $local ) {
					return $this->warn( "rename $from: there is no such file" );
				}
				self::$store->put( $to, $local );
				self::$store->delete( $from );
				return true;
			}
		);
	}

	public function mkdir( string $path, int $mode, int $options ): bool {
		return $this->attempt(
			static function () use ( $path ): bool {
				self::$store->makeFolder( $path );
				return true;
			}
		);
	}

	/** A folder is where its files are: it goes with the last. */
	public function rmdir( string $path, int $options ): bool {
		return $this->attempt( static fn(): bool => array() === self::$store->names( $path ) );
	}

	public function dir_opendir( string $path, int $options ): bool {
		return $this->attempt(
			function () use ( $path ): bool {
				$this->names = array_map( static fn( string $name ): string => rtrim( $name, '/' ), self::$store->names( $path ) );
				foreach ( self::$store->names( $path ) as $name ) {
					if ( str_ends_with( $name, '/' ) ) {
						self::$store->makeFolder( "$path/$name" ); // also one with a dot
					}
				}
				return true;
			}
		);
	}

	/** @return string|false */
	public function dir_readdir(): string|false {
		$name = current( $this->names );
		next( $this->names );
		return $name;
	}

	public function dir_rewinddir(): bool {
		reset( $this->names );
		return true;
	}

	public function dir_closedir(): bool {
		$this->names = array();
		return true;
	}

	/** @param callable(): bool $work */
	private function attempt( callable $work ): bool {
		try {
			return $work();
		} catch ( MediaException $e ) {
			return $this->warn( $e->getMessage() );
		}
	}

	/** Fills our own file with what is there already: half of it would replace the whole when it is closed. */
	private function copyOf( string $old ): void {
		$copied = copy( $old, $this->work );
		clearstatcache( true, $this->work );
		if ( ! $copied || filesize( $this->work ) !== filesize( $old ) ) {
			unlink( $this->work );
			throw new MediaException( "open $this->path to change it: no room for a copy in " . dirname( $this->work ), 507 );
		}
	}

	private function missing( string $mode ): bool {
		return $this->warn( "open $this->path ($mode): there is no such file" );
	}

	private function warn( string $why ): bool {
		trigger_error( "platen: $why", E_USER_WARNING ); // phpcs:ignore WordPress.Security.EscapeOutput
		return false;
	}
}
