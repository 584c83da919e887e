<?php
/** A task whose keys the bucket does not know: an upload says what to do. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require __DIR__ . '/bucket.php';
$endpoint = $argv[1];
require '/usr/share/platen/jobs/bootstrap.php';
require '/usr/share/wordpress/wp-load.php';
foreach ( array( 'image', 'file', 'media' ) as $part ) {
	require_once ABSPATH . "wp-admin/includes/$part.php";
}
$file = tempnam( '/tmp', 'picture' );
imagepng( imagecreatetruecolor( 20, 20 ), $file );
$result = media_handle_sideload( array( 'name' => 'refused.png', 'tmp_name' => $file ), 0 );
expect( 'refused', true, is_wp_error( $result ) );
$why = is_wp_error( $result ) ? $result->get_error_message() : '';
expect( "it says what to do: $why", true, str_contains( $why, 'InvalidAccessKeyId' ) && str_contains( $why, 'platen up' ) );
expect( 'no attachment', array(), get_posts( array( 'post_type' => 'attachment', 'name' => 'refused', 'post_status' => 'any' ) ) );
