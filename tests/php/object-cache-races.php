<?php
/**
 * Readers and writers at once, each interleaving played out in one process: no fill that began
 * before a deletion is served after it, and no update of options is lost.
 */

declare( strict_types=1 );

require __DIR__ . '/object-cache-harness.php';

use Platen\ObjectCache;

request()->flush();

/** What a request that begins now finds. */
function now( string|int $key, string $group ): mixed {
	return request()->get( $key, $group );
}

// A reader misses, reads the database, is overtaken by a writer, and stores what it read.
foreach ( array( 'posts', 'plugin' ) as $group ) {
	foreach ( array(
		'add'          => static fn( $r, $key ) => $r->add( $key, 'old', $group ),
		'add_multiple' => static fn( $r, $key ) => $r->add_multiple( array( $key => 'old' ), $group ),
		'set'          => static fn( $r, $key ) => $r->set( $key, 'old', $group ),
		'set_multiple' => static fn( $r, $key ) => $r->set_multiple( array( $key => 'old' ), $group ),
	) as $how => $fill ) {
		$reader = request();
		$reader->get( $how, $group );
		request()->delete( $how, $group );
		$fill( $reader, $how );
		expect( "$group: $how after another's deletion is not served", false, now( $how, $group ) );

		$reader = request();
		expect( "$group: $how: a request that begins after it misses", false, $reader->get( $how, $group ) );
		$fill( $reader, $how );
		expect( "$group: $how: and may fill", 'old', now( $how, $group ) );

		// Somebody else has filled the gap since: the slow reader must not replace that either.
		$reader = request();
		request()->delete( $how, $group );
		$slow = $reader; // begins below, before the second deletion
		$slow->get( $how, $group );
		request()->delete( $how, $group );
		$fast = request();
		$fast->get( $how, $group );
		$fast->add( $how, 'new', $group );
		$fill( $slow, $how );
		$served = now( $how, $group );
		expect( "$group: $how does not replace what was filled after the deletion", true, str_starts_with( $how, 'add' ) ? 'new' === $served : false === $served );
		request()->delete( $how, $group );
	}
}

// Without a get() before, core's rows are fills all the same; what a plugin adds may be a lock.
$reader = request();
$reader->get( 'anything', 'posts' );
request()->delete( 'blind', 'posts' );
$reader->add_multiple( array( 'blind' => 'old' ), 'posts' );
expect( 'a row added blindly after a deletion is not served', false, now( 'blind', 'posts' ) );
$waiting = request();
$holder  = request();
expect( 'a lock is taken', true, $holder->add( 'lock', 1, 'locks' ) );
expect( 'by one', false, $waiting->add( 'lock', 1, 'locks' ) );
$holder->delete( 'lock', 'locks' );
expect( 'released, another takes it at once', true, $waiting->add( 'lock', 2, 'locks' ) );
expect( 'and holds it', false, request()->add( 'lock', 3, 'locks' ) );
expect( 'as all see', 2, now( 'lock', 'locks' ) );

// What one request deletes and stores again.
$one = request();
$one->set( 'again', 'a', 'posts' );
$one->delete( 'again', 'posts' );
expect( 'a request fills after its own deletion', true, $one->add( 'again', 'b', 'posts' ) );
expect( 'for all', 'b', now( 'again', 'posts' ) );
// But its own deletion does not hide another's.
$one = request();
$one->get( 'hidden', 'posts' );
request()->delete( 'hidden', 'posts' );
$one->delete( 'hidden', 'posts' );
$one->add( 'hidden', 'old', 'posts' );
expect( 'a deletion of its own does not hide that of another', false, now( 'hidden', 'posts' ) );

// Transients are nowhere but here: what is set is kept.
$slow = request();
$slow->get( 't', 'transient' );
request()->delete( 't', 'transient' );
$slow->set( 't', 'kept', 'transient' );
expect( 'a transient that is set is set', 'kept', now( 't', 'transient' ) );

// A tombstone is no entry.
request()->delete( 'tomb', 'plugin' );
expect( 'no replace of a tombstone', false, request()->replace( 'tomb', 1, 'plugin' ) );
expect( 'no incr of one', false, request()->incr( 'tomb', 1, 'plugin' ) );
expect( 'no deletion of one', false, request()->delete( 'tomb', 'plugin' ) );
expect( 'nor is it found', array( 'tomb' => false ), request()->get_multiple( array( 'tomb' ), 'plugin' ) );
request()->set( 'tomb', 7, 'plugin' );
expect( 'a number in its place counts', 9, request()->incr( 'tomb', 2, 'plugin' ) );
expect( 'for all', 9, now( 'tomb', 'plugin' ) );

