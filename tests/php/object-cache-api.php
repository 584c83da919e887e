<?php
/**
 * The object-cache API against WordPress' own implementation: the functions are all there, the same
 * operations give the same results, case by case and in any sequence – within a request without a
 * server too, and over several requests with one.
 *
 * php object-cache-api.php [SEED]
 */

declare( strict_types=1 );

require __DIR__ . '/object-cache-harness.php';

use Platen\ObjectCache;

const WPINC_FOLDER = '/usr/share/wordpress/wp-includes';

// WordPress' functions that the classes ask.
$GLOBALS['suspended'] = false;
$GLOBALS['multisite'] = false;
$GLOBALS['wrong']     = 0;
function wp_suspend_cache_addition(): bool {
	return $GLOBALS['suspended'];
}
function is_multisite(): bool {
	return $GLOBALS['multisite'];
}
function get_current_blog_id(): int {
	return 1;
}
function __( $text ) {
	return $text;
}
function _doing_it_wrong(): void {
	++$GLOBALS['wrong'];
}
function _deprecated_function(): void {
}
function esc_html( $text ) {
	return htmlspecialchars( $text );
}
const KB_IN_BYTES = 1024;

require WPINC_FOLDER . '/class-wp-object-cache.php';
require '/usr/share/platen/drop-ins/object-cache.php';

/** @return array<string, string> function => parameters, of a file */
function functions_of( string $file ): array {
	preg_match_all( '/^\t?function (wp_cache_\w+)\((.*)\) \{$/m', file_get_contents( $file ), $found );
	return array_combine( $found[1], array_map( 'trim', $found[2] ) );
}

$core = functions_of( WPINC_FOLDER . '/cache.php' );
$ours = functions_of( '/usr/share/platen/drop-ins/object-cache.php' );
expect( 'core’s functions were found', true, count( $core ) >= 20 );
foreach ( $core as $name => $parameters ) {
	expect( "$name takes what core’s takes", $parameters, $ours[ $name ] ?? '(not there)' );
}
// What core adds for drop-ins that lack it works on top of the above; it must not meet one of ours that does less.
$compat = functions_of( WPINC_FOLDER . '/cache-compat.php' );
expect( 'core’s additions were found', true, count( $compat ) >= 7 );
require WPINC_FOLDER . '/cache-compat.php';
foreach ( array_keys( $compat ) as $name ) {
	expect( "$name is there", true, function_exists( $name ) );
}
preg_match_all( "/case '(\w+)':/", strstr( file_get_contents( WPINC_FOLDER . '/cache.php' ), 'function wp_cache_supports' ), $features );
foreach ( $features[1] as $feature ) {
	expect( "supports $feature", true, wp_cache_supports( $feature ) );
}
expect( 'supports nothing else', false, wp_cache_supports( 'teleport' ) );

wp_cache_init();
global $wp_object_cache;
wp_cache_flush();
expect( 'the functions work: set', true, wp_cache_set( 'f', 1, 'fn', '60' ) );
expect( 'get', 1, wp_cache_get( 'f', 'fn', false, $found ) );
expect( 'found', true, $found );
expect( 'incr', 3, wp_cache_incr( 'f', 2, 'fn' ) );
expect( 'decr', 2, wp_cache_decr( 'f', 1, 'fn' ) );
expect( 'add', array( 'f' => false, 'g' => true ), wp_cache_add_multiple( array( 'f' => 1, 'g' => 2 ), 'fn' ) );
expect( 'replace', true, wp_cache_replace( 'f', 5, 'fn' ) );
expect( 'get_multiple', array( 'f' => 5, 'g' => 2 ), wp_cache_get_multiple( array( 'f', 'g' ), 'fn' ) );
expect( 'flush_runtime', true, wp_cache_flush_runtime() );
expect( 'keeps', 5, wp_cache_get( 'f', 'fn' ) );
expect( 'flush_group', true, wp_cache_flush_group( 'fn' ) );
expect( 'empties', false, wp_cache_get( 'f', 'fn' ) );
expect( 'close', true, wp_cache_close() );
if ( function_exists( 'wp_cache_get_salted' ) ) { // WordPress 6.9
	wp_cache_set_salted( 's', array( 1 ), 'fn', 'salt' );
	expect( 'salted', array( 1 ), wp_cache_get_salted( 's', 'fn', 'salt' ) );
	expect( 'another salt', false, wp_cache_get_salted( 's', 'fn', 'pepper' ) );
}

