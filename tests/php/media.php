<?php
/** Uploads of WordPress into a bucket: by its own functions, as its media library calls them. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require __DIR__ . '/bucket.php';
$endpoint = $argv[1];
require '/usr/share/platen/jobs/bootstrap.php';
require '/usr/share/wordpress/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/admin.php';
require_once ABSPATH . 'wp-admin/includes/image-edit.php';

use Platen\MediaStore;

/** A picture with as many colours as it takes to tell two apart. */
function picture( int $width, int $height, int $seed = 1 ): string {
	$image = imagecreatetruecolor( $width, $height );
	mt_srand( $seed );
	for ( $i = 0; $i < 40; $i++ ) {
		imagefilledellipse( $image, mt_rand( 0, $width ), mt_rand( 0, $height ), mt_rand( 50, 900 ), mt_rand( 50, 900 ), mt_rand( 0, 0xffffff ) );
	}
	$file = tempnam( '/tmp', 'picture' );
	imagejpeg( $image, $file );
	return $file;
}
function sideload( string $file, string $name ): int|WP_Error {
	return media_handle_sideload( array( 'name' => $name, 'tmp_name' => $file ), 0 );
}
/** What the bucket has of an object. */
function object( string $relative ): ?array {
	return bucket( 'object', array( 'key' => "wp-content/uploads/$relative" ) );
}
function attachments(): int {
	global $wpdb;
	return (int) $wpdb->get_var( "SELECT COUNT(*) FROM $wpdb->posts WHERE post_type = 'attachment'" );
}

/** Another request of the same task, which has heard nothing of a store that does not answer. */
$media   = new Platen\Media( Platen\Config::values() );
$request = static function () use ( $media ): void {
	apcu_clear_cache();
	$media->open();
};
$month = gmdate( 'Y/m' );
$at    = wp_upload_dir();
expect( 'uploads are in the bucket', MediaStore::ROOT . "/$month", $at['path'] );
expect( 'under the site’s own address', "http://localhost:8080/wp-content/uploads/$month", $at['url'] );
expect( 'without an error', false, $at['error'] );

// A picture larger than what WordPress shows, so that it is scaled, with all its sizes.
$file     = picture( 2800, 2100 );
$original = hash_file( 'sha256', $file );
calls();
$id    = sideload( $file, 'Größe of Ships.JPG' );
$calls = array_count_values( calls() );
expect( 'uploaded', true, is_int( $id ) );
$meta  = wp_get_attachment_metadata( $id );
$base  = "$month/Grosse-of-Ships";
$names = array( "$month/" . $meta['original_image'], $meta['file'] );
foreach ( $meta['sizes'] as $size ) {
	$names[] = "$month/{$size['file']}";
}
expect( 'the original keeps its name', true, str_ends_with( $meta['original_image'], '.jpg' ) && ! str_contains( $meta['original_image'], 'scaled' ) );
expect( 'sizes', array( '1536x1536', '2048x2048', 'large', 'medium', 'medium_large', 'thumbnail' ), ( function () use ( $meta ) {
	$sizes = array_keys( $meta['sizes'] );
	sort( $sizes );
	return $sizes;
} )() );
expect( 'the original’s bytes are in the bucket', $original, object( $names[0] )['sha256'] ?? null );
expect( 'and its type', 'image/jpeg', object( $names[0] )['type'] ?? null );
expect( 'for a year', 'public, max-age=31536000, immutable', object( $names[0] )['cache'] ?? null );
foreach ( $meta['sizes'] as $name => $size ) {
	expect( "$name: as many bytes as the metadata say", $size['filesize'], object( "$month/{$size['file']}" )['size'] ?? null );
	expect( "$name: as large as its name says", array( $size['width'], $size['height'] ), array_slice( getimagesize( "{$at['path']}/{$size['file']}" ), 0, 2 ) );
}
$keys = array_map( static fn( string $name ): string => "wp-content/uploads/$name", $names );
sort( $keys );
expect( 'nothing else is in the bucket', $keys, bucket( 'keys' ) );
expect( 'the picture was not fetched to make its sizes', 0, $calls['GET 200'] ?? 0 );
expect( 'one put a file, and one for the name', count( $names ) + 1, $calls['PUT 200'] );
expect( 'the database has no address of the bucket', $meta['file'], get_post_meta( $id, '_wp_attached_file', true ) );
expect( 'its URL', "http://localhost:8080/wp-content/uploads/{$meta['file']}", wp_get_attachment_url( $id ) );

