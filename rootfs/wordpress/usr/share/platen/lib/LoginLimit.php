<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Bounds how often passwords may be guessed, counted over all tasks: by address, by the name that
 * is logged in with, and by both, so that one guesser does not keep a person out. A name is whoever
 * WordPress knows by it. An attempt is counted before its password is looked at, since making a
 * hash is what costs; one that is refused is not; a success takes the counters of its name back.
 *
 * The counters are in the object cache's store. There they may be evicted, which gives a guesser
 * another window; in the sessions' store, which never evicts, a guesser with many addresses could
 * fill what logins are kept in. When the server is gone everybody may try: nginx' own limit, one a
 * task, is left.
 */
final class LoginLimit {

	public const WINDOW = 300; // seconds that an attempt counts, from the first one on

	private const BY_BOTH    = 10;
	private const BY_NAME    = 100;
	private const BY_ADDRESS = 30;
	// Behind Docker's gateway, or a proxy that is not known, all visitors have one address.
	private const BY_OWN_NETWORK = 600;

	// KEYS: counters. ARGV: milliseconds of the window, what to add (1, or 0 to look), the bound of
	// each counter. Returns the milliseconds until the last counter that is at its bound ends. Then
	// none is added to: who is refused for his address must not use up what a name has.
	private const SCRIPT = <<<'LUA'
		local wait = 0
		for i, key in ipairs(KEYS) do
			if tonumber(redis.call('GET', key) or 0) >= tonumber(ARGV[i + 2]) then
				wait = math.max(wait, redis.call('PTTL', key), 1)
			end
		end
		if wait == 0 and ARGV[2] == '1' then
			for _, key in ipairs(KEYS) do
				if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, ARGV[1]) end
			end
		end
		return wait
		LUA;

	// KEYS: the counter of the address, then those to forget.
	private const SUCCESS = <<<'LUA'
		if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('DECR', KEYS[1]) end
		for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
		LUA;

	/** @var array<string, string> who a name is, in this request */
	private array $persons = array();

	/** @param string $site keeps sites apart that share a server */
	public function __construct( private readonly ValkeyConnection $store, private readonly string $site ) {
	}

	public function register(): void {
		add_action( 'login_init', array( $this, 'atTheForm' ) );
		add_filter( 'authenticate', array( $this, 'beforeThePassword' ), PHP_INT_MIN, 2 );
		add_action( 'wp_login', array( $this, 'passed' ), 10, 2 );
		// Basic authentication comes with each request of an application: only failures count.
		add_filter( 'determine_current_user', array( $this, 'beforeTheApplication' ), PHP_INT_MIN );
		add_action( 'application_password_failed_authentication', array( $this, 'applicationFailed' ) );
	}

	/**
	 * Counts an attempt. Returns how many seconds to wait before the next one; 0: go on. 0 as well
	 * when the server is gone.
	 */
	public function attempt( string $name, string $address ): int {
		return $this->ask( $name, $address, true );
	}

	/** Like attempt(), without counting one. */
	public function waits( string $name, string $address ): int {
		return $this->ask( $name, $address, false );
	}

	/**
	 * Forgets the attempts under a name, after one of them was right, and this one of the address:
	 * an office of many people has one. Does nothing when the server is gone.
	 */
	public function succeeded( string $name, string $address ): void {
		$this->forget( $this->person( $name ), $address );
	}

	/** Whoever has guessed too often is not even shown what the form thinks. */
	public function atTheForm(): void {
		if ( 'POST' === ( $_SERVER['REQUEST_METHOD'] ?? '' ) ) {
			$this->refuse( $this->waits( (string) ( is_string( $_POST['log'] ?? null ) ? wp_unslash( $_POST['log'] ) : '' ), self::address() ) );
		}
	}

	/** Filter of core's, first in line. An empty form is no attempt: core asks so when it only shows one. */
	public function beforeThePassword( mixed $user, mixed $name ): mixed {
		if ( is_string( $name ) && '' !== $name ) {
			$this->refuse( $this->attempt( $name, self::address() ) );
		}
		return $user;
	}

	/** Action of core's: the right password. */
	public function passed( string $name, mixed $user = null ): void {
		$this->forget( $user instanceof \WP_User ? "user $user->ID" : $this->person( $name ), self::address() );
	}

	/** Filter of core's: before the password of an application is looked at. */
	public function beforeTheApplication( mixed $user ): mixed {
		// Once: in wp-admin the page that refuses asks who is there, for his language.
		remove_filter( 'determine_current_user', array( $this, 'beforeTheApplication' ), PHP_INT_MIN );
		if ( ! $user && isset( $_SERVER['PHP_AUTH_USER'] ) ) {
			$this->refuse( $this->waits( (string) $_SERVER['PHP_AUTH_USER'], self::address() ) );
		}
		return $user;
	}

	/** Action of core's: a wrong password of an application. */
	public function applicationFailed(): void {
		$name = (string) ( $_SERVER['PHP_AUTH_USER'] ?? '' );
		if ( '' !== $name ) {
			$this->attempt( $name, self::address() );
		}
	}

	/** What is one visitor by his address: IPv6 customers have at least 2^64 of them. */
	public static function visitor( string $address ): string {
		$bytes = (string) @inet_pton( $address );
		if ( 16 === strlen( $bytes ) && str_starts_with( $bytes, str_repeat( "\0", 10 ) . "\xff\xff" ) ) {
			$bytes = substr( $bytes, 12 ); // IPv4 in IPv6's clothes
		}
		return bin2hex( 16 === strlen( $bytes ) ? substr( $bytes, 0, 8 ) : $bytes );
	}

	/** Whether addresses tell visitors apart, as nginx' $own_network has it. */
	public static function isOwnNetwork( string $address ): bool {
		return false === filter_var( $address, FILTER_VALIDATE_IP, FILTER_FLAG_NO_PRIV_RANGE | FILTER_FLAG_NO_RES_RANGE );
	}

	private function ask( string $name, string $address, bool $count ): int {
		$bounds = array( self::isOwnNetwork( $address ) ? self::BY_OWN_NETWORK : self::BY_ADDRESS );
		$keys   = array( $this->key( 'address', self::visitor( $address ) ) );
		if ( '' !== $name ) {
			array_push( $keys, ...$this->nameKeys( $this->person( $name ), $address ) );
			array_push( $bounds, self::BY_BOTH, self::BY_NAME );
		}
		$arguments = array( ...$keys, self::WINDOW * 1000, $count ? 1 : 0, ...$bounds );
		$wait      = $this->store->run( static fn( \Redis $redis ) => $redis->eval( self::SCRIPT, $arguments, count( $keys ) ), false );
		return (int) ceil( (int) $wait / 1000 );
	}

	private function forget( string $person, string $address ): void {
		$keys = array( $this->key( 'address', self::visitor( $address ) ), ...$this->nameKeys( $person, $address ) );
		$this->store->run( static fn( \Redis $redis ) => $redis->eval( self::SUCCESS, $keys, count( $keys ) ), false );
	}

	/**
	 * Who is logged in as by a name. The database finds one user by many spellings (with a joiner of no
	 * width, in letters of full width), and by his e-mail address: each would be another ten guesses.
	 */
	private function person( string $name ): string {
		return $this->persons[ $name ] ??= self::known( $name ) ?? 'name ' . mb_strtolower( trim( $name ) );
	}

	private static function known( string $name ): ?string {
		if ( '' === trim( $name ) || ! function_exists( 'get_user_by' ) ) {
			return null;
		}
		$user = get_user_by( 'login', $name );
		$user = false === $user ? get_user_by( 'email', $name ) : $user;
		return $user instanceof \WP_User ? "user $user->ID" : null;
	}

	/** @return array{string, string} a person's counters: from this address, and from all */
	private function nameKeys( string $person, string $address ): array {
		return array( $this->key( 'both', $person . ' ' . self::visitor( $address ) ), $this->key( 'name', $person ) );
	}

	/** Neither names nor addresses are kept in clear; all keys are in one slot of a cluster. */
	private function key( string $kind, string $what ): string {
		return "{platen:login:$this->site}:$kind:" . substr( hash( 'sha256', $what ), 0, 32 );
	}

	private static function address(): string {
		return (string) ( $_SERVER['REMOTE_ADDR'] ?? '' );
	}

	/** Ends the request, in the words of whoever asked: a page, JSON or XML-RPC. */
	private function refuse( int $wait ): void {
		if ( $wait <= 0 ) {
			return;
		}
		error_log( 'platen: too many attempts to log in from ' . self::address() . "; refused for $wait s" );
		if ( ! headers_sent() ) {
			header( "Retry-After: $wait" );
			nocache_headers();
		}
		wp_die(
			esc_html( sprintf( 'Too many attempts to log in. Try again in %d minutes.', (int) ceil( $wait / 60 ) ) ),
			'Too many attempts',
			array( 'response' => 429, 'code' => 'platen_login_limit' )
		);
	}
}
