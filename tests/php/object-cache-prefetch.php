<?php
/** Fetching ahead: fewer round trips, and never another value than a get() at the request's start gives. */

declare( strict_types=1 );

require __DIR__ . '/object-cache-harness.php';

use Platen\ObjectCache;
use Platen\Prefetch;

/** A page of the task that asks for some entries. */
function page( string $name ): ObjectCache {
	return request( array(), new Prefetch( $name ) );
}
function visit( string $name, array $keys ): array {
	$page   = page( $name );
	$values = array();
	foreach ( $keys as $key ) {
		$values[ $key ] = $page->get( $key, 'posts' );
	}
	$page->close();
	return array( $values, $page->trips() );
}
$keys = array_map( static fn( $i ) => "k$i", range( 1, 30 ) );
$all  = array_combine( $keys, $keys );

apcu_clear_cache();
request()->flush();
request()->set_multiple( $all, 'posts' );
request()->get( 'k1', 'posts' ); // the task knows the epochs now
expect( 'the first visit asks one by one', array( $all, 31 ), visit( 'page', $keys ) );
expect( 'the second in one round trip', array( $all, 1 ), visit( 'page', $keys ) );

request()->set( 'k1', 'changed', 'posts' );
request()->delete( 'k2', 'posts' );
expect( 'with the values of now', array( array( 'k1' => 'changed', 'k2' => false ) + $all, 1 ), array( array_slice( visit( 'page', array( 'k1' ) )[0] + array( 'k2' => false ) + $all, 0 ), visit( 'page', array( 'k1', 'k2' ) )[1] ) );
$page = page( 'page' );
expect( 'a deleted entry, fetched ahead, is a miss', false, $page->get( 'k2', 'posts' ) );
request()->set( 'k2', 'back', 'posts' );
expect( 'that is asked for again the next time', 'back', $page->get( 'k2', 'posts' ) );
$page->get( 'k3', 'posts' );
request()->set( 'k3', 'newer', 'posts' );
expect( 'a copy is as old as the request', 'k3', $page->get( 'k3', 'posts' ) );
expect( 'unless it is forced', 'newer', $page->get( 'k3', 'posts', true ) );
expect( 'forced, before it was asked for', 'k4', $page->get( 'k4', 'posts', true ) );

// What the request does itself goes before what was fetched ahead.
$page = page( 'page' );
$page->get( 'k9', 'posts' );
$page->delete( 'k5', 'posts' );
expect( 'own deletion', false, $page->get( 'k5', 'posts' ) );
$page->set( 'k6', 'mine', 'posts' );
expect( 'own set', 'mine', $page->get( 'k6', 'posts' ) );
expect( 'own add', false, $page->add( 'k7', 'x', 'posts' ) );
expect( 'leaves it', 'k7', $page->get( 'k7', 'posts' ) );
$page->flush_group( 'posts' );
expect( 'own flush of the group', false, $page->get( 'k8', 'posts' ) );

// A flush elsewhere: what was fetched ahead under the old epoch is not used.
request()->set_multiple( $all, 'posts' );
visit( 'page', $keys );
request()->flush_group( 'posts' );
expect( 'after a flush of the group', array_fill_keys( $keys, false ), visit( 'page', $keys )[0] );
request()->set_multiple( $all, 'posts' );
visit( 'page', $keys );
request()->flush();
expect( 'after a flush', array_fill_keys( $keys, false ), visit( 'page', $keys )[0] );
expect( 'misses are fetched ahead too', 1, visit( 'page', $keys )[1] );

// The lists stay small.
for ( $i = 0; $i < 10; $i++ ) {
	visit( 'page', array( 'k1' ) );
}
expect( 'what is not asked for leaves the list', array( 'posts:k1' ), ( new Prefetch( 'page' ) )->ids() );
for ( $i = 0; $i < 1000; $i++ ) {
	( new Prefetch( "p$i" ) )->save( array( "posts:$i" => true ) );
}
$lists = iterator_to_array( new APCUIterator( '/^platen\.prefetch\./' ) );
expect( 'however many pages there are', true, count( $lists ) <= 64 && count( $lists ) > 30 );
$many = new Prefetch( 'many' );
$many->save( array_fill_keys( array_map( static fn( $i ) => "posts:$i", range( 1, 5000 ) ), true ) + array( 'posts:' . str_repeat( 'x', 5000 ) => true ) );
expect( 'and however much one asks for', 400, count( ( new Prefetch( 'many' ) )->ids() ) );
