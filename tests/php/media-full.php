<?php
/** Files of a bucket on a task whose folder for temporary files is full: php -d sys_temp_dir=/dev/shm. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require __DIR__ . '/bucket.php';
foreach ( array( 'Config', 'MediaException', 'TaskRole', 'S3', 'MediaStore', 'MediaStream' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\Config;
use Platen\MediaStore;
use Platen\MediaStream;
use Platen\S3;
use Platen\TaskRole;

$endpoint = $argv[1];
$media    = Config::values()['media'];
$s3       = new S3( $media, new TaskRole( $media['credentials'], $media['key_id'], $media['key'] ) );
$store    = new MediaStore( $s3, $media['prefix'], 100 << 20 );
MediaStream::register( $store );
set_error_handler(
	static function ( int $level, string $message ): bool {
		$GLOBALS['warned'][] = $message;
		return true;
	}
);

const SIZE = 6 << 20;
$key  = "{$media['prefix']}full/large.txt";
$path = MediaStore::ROOT . '/full/large.txt';
file_put_contents( '/tmp/large', str_repeat( 'x', SIZE ) );
$s3->put( $key, '/tmp/large', array() );

/** Takes all of the folder but so many bytes. */
function leave( int $bytes ): void {
	file_put_contents( '/dev/shm/ballast', '' );
	clearstatcache();
	$handle = fopen( '/dev/shm/ballast', 'wb' );
	for ( $take = (int) disk_free_space( '/dev/shm' ) - $bytes; $take > 0; $take -= 1 << 20 ) {
		fwrite( $handle, str_repeat( 'b', min( $take, 1 << 20 ) ) );
	}
	fclose( $handle );
}

expect( 'temporary files are where the test fills', '/dev/shm', sys_get_temp_dir() );
leave( SIZE + SIZE / 2 ); // what is read fits, what is changed does not
foreach ( array( 'ab', 'r+b', 'c+b' ) as $mode ) {
	$GLOBALS['warned'] = array();
	expect( "open to change ($mode)", false, fopen( $path, $mode ) );
	expect( "and why ($mode)", 1, count( preg_grep( '/no room for a copy/', $GLOBALS['warned'] ) ) );
	expect( "nothing else is left here ($mode)", 1, count( glob( '/dev/shm/platen-media-*' ) ) );
}
expect( 'the file is whole', SIZE, $s3->head( $key )['size'] );
expect( 'and can be read', SIZE, strlen( (string) file_get_contents( $path ) ) );
$store->close();
leave( SIZE * 3 );
expect( 'with room it is changed', 1, file_put_contents( $path, 'y', FILE_APPEND ) );
expect( 'in the bucket', SIZE + 1, $s3->head( $key )['size'] );
$store->close();

// What the object cache gives is written here too.
$GLOBALS['known'] = str_repeat( 'k', 60000 );
function wp_cache_get( string $key, string $group = '', bool $force = false, ?bool &$found = null ): mixed {
	$found = str_starts_with( $key, 'content:' );
	return $found ? $GLOBALS['known'] : false;
}
leave( 8192 );
expect( 'a file that the cache knows', '', substr( (string) file_get_contents( MediaStore::ROOT . '/full/small.txt' ), 0, 9 ) );
expect( 'is not read by half', array(), glob( '/dev/shm/platen-media-*' ) );
unlink( '/dev/shm/ballast' );
expect( 'and read when there is room', 60000, strlen( (string) file_get_contents( MediaStore::ROOT . '/full/small.txt' ) ) );
$store->close();
$s3->delete( $key );