// Properties that plugins read and write.
wp_cache_set( 'p', 'v', 'properties' );
expect( 'cache', 'v', $wp_object_cache->cache['properties']['p'] );
expect( 'isset', array( true, false ), array( isset( $wp_object_cache->cache ), isset( $wp_object_cache->nothing ) ) );
expect( 'blog_prefix', '', $wp_object_cache->blog_prefix );
expect( 'multisite', false, $wp_object_cache->multisite );
wp_cache_add_global_groups( 'everyone' );
expect( 'global_groups', true, $wp_object_cache->global_groups['everyone'] );
$wp_object_cache->group_ops = array();
expect( 'a property of a plugin’s own', array(), $wp_object_cache->group_ops );
$wp_object_cache->cache = array();
expect( 'memory is given back', array(), $wp_object_cache->cache );
expect( 'the server keeps', 'v', wp_cache_get( 'p', 'properties' ) );
ob_start();
$wp_object_cache->stats();
expect( 'stats', true, str_contains( ob_get_clean(), 'properties' ) );

/** WordPress' own for several requests: what persists, and what does not. */
final class Model {
	private WP_Object_Cache $kept;
	private WP_Object_Cache $runtime;

	public function __construct() {
		$this->kept = $this->fresh();
		$this->next();
	}

	private function fresh(): WP_Object_Cache {
		$cache = new WP_Object_Cache();
		$cache->add_global_groups( array( 'users' ) );
		return $cache;
	}

	public function next(): void {
		$this->runtime            = $this->fresh();
		$this->kept->cache_hits   = 0;
		$this->kept->cache_misses = 0;
	}

	public function __call( string $method, array $arguments ): mixed {
		if ( 'flush' === $method || 'switch_to_blog' === $method ) {
			$this->runtime->$method( ...$arguments );
			return $this->kept->$method( ...$arguments );
		}
		if ( 'flush_runtime' === $method ) {
			return $this->runtime->flush();
		}
		$at = array( 'flush_group' => 0, 'get' => 1, 'get_multiple' => 1, 'delete' => 1, 'delete_multiple' => 1 )[ $method ] ?? ( str_ends_with( $method, '_multiple' ) ? 1 : 2 );
		return ( 'counts' === ( $arguments[ $at ] ?? '' ) ? $this->runtime : $this->kept )->$method( ...$arguments );
	}

	public function found( $key, $group ): array {
		$found = null;
		$value = ( 'counts' === $group ? $this->runtime : $this->kept )->get( $key, $group, false, $found );
		return array( $value, $found );
	}

	public function counted(): array {
		return array( $this->kept->cache_hits + $this->runtime->cache_hits, $this->kept->cache_misses + $this->runtime->cache_misses );
	}
}

function same( mixed $a, mixed $b ): bool {
	if ( is_array( $a ) && is_array( $b ) ) {
		return array_keys( $a ) === array_keys( $b ) && array() === array_filter( array_keys( $a ), static fn( $k ) => ! same( $a[ $k ], $b[ $k ] ) );
	}
	return is_object( $a ) ? is_object( $b ) && get_class( $a ) === get_class( $b ) && $a == $b : $a === $b;
}

/** Runs one operation on both. An array of what they gave. */
function both( Model $model, ObjectCache $cache, array $operation ): array {
	$method = array_shift( $operation );
	if ( 'found' === $method ) {
		$found = null;
		$value = $cache->get( $operation[0], $operation[1], false, $found );
		return array( $model->found( ...$operation ), array( $value, $found ) );
	}
	return array( $model->$method( ...$operation ), $cache->$method( ...$operation ) );
}

