<?php
/** What a request has read from readers is stored only when no reader can lag behind its writer. */

declare( strict_types=1 );

require __DIR__ . '/object-cache-harness.php';

use Platen\Freshness;
use Platen\ObjectCache;

const POSTS = '{p}written:wp_posts';

$raw = node();
request()->flush();
$raw->del( '{p}written:', '{p}written:*', POSTS, '{p}written:wp_terms' );

/** A request that has read tables from readers, and what one that begins then finds. */
function reading( array $tables, callable $does, ?ObjectCache $request = null ): mixed {
	Freshness::reset();
	$request ??= request();
	$request->get( 'k', 'posts' );
	Freshness::read( $tables );
	$own = $does( $request );
	Freshness::reset();
	$seen = request()->get( 'k', 'posts' );
	request()->delete( 'k', 'posts' );
	return array( $own, $request->get( 'k', 'posts' ), $seen );
}
$add = static fn( ObjectCache $c ) => $c->add( 'k', 'v', 'posts' );

expect( 'nobody writes: stored', array( true, 'v', 'v' ), reading( array( 'wp_posts' ), $add ) );

// Heard before the statement runs.
$writer = request();
Freshness::onWrite( array( $writer, 'writes' ) );
Freshness::wrote( array( 'wp_posts' ) );
expect( 'the mark is there', 1, $raw->zCard( POSTS ) );
expect( 'for as long as a job may take', true, $raw->ttl( POSTS ) > 60 );

expect( 'a table being written: the request keeps it, nobody else sees it', array( true, 'v', false ), reading( array( 'wp_posts', 'wp_terms' ), $add ) );
expect( 'another table', array( true, 'v', 'v' ), reading( array( 'wp_terms' ), $add ) );
expect( 'a statement that nobody understood', array( true, 'v', false ), reading( array( '*' ), $add ) );
expect( 'one that read from the writer', array( true, 'v', 'v' ), reading( array(), $add ) );
expect( 'set', array( true, 'v', false ), reading( array( 'wp_posts' ), static fn( $c ) => $c->set( 'k', 'v', 'posts' ) ) );
expect( 'set_multiple', array( array( 'k' => true ), 'v', false ), reading( array( 'wp_posts' ), static fn( $c ) => $c->set_multiple( array( 'k' => 'v' ), 'posts' ) ) );
request()->set( 'k', 'older', 'posts' );
expect( 'what it wanted to replace is not served either', array( true, 'v', false ), reading( array( 'wp_posts' ), static fn( $c ) => $c->replace( 'k', 'v', 'posts' ) ) );
$r = request();
$r->get( 'notoptions', 'options' );
Freshness::read( array( 'wp_posts' ) );
$r->set( 'notoptions', array( 'x' => true ), 'options' );
Freshness::reset();
expect( 'that an option does not exist is not said either', false, request()->get( 'notoptions', 'options' ) );

// Ended: its readers may still lag.
$early = request();
$early->get( 'k', 'posts' );
$writer->written();
expect( 'ended just now', array( true, 'v', false ), reading( array( 'wp_posts' ), $add ) );
$time = $raw->time();
$now  = $time[0] * 1000 + intdiv( (int) $time[1], 1000 );
$left = $raw->zRange( POSTS, 0, -1, array( 'withscores' => true ) );
expect( 'for the bound and the age of its measurement', true, max( $left ) <= $now + Freshness::LAG_BOUND + 3500 );
usleep( 20_000 );
foreach ( array( POSTS, '{p}written:' ) as $mark ) {
	$raw->zAdd( $mark, $now - 1, array_key_first( $left ) ); // it is over, without waiting for it
}
expect( 'over: stored', array( true, 'v', 'v' ), reading( array( 'wp_posts' ), $add ) );
expect( 'also of any table', array( true, 'v', 'v' ), reading( array( '*' ), $add ) );
expect( 'but not by one that read while readers lagged', array( true, 'v', false ), reading( array( 'wp_posts' ), $add, $early ) );

// Two writers: the end of one is not the end of the other.
$w1 = request();
$w2 = request();
$w1->writes( array( 'wp_posts' ) );
$w2->writes( array( 'wp_posts' ) );
$w1->written();
expect( 'two marks', 2, $raw->zCount( POSTS, (string) $now, '+inf' ) );
expect( 'of which one is for long', 1, $raw->zCount( POSTS, (string) ( $now + 30_000 ), '+inf' ) );
$w2->written();
expect( 'until its end', 0, $raw->zCount( POSTS, (string) ( $now + 30_000 ), '+inf' ) );
$w3 = request();
$w3->writes( array( '*' ) );
expect( 'a write that nobody understood is one of every table', array( true, 'v', false ), reading( array( 'wp_terms' ), $add ) );
