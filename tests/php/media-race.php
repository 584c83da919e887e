<?php
/** One of two tasks that upload different files of the same name at the same moment. Prints what it made. */

declare( strict_types=1 );

require __DIR__ . '/bucket.php';
$endpoint = $argv[1];
require '/usr/share/platen/jobs/bootstrap.php';
require '/usr/share/wordpress/wp-load.php';
foreach ( array( 'image', 'file', 'media' ) as $part ) {
	require_once ABSPATH . "wp-admin/includes/$part.php";
}
$file = tempnam( '/tmp', 'document' );
file_put_contents( $file, '%PDF-1.4 ' . bin2hex( random_bytes( 1000 ) ) );
$sum = hash_file( 'sha256', $file );

// They meet where both have seen that the name is free, and neither has taken it.
add_filter(
	'wp_unique_filename',
	static function ( string $name ): string {
		bucket( 'meet', array( 'name' => 'unique' ) );
		return $name;
	},
	1
);
$id = media_handle_sideload( array( 'name' => 'report.pdf', 'tmp_name' => $file ), 0 );
if ( is_wp_error( $id ) ) {
	fwrite( STDERR, $id->get_error_message() . "\n" );
	exit( 1 );
}
echo json_encode(
	array(
		'File'   => get_post_meta( $id, '_wp_attached_file', true ),
		'SHA256' => $sum,
	)
);
