<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Says of a page whether nginx may keep it, for how long, and what it shows. nginx asks by
 * PLATEN_PAGE and keeps nothing without an answer; all doubts end in none. Needs no server.
 */
final class PageCache {

	private const PAGE    = 600; // seconds; a change drops a page long before
	private const MISSING = 10;  // seconds, for an address that leads nowhere
	/** Bytes of a page that is kept; larger ones go to the visitor as they are made. */
	private const LARGEST = 2 << 20;
	/** Bytes of the tags. A page that shows more carries 'many' and falls with any change. */
	private const TAGS = 3000;

	/** Reasons of others that make no page a visitor's own. */
	private const TABLES = array( 'options', 'platen_changes', 'platen_lease' );

	/** Where nginx keeps pages: flat, each named by the MD5 of its key. */
	private const FOLDER = '/run/task/cache';
	/**
	 * Names of cookies, as PHP has them, of who gets pages of his own: nginx' list. nginx compares the
	 * names as they came, and PHP makes '_' of a dot, a space or a bracket in one.
	 */
	private const OWNERS = '/^(?:wordpress_logged_in_|wordpress_sec_|wp-postpass_|comment_author_|woocommerce_items_in_cart|woocommerce_cart_hash|wp_woocommerce_session_|edd_items_in_cart|platen_wrote$)/';

	private bool $whole  = true;  // nothing of the page has gone out
	private bool $varies = false; // the page asked what the visitor's browser is
	private bool $outer  = false; // nobody changes what our handler returns
	private bool $kept   = false; // nginx was told to keep the page
	private string $file = '';    // that nginx keeps this address in

	public function __construct( private readonly PageTags $tags ) {
	}

	public function register(): void {
		if ( '1' !== ( $_SERVER['PLATEN_PAGE'] ?? '' ) || wp_installing() ) {
			return;
		}
		$this->tags->register();
		// The key as nginx has it, before anybody changes these; see fastcgi_cache_key.
		$this->file = self::fileOf( (string) $_SERVER['REQUEST_SCHEME'], (string) $_SERVER['HTTP_HOST'], (string) $_SERVER['REQUEST_URI'] );
		register_shutdown_function( array( $this, 'end' ) );
		add_filter( 'wp_is_mobile', array( $this, 'asked' ) );
		// The first of all: whatever others wrap around the page is in it.
		add_action( 'template_redirect', array( $this, 'begin' ), PHP_INT_MIN );
	}

	public static function fileOf( string $scheme, string $host, string $path ): string {
		return self::FOLDER . '/' . md5( "$scheme://$host$path" );
	}

	/**
	 * Ends what nginx has of this address, when it may not keep the answer: it would give the expired
	 * page to each visitor for as long as none replaces it. Not for an error, which it is there for.
	 */
	public function end(): void {
		if ( ! $this->kept && (int) http_response_code() < 500 && is_file( $this->file ) ) {
			@unlink( $this->file ); // the agent, or nginx, may be first
		}
	}

	public function asked( mixed $mobile ): mixed {
		$this->varies = true;
		return $mobile;
	}

	public function begin(): void {
		// php.ini's own buffer passes all on as it is.
		$this->outer = array() === array_diff( ob_list_handlers(), array( 'default output handler' ) );
		ob_start( array( $this, 'output' ), self::LARGEST );
	}

	/** Output handler: passes all through, and at the end of a page adds the headers. */
	public function output( string $page, int $phase ): string {
		$last = 0 !== ( $phase & PHP_OUTPUT_HANDLER_FINAL );
		// Cleaned: somebody answers himself. Not the last, or before the end: there is more to come.
		if ( 0 !== ( $phase & PHP_OUTPUT_HANDLER_CLEAN ) || ! $last || 0 === did_action( 'shutdown' ) ) {
			$this->whole = false;
		}
		if ( $last && ! headers_sent() ) {
			try {
				$this->finish( $page );
			} catch ( \Throwable $e ) {
				header_remove( 'X-Accel-Expires' );
				$this->kept = false;
				error_log( 'platen: page cache: ' . $e->getMessage() );
			}
		}
		return $page;
	}

