<?php
/**
 * WordPress' own options in several tasks at once, over the real drop-in and database.
 *
 * php object-cache-options.php prepare | task N | check
 *
 * Each task updates its own options, counts up, adds and deletes some, and between them reads
 * everybody's as a new request would. Nothing may be older than the last update that had ended when
 * the reading began.
 */

declare( strict_types=1 );

require __DIR__ . '/object-cache-harness.php';
require '/usr/share/platen/jobs/bootstrap.php';
define( 'WP_USE_THEMES', false );
require '/usr/share/wordpress/wp-load.php';

const TASKS  = 4;
const ROUNDS = 50;

$what = $argv[1];
$me   = (int) ( $argv[2] ?? 0 );
$raw  = node();

expect( 'the object cache is the drop-in’s', true, wp_using_ext_object_cache() && $GLOBALS['wp_object_cache'] instanceof Platen\ObjectCache && $GLOBALS['wp_object_cache']->connected() );

/** The options of a task: autoloaded, and not. */
function mine( int $task ): array {
	return array( "t_auto_$task" => true, "t_auto2_$task" => true, "t_single_$task" => false );
}

if ( 'prepare' === $what ) {
	wp_cache_flush();
	$raw->del( '{p}test:done', '{p}test:ready' );
	for ( $task = 0; $task < TASKS; $task++ ) {
		foreach ( mine( $task ) as $name => $autoload ) {
			delete_option( $name );
			add_option( $name, '0', '', $autoload );
		}
		delete_option( "t_flip_$task" );
	}
	exit;
}

if ( 'task' === $what ) {
	$raw->incr( '{p}test:ready' );
	until( 'all tasks are ready', static fn() => (int) $raw->get( '{p}test:ready' ) === TASKS );
	$stale = array();
	$look  = static function () use ( $raw, &$stale ): void {
		$done = $raw->hGetAll( '{p}test:done' ); // before anything is read
		wp_cache_flush_runtime();                // as a request that begins
		for ( $task = 0; $task < TASKS; $task++ ) {
			foreach ( mine( $task ) as $name => $ignored ) {
				$got = (int) get_option( $name );
				if ( $got < (int) ( $done[ $name ] ?? 0 ) ) {
					$stale[] = "$name is $got after {$done[ $name ]} was done";
				}
			}
		}
	};
	for ( $round = 1; $round <= ROUNDS; $round++ ) {
		wp_cache_flush_runtime();
		$name = array_keys( mine( $me ) )[ $round % 3 ];
		update_option( $name, (string) $round );
		$raw->hSet( '{p}test:done', $name, $round );
		$look();
		$flip = "t_flip_$me";
		if ( 0 === $round % 4 ) {
			add_option( $flip, 'there', '', 0 === $round % 8 );
		} elseif ( 2 === $round % 4 ) {
			delete_option( $flip );
		}
		wp_cache_flush_runtime();
		$there = 'gone' !== get_option( $flip, 'gone' );
		if ( $round >= 4 && $there !== ( 0 === $round % 4 || 1 === $round % 4 ) ) {
			$stale[] = "round $round: $flip " . ( $there ? 'is there' : 'is not there' );
		}
		$GLOBALS['wp_object_cache']->flush_runtime();
		wp_cache_add( 't_counter', 0, 'test' );
		wp_cache_incr( 't_counter', 1, 'test' );
	}
	expect( 'nothing stale was read', array(), array_slice( $stale, 0, 5 ) );
	exit;
}

global $wpdb;
expect( 'a counter lost nothing', TASKS * ROUNDS, wp_cache_get( 't_counter', 'test' ) );
$rows = $wpdb->get_results( "SELECT option_name, option_value FROM $wpdb->options WHERE option_name LIKE 't\\_%'", OBJECT_K );
expect( 'all options are there', TASKS * 3, count( array_filter( array_keys( $rows ), static fn( $name ) => ! str_starts_with( $name, 't_flip' ) ) ) );
foreach ( $rows as $name => $row ) {
	expect( "$name is served as the database has it", $row->option_value, get_option( $name ) );
}
for ( $task = 0; $task < TASKS; $task++ ) {
	foreach ( array_keys( mine( $task ) ) as $i => $name ) {
		$last = max( array_filter( range( 1, ROUNDS ), static fn( $round ) => $round % 3 === $i ) );
		expect( "$name has its last update", (string) $last, get_option( $name ) );
	}
	expect( "t_flip_$task is as the database has it", isset( $rows[ "t_flip_$task" ] ), 'gone' !== get_option( "t_flip_$task", 'gone' ) );
}
// With a warm cache nothing is asked of the database: what is served comes from the cache.
wp_cache_flush_runtime();
foreach ( array_keys( $rows ) as $name ) {
	get_option( $name );
}
wp_cache_flush_runtime();
$before = $wpdb->num_queries;
foreach ( array_keys( $rows ) as $name ) {
	get_option( $name );
}
expect( 'from the cache alone', 0, $wpdb->num_queries - $before );