// Nothing is left on this task when the request ends, nor on the share.
Platen\Media::store()->close();
expect( 'no local copies', array(), staged() );
expect( 'nothing on the share', false, file_exists( WP_CONTENT_DIR . "/uploads/$month" ) );

// The same name again.
$second = sideload( picture( 400, 300, 2 ), basename( $names[0] ) );
expect( 'the same name becomes another', "$month/" . str_replace( '.jpg', '-1.jpg', basename( $names[0] ) ), get_post_meta( $second, '_wp_attached_file', true ) );
expect( 'the first is as it was', $original, object( $names[0] )['sha256'] );

// A request that comes later: nothing is known here, all is in the bucket.
wp_cache_flush();
calls();
$crop = wp_crop_image( $id, 0, 0, 600, 600, 200, 200 );
expect( 'cropped, from the bucket', true, is_string( $crop ) && MediaStore::owns( $crop ) );
expect( 'the crop is in the bucket', array( 200, 200 ), array_slice( getimagesize( (string) $crop ), 0, 2 ) );
wp_delete_file( $crop );
$editor = wp_get_image_editor( get_attached_file( $second ) );
expect( 'an editor that notices failures', 'Platen\MediaImageEditor', get_class( $editor ) );
$_REQUEST = array( 'target' => 'all', 'history' => wp_slash( '[{"r":90}]' ), 'do' => 'save' );
$edited   = wp_save_image( $second );
expect( 'edited', true, '' === (string) ( $edited->error ?? '' ) );
$file = get_post_meta( $second, '_wp_attached_file', true );
expect( 'under a new name', 1, preg_match( '~-1-e\d+\.jpg$~', $file ) );
expect( 'turned', array( 300, 400 ), array_slice( getimagesize( "{$at['basedir']}/$file" ), 0, 2 ) );

// Regenerated where it is missing, from the original in the bucket.
$large = "$month/{$meta['sizes']['large']['file']}";
wp_delete_file( "{$at['basedir']}/$large" );
expect( 'a size is lost', null, object( $large ) );
Platen\Media::store()->close();
$lost = $meta;
unset( $lost['sizes']['large'] );
wp_update_attachment_metadata( $id, $lost );
wp_update_image_subsizes( $id );
expect( 'and made again', $meta['sizes']['large']['filesize'], object( $large )['size'] ?? null );

// Deletion.
wp_delete_attachment( $second, true );
wp_delete_attachment( $id, true );
expect( 'all sizes, originals and edits go with the attachment', array(), bucket( 'keys' ) );

// Other doors.
$upload = wp_upload_bits( 'notes.txt', null, 'some notes' );
expect( 'wp_upload_bits', array( false, 10 ), array( $upload['error'], object( "$month/notes.txt" )['size'] ?? null ) );
file_put_contents( "{$at['basedir']}/plugin/style.css", 'body{}' );
expect( 'what a plugin writes', 'text/css; charset=utf-8 public, max-age=300', ( object( 'plugin/style.css' )['type'] ?? '' ) . ' ' . ( object( 'plugin/style.css' )['cache'] ?? '' ) );
$user    = get_users( array( 'number' => 1 ) )[0];
$export_request = wp_create_user_request( $user->user_email, 'export_personal_data', array(), 'confirmed' );
update_post_meta( $export_request, '_export_data_grouped', array() );
do_action( 'wp_privacy_personal_data_export_file', $export_request );
$export = get_post_meta( $export_request, '_export_file_name', true );
expect( 'an export of personal data', true, ( object( "wp-personal-data-exports/$export" )['size'] ?? 0 ) > 100 );
expect( 'which WordPress finds and deletes when it is old', "$export", implode( array_map( 'basename', list_files( wp_privacy_exports_dir() ) ) ) );
$zip = new ZipArchive();
$zip->open( '/tmp/package.zip', ZipArchive::CREATE );
$zip->addFromString( 'plugin/plugin.php', '<?php' );
$zip->close();
copy( '/tmp/package.zip', "{$at['basedir']}/package.zip" );
WP_Filesystem();
expect( 'a package in the bucket can be unpacked', true, unzip_file( "{$at['basedir']}/package.zip", '/tmp/unpacked' ) );
do_action( 'load-update.php' );
expect( 'packages that wp-admin takes stay on the share', WP_CONTENT_DIR . '/uploads', wp_upload_dir( null, false, true )['basedir'] );
add_filter( 'upload_dir', array( $media, 'folder' ), PHP_INT_MAX );

