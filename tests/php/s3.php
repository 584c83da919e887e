<?php
/** The client of S3, the store of media and the stream wrapper, without WordPress, against a bucket that judges each signature. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require __DIR__ . '/bucket.php';
foreach ( array( 'Config', 'MediaException', 'TaskRole', 'S3', 'MediaStore', 'MediaStream' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;
use Platen\MediaException;
use Platen\MediaStore;
use Platen\MediaStream;
use Platen\S3;
use Platen\TaskRole;

$endpoint = $argv[1];
$media    = Config::values()['media'];
$role     = new TaskRole( $media['credentials'], $media['key_id'], $media['key'] );
$s3       = new S3( $media, $role );

/** @return MediaException|null what went wrong */
function error( callable $work ): ?MediaException {
	try {
		$work();
		return null;
	} catch ( MediaException $e ) {
		return $e;
	}
}
function scratch( string $content ): string {
	$file = tempnam( '/tmp', 'scratch' );
	file_put_contents( $file, $content );
	return $file;
}
/** After all tries failed the client does not ask for some seconds: tests that go on ask another. */
function rested(): S3 {
	apcu_clear_cache();
	return new S3( $GLOBALS['media'], $GLOBALS['role'] );
}

// AWS' own figures: "Authenticating Requests: Using the Authorization Header", GET Object and PUT Object.
$example = array( 'id' => 'AKIAIOSFODNN7EXAMPLE', 'secret' => 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', 'token' => '' );
$may     = gmmktime( 0, 0, 0, 5, 24, 2013 );
$signed  = S3::sign( 'GET', '/test.txt', array(), array( 'host' => 'examplebucket.s3.amazonaws.com', 'range' => 'bytes=0-9' ), hash( 'sha256', '' ), $example, 'us-east-1', $may );
expect( 'AWS’ example of a GET', 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41', substr( $signed['authorization'], -64 ) );
$signed = S3::sign( 'PUT', '/test$file.text', array(), array( 'host' => 'examplebucket.s3.amazonaws.com', 'date' => 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class' => 'REDUCED_REDUNDANCY' ), hash( 'sha256', 'Welcome to Amazon S3.' ), $example, 'us-east-1', $may );
expect( 'AWS’ example of a PUT', '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd', substr( $signed['authorization'], -64 ) );
$signed = S3::sign( 'GET', '/', array( 'prefix' => 'J', 'max-keys' => '2' ), array( 'host' => 'examplebucket.s3.amazonaws.com' ), hash( 'sha256', '' ), $example, 'us-east-1', $may );
expect( 'AWS’ example of a list', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7', substr( $signed['authorization'], -64 ) );

// Objects.
$odd = 'wp-content/uploads/2026/11/ü & (1) +~\'$=%41.txt';
expect( 'put', true, $s3->put( $odd, scratch( 'one' ), array( 'content-type' => 'text/plain' ) ) );
expect( 'the key and the type arrived', 'text/plain', bucket( 'object', array( 'key' => $odd ) )['type'] );
expect( 'put where there is one', false, $s3->put( $odd, scratch( 'two' ), array(), true ) );
expect( 'head', 3, $s3->head( $odd )['size'] );
expect( 'its time is now', true, abs( $s3->head( $odd )['time'] - time() ) < 120 );
$file = scratch( 'something longer that was there before' );
expect( 'get', 3, $s3->get( $odd, $file )['size'] );
expect( 'the file has the object and nothing else', 'one', file_get_contents( $file ) );
expect( 'an empty object', true, $s3->put( 'wp-content/uploads/empty', scratch( '' ) ) );
$s3->get( 'wp-content/uploads/empty', $file );
expect( 'comes back empty', '', file_get_contents( $file ) );
expect( 'head of nothing', null, $s3->head( 'nothing' ) );
expect( 'get of nothing', null, $s3->get( 'nothing', $file ) );
$s3->delete( 'nothing' );
foreach ( array( 'a', 'b', 'c/d', 'c/e', 'f' ) as $key ) {
	$s3->put( "list/$key", scratch( $key ) );
}
calls();
expect( 'a list, two at a time', array( 'list/a', 'list/b', 'list/f', 'list/c/' ), array_keys( iterator_to_array( $s3->list( 'list/', '/', 2 ) ) ) );
expect( 'took two pages', array( 'LIST 200', 'LIST 200' ), calls() );
expect( 'a list of all', 5, count( iterator_to_array( $s3->list( 'list/' ) ) ) );
$s3->delete( 'list/a' );
expect( 'deleted', null, $s3->head( 'list/a' ) );

// Errors that pass.
$body = str_repeat( 'wörter ', 20000 );
foreach ( array( '500', 'SlowDown', 'cut' ) as $kind ) {
	calls();
	fail( $kind, 2 );
	expect( "$kind twice: put", true, $s3->put( "retry/$kind", scratch( $body ) ) );
	expect( "$kind twice: three tries", 3, count( calls() ) );
	fail( $kind, 1 );
	$s3->get( "retry/$kind", $file );
	expect( "$kind once: get has all bytes", true, file_get_contents( $file ) === $body );
	fail( $kind, 1 );
	expect( "$kind once: list", 1, count( iterator_to_array( $s3->list( "retry/$kind" ) ) ) );
}
fail( 'flip', 1 );
expect( 'bytes that changed on the way', true, str_contains( error( fn() => $s3->get( 'retry/cut', $file ) )?->getMessage() ?? '', 'not those that were put' ) );

// Errors that stay.
fail( 'SlowDown', 99 );
calls();
$e = error( fn() => $s3->put( 'down', scratch( 'x' ) ) );
expect( 'it says what failed and what to do', 'put down in the bucket lab-media: SlowDown Please reduce your request rate.. S3 cannot at the moment: try again in a minute', $e?->getMessage() );
expect( 'after three tries', array( 'PUT 503', 'PUT 503', 'PUT 503' ), calls() );
$e = error( fn() => $s3->head( 'list/b' ) );
expect( 'then it rests', true, str_contains( $e?->getMessage() ?? '', 'not asked again after a moment ago: put down' ) );
expect( 'also another process of the task', true, error( fn() => ( new S3( $media, $role ) )->head( 'list/b' ) ) instanceof MediaException );
expect( 'and asks nobody', array(), calls() );
$s3 = rested();
fail( 'cut', 99 );
expect( 'a visitor waits for one try', true, error( fn() => ( new S3( $media, $role, 1 ) )->head( 'list/b' ) ) instanceof MediaException );
expect( 'which is one', 1, count( calls() ) );
fail();
$s3 = rested();
fail( 'AccessDenied', 99 );
$e = error( fn() => $s3->put( 'denied', scratch( 'x' ) ) );
expect( 'what the role lacks', true, str_contains( $e?->getMessage() ?? '', 'AccessDenied' ) && str_contains( $e->getMessage(), 's3:PutObject' ) );
fail();
expect( 'one refusal is no reason to rest', 1, $s3->head( 'list/b' )['size'] );
foreach ( array(
	'InvalidAccessKeyId'    => array( $media, new TaskRole( '', 'AKIDNOBODY', 'x' ) ),
	'SignatureDoesNotMatch' => array( $media, new TaskRole( '', $media['key_id'], 'wrong' ) ),
	'AuthorizationHeaderMalformed' => array( array( 'region' => 'us-west-2' ) + $media, $role ),
	'NoSuchBucket'          => array( array( 'bucket' => 'another' ) + $media, $role ),
	'no keys'               => array( $media, new TaskRole( '' ) ),
) as $code => list( $config, $who ) ) {
	$e = error( fn() => ( new S3( $config, $who ) )->put( 'wrong', scratch( 'x' ) ) );
	expect( "$code is told", true, str_contains( $e?->getMessage() ?? 'no error', $code ) );
}
expect( 'nothing of that arrived', null, $s3->head( 'wrong' ) );
$e = error( fn() => ( new S3( array( 'endpoint' => 'http://127.0.0.1:9' ) + $media, $role ) )->head( 'x' ) );
expect( 'nobody there', true, str_contains( $e?->getMessage() ?? '', 'no answer (' ) );

// The wrapper.
$s3    = rested();
$store = new MediaStore( $s3, $media['prefix'], 64 << 20 );
MediaStream::register( $store );
$warnings = array();
set_error_handler(
	static function ( int $level, string $text ) use ( &$warnings ): bool {
		$warnings[] = $text;
		return true;
	}
);
$root = MediaStore::ROOT;
mkdir( "$root/2026/11", 0755, true );
expect( 'a folder', true, is_dir( "$root/2026/11" ) && is_writable( "$root/2026/11" ) );
expect( 'written', 5, file_put_contents( "$root/2026/11/a.txt", 'hello' ) );
expect( 'LOCK_EX is for regular files, says PHP', false, file_put_contents( "$root/2026/11/a.txt", 'x', LOCK_EX ) );
expect( 'written again', 5, file_put_contents( "$root/2026/11/a.txt", 'hallo' ) );
expect( 'it is in the bucket', 'hallo', ( function () use ( $s3, $file ) {
	$s3->get( 'wp-content/uploads/2026/11/a.txt', $file );
	return file_get_contents( $file );
} )() );
expect( 'read', 'hallo', file_get_contents( "$root/2026/11/a.txt" ) );
file_put_contents( "$root/2026/11/a.txt", ' welt', FILE_APPEND );
expect( 'appended', 'hallo welt', file_get_contents( "$root//2026/11/a.txt" ) );
$f = fopen( "$root/2026/11/a.txt", 'r+' );
fseek( $f, 6 );
fwrite( $f, 'WELT' );
ftruncate( $f, 9 );
fclose( $f );
expect( 'changed in place', 'hallo WEL', file_get_contents( "$root/2026/11/a.txt" ) );
clearstatcache();
expect( 'its size', 9, filesize( "$root/2026/11/a.txt" ) );
expect( 'a file is no folder', true, is_file( "$root/2026/11/a.txt" ) && ! is_dir( "$root/2026/11/a.txt" ) );
expect( 'x where there is one', false, fopen( "$root/2026/11/a.txt", 'x' ) );
expect( 'rename', true, rename( "$root/2026/11/a.txt", "$root/2026/11/b.txt" ) );
expect( 'the old name is gone', false, file_exists( "$root/2026/11/a.txt" ) );
expect( 'rename to itself, spelt otherwise', true, rename( "$root/2026/11/b.txt", "$root/2026//11/b.txt" ) );
clearstatcache();
expect( 'the file stays', 'hallo WEL', file_get_contents( "$root/2026/11/b.txt" ) );
expect( 'in the bucket', 9, bucket( 'object', array( 'key' => 'wp-content/uploads/2026/11/b.txt' ) )['size'] ?? null );
expect( 'rename of nothing to itself', false, rename( "$root/2026/11/a.txt", "$root/2026/11/a.txt" ) );
expect( 'copy', true, copy( "$root/2026/11/b.txt", "$root/2026/11/c.d/e.txt" ) );
expect( 'touch', true, touch( "$root/2026/11/f.lock" ) && file_exists( "$root/2026/11/f.lock" ) );
$names = scandir( "$root/2026/11" );
expect( 'the folder’s names', array( 'b.txt', 'c.d', 'f.lock', "ü & (1) +~'\$=%41.txt" ), $names );
expect( 'a folder with a dot', true, is_dir( "$root/2026/11/c.d" ) );
expect( 'rmdir of a full folder', false, rmdir( "$root/2026/11" ) );
expect( 'unlink', true, unlink( "$root/2026/11/b.txt" ) );
expect( 'no such file', false, file_get_contents( "$root/2026/11/b.txt" ) );
expect( 'no way out', false, file_get_contents( "$root/../secret.txt" ) );
file_put_contents( "$root/code.php", '<?php return "run";' );
expect( 'nothing is run', false, ( static fn() => @include "$root/code.php" )() ); // phpcs:ignore
expect( 'an SVG opened by itself is downloaded', 'attachment', ( function () use ( $root ) {
	file_put_contents( "$root/x.svg", '<svg/>' );
	return bucket( 'object', array( 'key' => 'wp-content/uploads/x.svg' ) )['disposition'];
} )() );

$warnings = array();
fail( 'AccessDenied', 99, 'PUT' );
file_put_contents( "$root/lost.txt", 'x' );
fail();
expect( 'a write that failed is told', true, str_contains( $warnings[0] ?? '', 'AccessDenied' ) && null !== $store->failure( "$root/lost.txt" ) );
expect( 'and is not there', false, file_exists( "$root/lost.txt" ) );

// What is not to be held in memory.
$big = tempnam( '/tmp', 'big' );
for ( $i = 0, $f = fopen( $big, 'wb' ); $i < 60; $i++ ) {
	fwrite( $f, random_bytes( 1 << 20 ) );
}
fclose( $f );
memory_reset_peak_usage();
$before = memory_get_peak_usage();
expect( '60 MB go in', true, copy( $big, "$root/film.mp4" ) );
$store->close();
expect( '60 MB come out', hash_file( 'sha256', $big ), hash_file( 'sha256', "$root/film.mp4" ) );
expect( '60 MB arrived as they were', hash_file( 'sha256', $big ), bucket( 'object', array( 'key' => 'wp-content/uploads/film.mp4' ) )['sha256'] );
expect( 'and memory has not seen them (' . ( memory_get_peak_usage() - $before ) . ' bytes)', true, memory_get_peak_usage() - $before < 4 << 20 );

// The end of a request.
expect( 'a name is taken', true, $store->reserve( "$root/taken.jpg" ) );
expect( 'once', false, ( new MediaStore( $s3, $media['prefix'], 1 << 20 ) )->reserve( "$root/taken.jpg" ) );
expect( 'and is no file yet', false, file_exists( "$root/taken.jpg" ) );
$store->close();
expect( 'a name that was not used is free again', null, bucket( 'object', array( 'key' => 'wp-content/uploads/taken.jpg' ) ) );
expect( 'no local copies are left', array(), staged() );