// Case by case.
$object = (object) array( 'n' => 1 );
$cases  = array();
foreach ( array( '', 'default', 'posts', 'users', 'counts', '0', 'a:b', 'a%3Ab' ) as $group ) {
	array_push(
		$cases,
		array( 'found', 'k', $group ), array( 'set', 'k', 'v', $group ), array( 'found', 'k', $group ), array( 'get', 'k', $group ), array( 'get', 'k', $group, true ),
		array( 'add', 'k', 'w', $group ), array( 'get', 'k', $group ), array( 'replace', 'k', 'x', $group ), array( 'get', 'k', $group ), array( 'replace', 'none', 1, $group ),
		array( 'delete', 'k', $group ), array( 'delete', 'k', $group ), array( 'found', 'k', $group ), array( 'add', 'k', 'y', $group, 30 ), array( 'get', 'k', $group ),
		array( 'incr', 'none', 1, $group ), array( 'decr', 'none', 1, $group ), array( 'set', 1, 5, $group ), array( 'incr', '1', 3, $group ), array( 'decr', 1, 20, $group ),
		array( 'get', 1, $group ), array( 'set_multiple', array( 'a' => 1, 2 => null, 'o' => $object ), $group ), array( 'get_multiple', array( 2, 'o', 'none', 'a' ), $group ),
		array( 'add_multiple', array( 'a' => 9, 'z' => false ), $group ), array( 'get_multiple', array( 'a', 'z' ), $group, true ),
		array( 'delete_multiple', array( 'a', 'none', 'z' ), $group ), array( 'get_multiple', array( 'a', 'z' ), $group ), array( 'flush_group', $group ?: 'default' ), array( 'found', 'o', $group )
	);
	foreach ( array( 'text', '10', '1.5', '', null, true, false, 1.5, 0.0, -3, PHP_INT_MAX, array( 1 ) ) as $i => $value ) {
		array_push( $cases, array( 'set', "n$i", $value, $group ), array( 'incr', "n$i", 2, $group ), array( 'get', "n$i", $group ), array( 'decr', "n$i", 1, $group ), array( 'get', "n$i", $group ) );
	}
	foreach ( array( '', '  ', null, 1.5, true, array() ) as $key ) {
		array_push( $cases, array( 'set', $key, 1, $group ), array( 'get', $key, $group ), array( 'add', $key, 1, $group ), array( 'replace', $key, 1, $group ), array( 'delete', $key, $group ), array( 'incr', $key, 1, $group ) );
	}
}
/** Compares the cases; says the first that differs. */
function compare( string $what, array $cases, ObjectCache $cache, Model $model ): void {
	$GLOBALS['wrong'] = 0;
	foreach ( $cases as $i => $case ) {
		list( $want, $got ) = both( $model, $cache, $case );
		if ( ! same( $want, $got ) ) {
			expect( "$what: operation $i: " . json_encode( $case, JSON_PARTIAL_OUTPUT_ON_ERROR ), $want, $got );
			return;
		}
	}
	expect( "$what: hits and misses", $model->counted(), array( $cache->cache_hits, $cache->cache_misses ) );
	expect( "$what: as often called wrong by both", 0, $GLOBALS['wrong'] % 2 );
	expect( "$what: " . count( $cases ) . ' operations, the same results', true, count( $cases ) > 0 );
}
$nowhere = array( 'host' => '127.0.0.1', 'port' => 1 );
request()->flush();
compare( 'case by case', $cases, request(), new Model() );
compare( 'case by case, no server', $cases, request( $nowhere ), new Model() );
$GLOBALS['suspended'] = true;
compare( 'additions suspended', array( array( 'add', 'sus', 1, 'posts' ), array( 'add_multiple', array( 'sus' => 1, 'pended' => 2 ), 'posts' ), array( 'get', 'sus', 'posts' ), array( 'set', 'sus', 2, 'posts' ) ), request(), new Model() );
$GLOBALS['suspended'] = false;
$GLOBALS['multisite'] = true;
request()->flush();
$blogs = new ObjectCache( new Platen\ValkeyConnection( Platen\Config::values()['objects'], PATIENT ), '1:' );
$blogs->add_global_groups( 'users' );
compare(
	'blogs',
	array(
		array( 'set', 'k', 'one', 'posts' ), array( 'set', 'k', 'all', 'users' ), array( 'switch_to_blog', 2 ), array( 'found', 'k', 'posts' ), array( 'found', 'k', 'users' ),
		array( 'set', 'k', 'two', 'posts' ), array( 'add', '1:k', 'not one’s', 'posts' ), array( 'switch_to_blog', '1' ), array( 'get', 'k', 'posts', true ), array( 'flush_group', 'posts' ), array( 'switch_to_blog', 2 ), array( 'found', 'k', 'posts' ),
	),
	$blogs,
	new Model()
);
$GLOBALS['multisite'] = false;