// Counters, whatever they began as.
foreach ( array( 'text' => '10', 'float' => 10.0, 'number' => 10 ) as $type => $first ) {
	request()->set( $type, $first, 'counters' );
	$all = array();
	for ( $i = 0; $i < 10; $i++ ) {
		$all[ $i ] = request();
		$all[ $i ]->get( $type, 'counters' ); // each has its own copy of the beginning
	}
	foreach ( $all as $one ) {
		$one->incr( $type, 1, 'counters' );
	}
	expect( "ten count up a $type", 20.0, (float) now( $type, 'counters' ) );
}

// alloptions: two writers change different options.
$options = static fn( array $all ) => request()->add( 'alloptions', $all, 'options' );
request()->delete( 'alloptions', 'options' );
$options( array( 'a' => '1', 'b' => '1' ) );
$w1 = request();
$w2 = request();
foreach ( array( array( $w1, 'a' ), array( $w2, 'b' ) ) as list( $w, $name ) ) {
	$read[ $name ] = $w->get( 'alloptions', 'options', true );
}
foreach ( array( array( $w1, 'a' ), array( $w2, 'b' ) ) as list( $w, $name ) ) {
	$w->set( 'alloptions', array( $name => '2' ) + $read[ $name ], 'options' );
}
expect( 'what two writers read and wrote at once is in nobody’s cache', false, now( 'alloptions', 'options' ) );
expect( 'the last writer goes on with its own', array( 'b' => '2', 'a' => '1' ), $w2->get( 'alloptions', 'options', true ) );
expect( 'the first must ask the database', false, $w1->get( 'alloptions', 'options', true ) );
expect( 'a row stored singly goes with it', false, now( 'a', 'options' ) );
$reader = request();
$reader->get( 'alloptions', 'options' );
expect( 'a reader fills it from the database', true, $reader->add( 'alloptions', array( 'a' => '2', 'b' => '2' ), 'options' ) );
expect( 'for all', array( 'a' => '2', 'b' => '2' ), now( 'alloptions', 'options' ) );
$w = request();
$w->get( 'alloptions', 'options', true );
$late = request();
$late->get( 'single', 'options' );
$w->set( 'alloptions', array( 'a' => '2', 'b' => '2', 'single' => 'x' ), 'options' );
$late->add( 'single', 'old', 'options' );
expect( 'an option that was stored singly before it was in alloptions', false, now( 'single', 'options' ) );
$blind = request();
request()->add( 'lone', 'kept?', 'options' );
$blind->set( 'alloptions', array( 'x' => 1 ), 'options' );
expect( 'written without having been read: nothing of the group is served', false, now( 'lone', 'options' ) );

// One option: who commits first may store last.
$first  = request();
$second = request();
$first->get( 'price', 'options' );
$second->get( 'price', 'options' );
$second->set( 'price', '2', 'options' );
$first->set( 'price', '1', 'options' );
expect( 'neither of two writers of one option decides what is served', false, now( 'price', 'options' ) );
request()->set( 'price', '3', 'options' );
expect( 'nor one that read nothing', false, now( 'price', 'options' ) );
$network = request();
$network->get( '1:title', 'site-options' );
$network->set( '1:title', 'T', 'site-options' );
expect( 'a network’s option, stored after a miss, is served', 'T', now( '1:title', 'site-options' ) );
$prime = request();
$prime->get_multiple( array( 'p1', 'p2' ), 'options' );
$prime->set_multiple( array( 'p1' => 'one', 'p2' => 'two' ), 'options' );
expect( 'options that core primes are served', array( 'p1' => 'one', 'p2' => 'two' ), request()->get_multiple( array( 'p1', 'p2' ), 'options' ) );

