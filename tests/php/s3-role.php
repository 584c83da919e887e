<?php
/** The keys of a task's role: asked for once, renewed before their end, told when there are none. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require __DIR__ . '/bucket.php';
foreach ( array( 'Config', 'MediaException', 'TaskRole', 'S3' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;
use Platen\MediaException;
use Platen\S3;
use Platen\TaskRole;

$endpoint = $argv[1];
$media    = Config::values()['media'];
$url      = "$endpoint/_test/role";
$file     = tempnam( '/tmp', 'scratch' );

$s3 = new S3( $media, new TaskRole( $url ) );
expect( 'signed with the token', true, $s3->put( 'a', $file ) );
$s3->head( 'a' );
( new S3( $media, new TaskRole( $url ) ) )->head( 'a' );
expect( 'asked for the keys once', array( 'ROLE 200', 'PUT 200', 'HEAD 200', 'HEAD 200' ), calls() );

// Keys that end within five minutes are renewed, keys that have ended too.
$name = 'platen:task-role:' . sha1( $url );
$keys = apcu_fetch( $name );
foreach ( array( 'near' => 200, 'past' => -10 ) as $when => $seconds ) {
	apcu_store( $name, array( 'ends' => time() + $seconds ) + $keys );
	( new S3( $media, new TaskRole( $url ) ) )->head( 'a' );
	expect( "renewed, their end is $when", array( 'ROLE 200', 'HEAD 200' ), calls() );
}
// A store that says they ended is believed.
apcu_store( $name, array( 'token' => 'old' ) + $keys );
( new S3( $media, new TaskRole( $url ) ) )->put( 'a', $file );
expect( 'renewed when refused', array( 'PUT 400', 'ROLE 200', 'PUT 200' ), calls() );
// Nobody hands out new ones: the old are used until they end.
$gone = "$endpoint/_test/nobody";
apcu_store( 'platen:task-role:' . sha1( $gone ), array( 'ends' => time() + 200 ) + $keys );
( new S3( $media, new TaskRole( $gone ) ) )->head( 'a' );
expect( 'kept while they hold', array( 'HEAD 200' ), calls() );
apcu_clear_cache();
try {
	( new S3( $media, new TaskRole( $gone ) ) )->head( 'a' );
	expect( 'no keys', 'an error', 'none' );
} catch ( MediaException $e ) {
	expect( 'the reason is told', true, str_contains( $e->getMessage(), 'HTTP 404' ) );
	expect( 'the path that opens the keys is not', false, str_contains( $e->getMessage(), 'nobody' ) );
}