// Any sequence.
$seed = (int) ( $argv[1] ?? random_int( 1, 1 << 30 ) );
echo "ok   (seed $seed)\n";
mt_srand( $seed );
function pick( array $from ): mixed {
	return $from[ mt_rand( 0, count( $from ) - 1 ) ];
}
function value(): mixed {
	return match ( mt_rand( 0, 11 ) ) {
		0       => null,
		1       => pick( array( true, false ) ),
		2       => mt_rand( -5, 5 ) / 2,
		3       => (string) mt_rand( -50, 50 ),
		4       => pick( array( '', 'T5;', 'V7;ab;0;x', '007', "\0\1", 'text' ) ),
		5       => array( mt_rand(), 'k' => array( null, 'x' ) ),
		6       => (object) array( 'id' => mt_rand( 0, 9 ) ),
		7       => pick( array( PHP_INT_MAX, PHP_INT_MIN, 0 ) ),
		default => mt_rand( -10, 100 ),
	};
}
function operation(): array {
	$key   = static fn() => pick( array( 'a', 'b', 'c', 'a:b', 1, '2', '1:a', ' x' ) );
	$group = pick( array( '', 'posts', 'users', 'counts', 'plugin', 'plugin:x', 'transient' ) );
	$some  = static function () use ( $key ): array {
		$keys = array();
		for ( $n = mt_rand( 1, 4 ); $n > 0; $n-- ) {
			$keys[] = $key();
		}
		return $keys;
	};
	$map   = static fn() => array_map( static fn() => value(), array_flip( $some() ) );
	return match ( mt_rand( 0, 19 ) ) {
		0, 1    => array( 'set', $key(), value(), $group, pick( array( 0, 100 ) ) ),
		2, 3    => array( 'add', $key(), value(), $group ),
		4       => array( 'replace', $key(), value(), $group ),
		5, 6, 7 => array( 'found', $key(), $group ),
		8       => array( 'get', $key(), $group, true ),
		9       => array( 'get_multiple', $some(), $group, pick( array( true, false ) ) ),
		10      => array( 'set_multiple', $map(), $group ),
		11      => array( 'add_multiple', $map(), $group ),
		12, 13  => array( 'delete', $key(), $group ),
		14      => array( 'delete_multiple', $some(), $group ),
		15, 16  => array( 'incr', $key(), mt_rand( -3, 5 ), $group ),
		17      => array( 'decr', $key(), mt_rand( 0, 20 ), $group ),
		18      => pick( array( array( 'flush_group', $group ?: 'default' ), array( 'found', $key(), $group ) ) ),
		default => 0 === mt_rand( 0, 4 ) ? array( 'flush' ) : array( 'found', $key(), $group ),
	};
}
function operations( int $n ): array {
	$all = array();
	while ( $n-- > 0 ) {
		$all[] = operation();
	}
	return $all;
}
compare( 'any sequence, no server', operations( 4000 ), request( $nowhere ), new Model() );
request()->flush();
compare( 'any sequence, one request', operations( 2000 ), request(), new Model() );
request()->flush();
$model = new Model();
for ( $r = 1; $r <= 40 && 0 === $GLOBALS['platen_failed']; $r++ ) {
	$model->next();
	compare( "any sequence, request $r", operations( 80 ), request(), $model );
}
