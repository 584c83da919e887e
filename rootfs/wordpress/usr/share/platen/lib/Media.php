<?php
declare( strict_types=1 );

namespace Platen;

/**
 * WordPress' uploads in a bucket (`files: {media: s3}`): where they are, which names are free, and what
 * a failed upload says. URLs stay the site's own, since the CDN asks the bucket for them. When the
 * bucket is gone an upload ends with an error and leaves nothing; pages do not notice.
 */
final class Media {

	private static ?MediaStore $store = null;

	/** @param array<string, mixed> $config all that the task was told */
	public function __construct( private readonly array $config ) {
	}

	/** The store of this request. Without a bucket there is none, and nobody may ask. */
	public static function store(): MediaStore {
		return self::$store ?? throw new \LogicException( 'media are not in a bucket' );
	}

	/** Opens the store of this request; of another one, in a process that lives on. Asks nobody yet. */
	public function open(): void {
		$media = $this->config['media'];
		$role  = new TaskRole( $media['credentials'], $media['key_id'], $media['key'] );
		self::$store?->close();
		self::$store = new MediaStore( new S3( $media, $role, self::visitorWaits() ? 1 : 3 ), $media['prefix'], $this->config['upload'] );
		MediaStream::register( self::$store );
	}

	public function register(): void {
		$this->open();
		register_shutdown_function( static fn() => self::$store->close() );

		add_filter( 'upload_dir', array( $this, 'folder' ), PHP_INT_MAX );
		add_filter( 'pre_wp_unique_filename_file_list', array( $this, 'similar' ), 10, 3 );
		add_filter( 'wp_unique_filename', array( $this, 'reserve' ), PHP_INT_MAX, 3 );
		add_filter( 'pre_move_uploaded_file', array( $this, 'move' ), 10, 3 );
		add_filter( 'wp_handle_upload', array( $this, 'outcome' ), PHP_INT_MAX );
		add_filter( 'wp_image_editors', array( $this, 'editors' ) );
		add_filter( 'pre_delete_attachment', array( $this, 'deletable' ), PHP_INT_MAX, 2 );

		// PHP's Zip opens local files only: packages of plugins and themes stay on the share.
		foreach ( array( 'load-update.php', 'upgrader_scheduled_cleanup' ) as $hook ) {
			add_action( $hook, fn() => remove_filter( 'upload_dir', array( $this, 'folder' ), PHP_INT_MAX ), 0 );
		}
		// So does the export of personal data, between these two.
		add_action( 'wp_privacy_personal_data_export_file', fn() => add_filter( 'wp_privacy_exports_dir', array( $this, 'exportFolder' ), PHP_INT_MAX ), 9 );
		add_action( 'wp_privacy_personal_data_export_file', fn() => remove_filter( 'wp_privacy_exports_dir', array( $this, 'exportFolder' ), PHP_INT_MAX ), 11 );
		add_action( 'wp_privacy_personal_data_export_file_created', array( $this, 'exported' ) );
	}

	/**
	 * The bucket in the place of the share, under the same URL.
	 *
	 * @param array<string, mixed> $folder
	 * @return array<string, mixed>
	 */
	public function folder( array $folder ): array {
		// A network's further sites have folders of their own below; other places that the settings
		// may name (upload_path) are no place that the CDN knows.
		$site              = is_multisite() && ! is_main_site() ? '/sites/' . get_current_blog_id() : '';
		$folder['basedir'] = MediaStore::ROOT . $site;
		$folder['path']    = $folder['basedir'] . $folder['subdir'];
		$folder['baseurl'] = content_url( "uploads$site" );
		$folder['url']     = $folder['baseurl'] . $folder['subdir'];
		return $folder;
	}

	/**
	 * Names that a new file could be mistaken for a size of, or the other way round: all begin with its
	 * own. Without an answer reserve() decides.
	 *
	 * @param list<string>|null $files
	 * @return list<string>|null
	 */
	public function similar( ?array $files, string $folder, string $name ): ?array {
		if ( ! MediaStore::owns( $folder ) ) {
			return $files;
		}
		try {
			return self::$store->names( $folder, pathinfo( $name, PATHINFO_FILENAME ) );
		} catch ( MediaException ) {
			return array();
		}
	}

