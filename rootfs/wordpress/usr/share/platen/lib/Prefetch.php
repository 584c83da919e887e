<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Remembers which entries of the object cache a page asks for, so that the next request for it
 * fetches them with its first round trip instead of one by one.
 *
 * The lists are this task's, in APCu: SLOTS of them, each bounded, whatever addresses are asked
 * for. Pages that share a slot replace one another; a list that does not fit costs some bytes and
 * never a wrong value, since each entry is asked for under the epoch of the moment. An entry that is
 * not used any more leaves the list after a few requests.
 *
 * Without APCu (jobs) there is no list, and each entry is fetched when it is asked for.
 */
final class Prefetch {

	private const KEY    = 'platen.prefetch.';
	private const SLOTS  = 64;
	private const LIMIT  = 400;   // entries of a list
	private const LENGTH = 180;   // bytes of an entry's name
	private const TTL    = 86400; // seconds
	private const FRESH  = 4;     // requests without use after which an entry leaves

	/** @var array<string, int> entry => requests without use until it leaves */
	private array $list = array();
	private string $slot;

	/** @param string $page what pages that ask for the same entries have in common */
	public function __construct( private readonly string $page ) {
		$this->slot = self::KEY . crc32( $page ) % self::SLOTS;
		$stored     = function_exists( 'apcu_enabled' ) && apcu_enabled() ? apcu_fetch( $this->slot ) : false;
		if ( is_array( $stored ) ) {
			// Another page's list is a better guess than none: most entries are the same on all pages.
			$this->list = $stored[1];
			$this->page === $stored[0] || $this->list = array_fill_keys( array_keys( $this->list ), 1 );
		}
	}

	/** The list for the page that this request asks for; null for what is no request. */
	public static function ofRequest(): ?self {
		if ( ! isset( $_SERVER['REQUEST_METHOD'], $_SERVER['REQUEST_URI'] ) ) {
			return null;
		}
		$who = '';
		foreach ( $_COOKIE as $name => $ignored ) {
			if ( str_starts_with( (string) $name, 'wordpress_logged_in_' ) ) {
				$who = 'user';
			}
		}
		return new self( md5( "$who {$_SERVER['REQUEST_METHOD']} " . strtok( $_SERVER['REQUEST_URI'], '?' ), true ) );
	}

	/** @return list<string> what the page will probably ask for */
	public function ids(): array {
		return array_map( 'strval', array_keys( $this->list ) );
	}

	/**
	 * Takes in what the request asked for.
	 *
	 * @param array<string, true> $asked
	 */
	public function save( array $asked ): void {
		if ( ! function_exists( 'apcu_enabled' ) || ! apcu_enabled() || array() === $asked ) {
			return;
		}
		$list = array();
		foreach ( $this->list as $id => $left ) {
			if ( isset( $asked[ $id ] ) ) {
				$list[ $id ] = self::FRESH;
			} elseif ( $left > 1 ) {
				$list[ $id ] = $left - 1;
			}
		}
		foreach ( $asked as $id => $ignored ) {
			if ( ! isset( $list[ $id ] ) && count( $list ) < self::LIMIT && strlen( (string) $id ) <= self::LENGTH ) {
				$list[ $id ] = self::FRESH;
			}
		}
		if ( $list !== $this->list ) {
			apcu_store( $this->slot, array( $this->page, $list ), self::TTL );
		}
	}
}