	private function finish( string $page ): void {
		header_remove( 'X-Accel-Expires' ); // nobody else decides
		$seconds = $this->seconds();
		if ( $seconds <= 0 ) {
			return;
		}
		if ( 200 !== http_response_code() ) {
			$this->tags->add( 'missing' );
		}
		$this->tags->add( PageTags::ofPath( (string) $_SERVER['REQUEST_URI'] ) );
		/**
		 * The tags of this page, for plugins that show something else and purge it by
		 * do_action( 'platen_purge', array( 'tag' ) ).
		 */
		$tags = array_filter( (array) apply_filters( 'platen_page_tags', $this->tags->all() ), array( self::class, 'isTag' ) );
		$line = implode( ' ', $tags );
		if ( strlen( $line ) > self::TAGS ) {
			// The button finds it all the same.
			$line = 'many ' . PageTags::ofPath( (string) $_SERVER['REQUEST_URI'] );
		}
		header_remove( 'Vary' ); // only ever Accept-Encoding here, which nginx says itself
		header_remove( 'Expires' );
		header_remove( 'Pragma' );
		header( 'Cache-Control: no-cache' ); // ask each time: nobody can purge a browser
		if ( 200 === http_response_code() && $this->outer ) {
			header( 'ETag: W/"' . hash( 'xxh128', $page ) . '"' );
		}
		header( "X-Accel-Expires: $seconds" );
		header( "X-Platen-Tags: $line" );
		header( sprintf( 'X-Platen-Rendered: %.4F', $_SERVER['REQUEST_TIME_FLOAT'] ) );
		header( 'X-Platen-Version: ' . ( Freshness::version() ?? '-' ) );
		$this->kept = true;
	}

	public static function isTag( mixed $tag ): bool {
		return is_string( $tag ) && 1 === preg_match( '/^[A-Za-z0-9_.:-]{1,100}$/', $tag );
	}

	/** How long the page may be kept; 0: not at all. */
	private function seconds(): int {
		$status = http_response_code();
		if ( ! $this->whole || $this->varies || ! in_array( $status, array( 200, 301, 404 ), true )
			|| ( defined( 'DONOTCACHEPAGE' ) && DONOTCACHEPAGE )
			|| PHP_SESSION_ACTIVE === session_status() || '' !== (string) session_id()
			|| self::hasOwner( $_COOKIE ) || is_user_logged_in() || is_search() || is_preview() || is_customize_preview() || is_trackback()
			|| Freshness::isOld() || $this->written() || ! $this->headersAllow( $status ) ) {
			return 0;
		}
		/**
		 * Seconds for which nginx keeps this page; 0 keeps it out.
		 */
		return (int) apply_filters( 'platen_page_seconds', 404 === $status ? self::MISSING : self::PAGE );
	}

	/** @param array<int|string, mixed> $cookies as PHP has them */
	public static function hasOwner( array $cookies ): bool {
		return isset( $cookies[ session_name() ] ) || array() !== preg_grep( self::OWNERS, array_map( 'strval', array_keys( $cookies ) ) );
	}

	/** A page that wrote something (counts its visitors, say) must be made for each of them. */
	private function written(): bool {
		$harmless = array_map( static fn( string $table ) => Config::TABLE_PREFIX . $table, self::TABLES );
		return array() !== array_diff( Freshness::writtenTables(), $harmless );
	}

	private function headersAllow( int $status ): bool {
		foreach ( headers_list() as $header ) {
			list( $name, $value ) = explode( ':', strtolower( $header ), 2 ) + array( '', '' );
			$value                = trim( $value );
			$bad                  = match ( $name ) {
				'set-cookie', 'www-authenticate', 'content-encoding', 'content-disposition', 'refresh' => true,
				'vary' => 'accept-encoding' !== $value,
				// Core forbids to keep its 404; ours is kept for seconds, by us alone.
				'cache-control' => 404 !== $status && 1 === preg_match( '/no-store|private|no-cache|max-age=0|must-revalidate/', $value ),
				default => false,
			};
			if ( $bad ) {
				return false;
			}
		}
		return true;
	}
}
