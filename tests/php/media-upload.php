<?php
/** Takes one upload by HTTP, as wp-admin does, and says what became of it and what memory it took. */

declare( strict_types=1 );

$_SERVER['HTTP_HOST'] = 'localhost:8080';
require '/usr/share/wordpress/wp-load.php';
foreach ( array( 'image', 'file', 'media' ) as $part ) {
	require_once ABSPATH . "wp-admin/includes/$part.php";
}
memory_reset_peak_usage();
$before = memory_get_peak_usage();
$id     = media_handle_upload( 'film', 0, array(), array( 'test_form' => false ) );
header( 'Content-Type: application/json' );
echo json_encode(
	array(
		'File'   => is_wp_error( $id ) ? '' : get_post_meta( $id, '_wp_attached_file', true ),
		'Error'  => is_wp_error( $id ) ? $id->get_error_message() : '',
		'Memory' => memory_get_peak_usage() - $before,
	)
);
