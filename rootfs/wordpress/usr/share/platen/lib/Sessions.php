<?php
declare( strict_types=1 );

namespace Platen;

/**
 * PHP's sessions as phpredis keeps them, but never lost in silence. A session that cannot be read,
 * because its server is gone or another request of the visitor holds it for too long, answers 503:
 * phpredis would go on without it, and the page would show a stranger, and save one. One that
 * cannot be written answers 503 as long as nothing was sent, and is logged always.
 *
 * A visitor's id counts only when there is a session of it; phpredis knows how to tell, but PHP's
 * handler of handlers does not pass that on, and without it session.use_strict_mode does nothing.
 *
 * The session is given back before a short answer is sent, whose visitor comes again at once (forms
 * that redirect), and while this request asks the site itself, which may want the same session.
 */
final class Sessions extends \SessionHandler implements \SessionUpdateTimestampHandlerInterface {

	/** What is stored of a session with nothing in it: '' is what phpredis reads where there is none. */
	private const EMPTY = "\0";

	/** @var array{string, string} what open() was told: where, and the cookie's name */
	private array $opened = array( '', '' );
	/** The id that was read since open(); null: none yet. */
	private ?string $current = null;
	/** @var array{string, string}|null an id and what validateId() read of it */
	private ?array $found = null;

	/** @var array<string, mixed>|null what was saved when the session was given back */
	private ?array $saved = null;
	private bool $lent    = false;

	/** @param string $home the site's address */
	public function __construct( private readonly string $home ) {
	}

	public function register(): void {
		session_set_save_handler( $this, false ); // settle() closes it, after what plugins do at their end
		add_filter( 'pre_http_request', array( $this, 'lend' ), PHP_INT_MAX, 3 );
		add_action( 'http_api_debug', array( $this, 'takeBack' ), PHP_INT_MIN, 5 );
		add_action( 'shutdown', array( $this, 'give' ), 0 ); // core sends the page at 1
		register_shutdown_function( static fn( self $sessions ) => register_shutdown_function( array( $sessions, 'settle' ) ), $this );
	}

	/** No server is asked yet. */
	public function open( string $path, string $name ): bool {
		$this->opened  = array( $path, $name );
		$this->current = null;
		$this->found   = null;
		return parent::open( $path, $name );
	}

	/** Unlocks the session; when the server is gone, the lock ends by itself. */
	public function close(): bool {
		$this->current = null;
		$this->found   = null;
		return parent::close();
	}

	/** What is in a session. Ends the request with 503 when its server is gone, or somebody holds it. */
	public function read( string $id ): string|false {
		$data          = $id === ( $this->found[0] ?? null ) ? $this->found[1] : $this->take( $id );
		$this->found   = null;
		$this->current = $id;
		return self::EMPTY === $data ? '' : $data;
	}

	/** Saves a session. When that fails the request ends with 503, as long as it can. */
	public function write( string $id, string $data ): bool {
		$ok = parent::write( $id, '' === $data ? self::EMPTY : $data );
		if ( ! $ok ) {
			$this->refuse( 'written' );
		}
		return $ok;
	}

	/** Whether there is a session of this id. When its server is gone, like read(). */
	public function validateId( string $id ): bool {
		if ( null !== $this->current ) {
			return false; // session_create_id() makes one while another is open, whose lock is to stay
		}
		$data = $this->take( $id );
		if ( false === $data ) {
			return false;
		}
		if ( '' !== $data ) {
			$this->found = array( $id, $data );
			return true;
		}
		// Reading has locked what there is not. phpredis unlocks when it closes.
		parent::close();
		parent::open( ...$this->opened );
		return false;
	}

	/** PHP's call instead of write() where nothing has changed. */
	public function updateTimestamp( string $id, string $data ): bool {
		return $this->write( $id, $data );
	}

	/**
	 * Saves the session and lets other requests of the visitor have it. Once headers are on their way
	 * PHP opens no session again: then it stays open to the end, for what plugins may still put in.
	 */
	public function give(): void {
		if ( PHP_SESSION_ACTIVE === session_status() && ! headers_sent() ) {
			session_write_close();
			$this->saved = $_SESSION ?? array();
			ini_set( 'session.use_cookies', '0' ); // opened again it needs no header
			ini_set( 'session.cache_limiter', '' );
		}
	}

	/** The last of all: saves what was put into the session after it had been given back, or the session. */
	public function settle(): void {
		if ( null !== $this->saved && PHP_SESSION_NONE === session_status() && ( $_SESSION ?? array() ) !== $this->saved ) {
			$now = $_SESSION;
			if ( session_start() ) {
				$_SESSION = $now;
			}
		}
		if ( PHP_SESSION_ACTIVE === session_status() ) {
			session_write_close();
		}
	}

	/** Gives the session back while the site itself is asked. */
	public function lend( mixed $answer, mixed $arguments, string $url ): mixed {
		if ( false === $answer && PHP_SESSION_ACTIVE === session_status() && ! headers_sent() && $this->isOwn( $url ) ) {
			session_write_close();
			$this->lent = true;
		}
		return $answer;
	}

	/** Takes the session again, with what the other request put into it. */
	public function takeBack( mixed $response, string $context, string $class, mixed $arguments, string $url ): void {
		if ( $this->lent && $this->isOwn( $url ) ) {
			$this->lent = false;
			session_start();
		}
	}

	private function isOwn( string $url ): bool {
		return parse_url( $url, PHP_URL_HOST ) === parse_url( $this->home, PHP_URL_HOST );
	}

	private function take( string $id ): string|false {
		$data = parent::read( $id );
		if ( false === $data ) {
			$this->refuse( 'read' );
		}
		return $data;
	}

	/**
	 * Says that there is no session, and ends the request. While it is shutting down it goes on, since
	 * exit would keep others from their part of that: the purge of pages, and plugins.
	 */
	private function refuse( string $what ): void {
		$why = error_get_last()['message'] ?? 'see the line before';
		error_log( "platen: the session could not be $what: $why" );
		if ( headers_sent() || 'cli' === PHP_SAPI ) {
			return;
		}
		while ( ob_get_level() > 0 && ob_end_clean() );
		http_response_code( 503 );
		header( 'Retry-After: 5' );
		header( 'Cache-Control: no-store' );
		header( 'Content-Type: text/plain; charset=utf-8' );
		if ( did_action( 'shutdown' ) > 0 ) {
			echo "Your session could not be saved. What you sent may have been; look before you try again.\n";
			return;
		}
		exit( "Your session is busy or cannot be reached. Nothing was saved; try again in a moment.\n" );
	}
}