// notoptions: readers add names, a writer that adds an option takes all away.
request()->delete( 'notoptions', 'options' );
$reader = request();
$reader->get( 'notoptions', 'options' );
$reader->set( 'notoptions', array( 'n1' => true ), 'options' );
expect( 'a reader says what does not exist', array( 'n1' => true ), now( 'notoptions', 'options' ) );
$reader->set( 'notoptions', array( 'n1' => true, 'n2' => true ), 'options' );
expect( 'and more', array( 'n1' => true, 'n2' => true ), now( 'notoptions', 'options' ) );
$other = request();
$other->get( 'notoptions', 'options' );
$reader->set( 'notoptions', array( 'n1' => true, 'n2' => true, 'n3' => true ), 'options' );
$other->set( 'notoptions', array( 'n1' => true, 'n2' => true, 'n4' => true ), 'options' );
expect( 'of two at once the second is not stored', array( 'n1' => true, 'n2' => true, 'n3' => true ), now( 'notoptions', 'options' ) );
foreach ( array(
	'an autoloaded option' => static function () {
		$w = request();
		$w->add( 'alloptions', array( 'a' => '1' ), 'options' );
		$w->set( 'alloptions', array( 'a' => '1', 'added' => '1' ), 'options' );
	},
	'another option'       => static fn() => request()->set( 'added', '1', 'options' ),
) as $what => $write ) {
	request()->delete( 'notoptions', 'options' );
	request()->delete( 'alloptions', 'options' );
	$reader = request();
	$reader->get( 'notoptions', 'options' ); // then asks the database for "added", which is not there yet
	$write();
	$reader->set( 'notoptions', array( 'added' => true ), 'options' );
	expect( "$what is added: it is not said not to exist", false, now( 'notoptions', 'options' ) );
	$reader = request();
	$reader->get( 'notoptions', 'options' );
	$reader->set( 'notoptions', array( 'added' => true ), 'options' );
	$write();
	expect( "$what is added later: neither", false, now( 'notoptions', 'options' ) );
	// The same value twice is not the same version.
	$reader = request();
	$reader->get( 'notoptions', 'options' );
	$reader->set( 'notoptions', array( 'n' => true ), 'options' );
	$slow = request();
	$slow->get( 'notoptions', 'options' );
	$write();
	$reader = request();
	$reader->get( 'notoptions', 'options' );
	$reader->set( 'notoptions', array( 'n' => true ), 'options' );
	$slow->set( 'notoptions', array( 'n' => true, 'added' => true ), 'options' );
	expect( "$what is added between: nor then", array( 'n' => true ), now( 'notoptions', 'options' ) );
}
$w = request();
$w->get( 'notoptions', 'options' );
$w->set( 'notoptions', array(), 'options' );
expect( 'a name taken away takes all away', false, now( 'notoptions', 'options' ) );

// Another history, as after a takeover: deletions may be missing.
$raw   = node();
$early = request();
$early->get( 'moved', 'posts' );
$raw->hSet( '{p}epochs', 'server', 'another history' );
expect( 'another history: nothing of before is served', false, now( 'lock', 'locks' ) );
$early->add( 'moved', 'old', 'posts' );
expect( 'nor what a request of before stores', false, now( 'moved', 'posts' ) );

// The epochs change while a writer works: what readers fill since does not outlive its deletion.
foreach ( array( 'flush' => static fn() => request()->flush(), 'flush_group' => static fn() => request()->flush_group( 'posts' ) ) as $how => $flush ) {
	foreach ( array(
		'delete'  => static fn( ObjectCache $c ) => $c->delete( 'row', 'posts' ),
		'set'     => static fn( ObjectCache $c ) => $c->set( 'row', 'new', 'posts' ),
		'replace' => static fn( ObjectCache $c ) => $c->replace( 'row', 'new', 'posts' ),
	) as $what => $write ) {
		$writer = request();
		$writer->get( 'anything', 'posts' );
		$flush();
		$reader = request();
		$reader->get( 'row', 'posts' );
		$reader->add( 'row', 'old', 'posts' );
		expect( "$how: a reader fills", 'old', now( 'row', 'posts' ) );
		$write( $writer ); // after its commit
		expect( "$how while a writer works: its $what is not lost", false, now( 'row', 'posts' ) );
	}
	$reader = request();
	$reader->get( 'row', 'posts' );
	request()->delete( 'row', 'posts' );
	$flush();
	$reader->delete( 'else', 'posts' ); // makes it look again
	$reader->add( 'row', 'old', 'posts' );
	expect( "$how after a deletion that a reader did not see: it fills nothing", false, now( 'row', 'posts' ) );
}

// What cannot be serialized is the request's own, as with WordPress' own cache; nothing older takes its place.
$writer = request();
$writer->set( 'mixed', 'older', 'things' );
$writer->set_multiple( array( 'mixed' => static fn() => 1, 'plain' => 'kept' ), 'things' );
expect( 'a closure stays with its request', true, $writer->get( 'mixed', 'things' ) instanceof Closure );
expect( 'and takes the older value away', false, now( 'mixed', 'things' ) );
expect( 'the value beside it is stored', 'kept', now( 'plain', 'things' ) );
expect( 'added alone it is no error', true, request()->add( 'closure', static fn() => 1, 'things' ) );

// A lock is asked for, however long the request has run.
$long = request();
$long->get( 'anything', 'posts' );
( new ReflectionProperty( ObjectCache::class, 'since' ) )->setValue( $long, hrtime( true ) - 3600 * 1_000_000_000 );
request()->add( 'lock', 'mine', 'locks' );
expect( 'another has the lock', false, $long->add( 'lock', 'yours', 'locks' ) );
expect( 'this one nobody has', true, $long->add( 'other lock', 'yours', 'locks' ) );
expect( 'now somebody has', false, request()->add( 'other lock', 'mine', 'locks' ) );

// A script that the server does not know yet is sent.
$raw->rawCommand( 'SCRIPT', 'FLUSH' );
expect( 'scripts are sent again', true, request()->add( 'after', 1, 'posts' ) );
expect( 'and work', 1, now( 'after', 'posts' ) );