	/** Takes the name before another task does, or the next that is free. */
	public function reserve( string $name, string $extension, string $folder ): string {
		if ( ! MediaStore::owns( $folder ) ) {
			return $name;
		}
		$base = '' === $extension ? $name : substr( $name, 0, -strlen( $extension ) );
		try {
			for ( $n = 1; $n < 1000; $n++ ) {
				if ( self::$store->reserve( "$folder/$name" ) ) {
					return $name;
				}
				$name = "$base-$n$extension";
			}
			return $base . '-' . bin2hex( random_bytes( 8 ) ) . $extension;
		} catch ( MediaException ) {
			return $name; // whoever writes it hears why it does not work
		}
	}

	/**
	 * Puts an uploaded or fetched file straight from where PHP has it.
	 *
	 * @param bool|null            $moved
	 * @param array<string, mixed> $file
	 */
	public function move( mixed $moved, array $file, string $path ): mixed {
		if ( null !== $moved || ! MediaStore::owns( $path ) ) {
			return $moved;
		}
		try {
			self::$store->put( $path, $file['tmp_name'], true );
		} catch ( MediaException ) {
			@unlink( $file['tmp_name'] ); // phpcs:ignore WordPress.PHP.NoSilencedErrors
		}
		return true; // outcome() says how it went: in the words of the reason, not of core
	}

	/**
	 * An upload that did not reach the bucket has not happened.
	 *
	 * @param array<string, mixed> $upload
	 * @return array<string, mixed>
	 */
	public function outcome( array $upload ): array {
		$path = (string) ( $upload['file'] ?? '' );
		$why  = MediaStore::owns( $path ) ? self::$store->failure( $path ) : null;
		if ( null === $why ) {
			return $upload;
		}
		error_log( "platen: an upload failed: $why" );
		return array( 'error' => sprintf( 'The file was not saved, and nothing was kept of it: %s.', rtrim( $why, '.' ) ) );
	}

	/**
	 * @param list<string> $editors
	 * @return list<string>
	 */
	public function editors( array $editors ): array {
		require_once __DIR__ . '/MediaImageEditor.php';
		return array_map( static fn( string $class ): string => 'WP_Image_Editor_GD' === $class ? MediaImageEditor::class : $class, $editors );
	}

	/** Keeps an attachment whose files cannot be deleted now: nobody would find them later. */
	public function deletable( mixed $delete, \WP_Post $attachment ): mixed {
		if ( null !== $delete ) {
			return $delete;
		}
		try {
			$file = get_attached_file( $attachment->ID, true );
			if ( is_string( $file ) && MediaStore::owns( $file ) ) {
				self::$store->probe( $file );
			}
			return null;
		} catch ( MediaException $e ) {
			error_log( "platen: attachment $attachment->ID was not deleted: {$e->getMessage()}" );
			return false;
		}
	}

	/** Where the export of personal data is made. */
	public function exportFolder(): string {
		return sys_get_temp_dir() . '/platen-exports/';
	}

	/** Brings a finished export to where its link leads. */
	public function exported( string $archive ): void {
		try {
			self::$store->put( wp_upload_dir()['basedir'] . '/wp-personal-data-exports/' . basename( $archive ), $archive );
		} catch ( MediaException $e ) {
			error_log( "platen: an export of personal data was not saved: {$e->getMessage()}" );
			$why = $e->getMessage();
		}
		@unlink( $archive ); // phpcs:ignore WordPress.PHP.NoSilencedErrors
		if ( isset( $why ) && wp_doing_ajax() ) {
			wp_send_json_error( "The export was not saved: $why" );
		}
	}

	/** Whether somebody who only reads waits for this request. */
	private static function visitorWaits(): bool {
		return ! is_admin() && ! wp_doing_cron() && ! defined( 'PLATEN_JOB' ) && in_array( $_SERVER['REQUEST_METHOD'] ?? '', array( 'GET', 'HEAD' ), true );
	}
}