// S3 is down: nothing happens, and it is said.
foreach ( bucket( 'keys' ) as $key ) {
	unlink( $at['basedir'] . substr( $key, strlen( 'wp-content/uploads' ) ) );
}
Platen\Media::store()->close();
$before = attachments();
foreach ( array( '500' => 'HTTP 500', 'cut' => 'no answer (', 'AccessDenied' => 's3:PutObject' ) as $kind => $told ) {
	$kind = (string) $kind;
	$request();
	fail( $kind, 999 );
	$source = picture( 500, 400, 3 );
	$result = sideload( $source, 'down.jpg' );
	$why    = is_wp_error( $result ) ? $result->get_error_message() : 'none';
	expect( "$kind: an error: $why", true, str_starts_with( $why, 'The file was not saved, and nothing was kept of it: ' ) && str_contains( $why, $told ) );
	$upload = @wp_upload_bits( 'down.txt', null, 'x' );
	expect( "$kind: also of wp_upload_bits", true, str_starts_with( (string) $upload['error'], 'The file was not saved' ) );
	expect( "$kind: no attachment", $before, attachments() );
	expect( "$kind: the file that was to be uploaded is gone", false, file_exists( $source ) );
	fail();
	Platen\Media::store()->close();
	expect( "$kind: nothing in the bucket", array(), bucket( 'keys' ) );
	expect( "$kind: no local copies", array(), staged() );
}

// It comes back in the middle, goes in the middle, and loses a size.
$request();
fail( 'cut', 2, 'PUT' );
$id = sideload( picture( 500, 400, 4 ), 'again.jpg' );
expect( 'two cuts in the middle are bridged', true, is_int( $id ) );
wp_delete_attachment( $id, true );
fail( 'AccessDenied', 99, 'PUT', '-300x240' );
$id   = sideload( picture( 500, 400, 5 ), 'partly.jpg' );
$meta = wp_get_attachment_metadata( $id );
expect( 'a size that was not saved is not promised', array( 'thumbnail' ), array_keys( $meta['sizes'] ) );
expect( 'and known to be missing', array( 'medium' ), array_keys( wp_get_missing_image_subsizes( $id ) ) );
fail();
expect( 'made when it is asked again', array( 'medium', 'thumbnail' ), ( function () use ( $id ) {
	$sizes = array_keys( wp_update_image_subsizes( $id )['sizes'] );
	sort( $sizes );
	return $sizes;
} )() );
fail( 'cut', 999 );
expect( 'an attachment that cannot be deleted from the bucket stays', false, wp_delete_attachment( $id, true ) );
expect( 'whole', "$month/partly.jpg", get_post_meta( $id, '_wp_attached_file', true ) );
fail();
$request();
wp_delete_attachment( $id, true );
expect( 'and goes when it can', array(), bucket( 'keys' ) );

// What the next script looks at.
$id   = sideload( picture( 1200, 900, 6 ), 'front.jpg' );
$post = wp_insert_post(
	array(
		'post_title'   => 'With pictures',
		'post_status'  => 'publish',
		'post_content' => '<!-- wp:image {"id":' . $id . ',"sizeSlug":"large"} --><figure class="wp-block-image size-large">' . wp_get_attachment_image( $id, 'large', false, array( 'class' => "wp-image-$id" ) ) . '</figure><!-- /wp:image -->[gallery ids="' . $id . '"]',
	)
);
set_post_thumbnail( $post, $id );
Platen\Media::store()->close();
expect( 'no local copies at the end', array(), staged() );
