<?php
/** A visitor's page with pictures asks the bucket nothing; what a theme asks about files, once. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require __DIR__ . '/bucket.php';
$endpoint = $argv[1];

calls();
$_SERVER += array(
	'HTTP_HOST'       => 'localhost:8080',
	'SERVER_NAME'     => 'localhost',
	'SERVER_PROTOCOL' => 'HTTP/1.1',
);
$_SERVER['REQUEST_METHOD'] = 'GET';
$_SERVER['REQUEST_URI']    = '/with-pictures/';
$_SERVER['SCRIPT_NAME']    = '/index.php';
$_SERVER['PHP_SELF']       = '/index.php';
ob_start();
define( 'WP_USE_THEMES', true );
require '/usr/share/wordpress/wp-load.php';
wp();
require ABSPATH . WPINC . '/template-loader.php';
$page  = (string) ob_get_clean();
$calls = calls();
expect( 'the page shows the picture', true, substr_count( $page, '/front-1024x768.jpg' ) >= 1 && str_contains( $page, 'srcset=' ) );
expect( 'by the site’s own address', false, str_contains( $page, 'platen-media:' ) || str_contains( $page, $endpoint ) );
expect( 'and asked the bucket nothing', array(), $calls );

// Themes and plugins that look at files, on three pages by tasks that know nothing of each other.
$id = get_post_thumbnail_id( get_queried_object_id() );
wp_cache_flush();
for ( $i = 0; $i < 3; $i++ ) {
	( new Platen\Media( Platen\Config::values() ) )->open();
	wp_cache_flush_runtime();
	clearstatcache();
	expect( 'is the picture there', true, file_exists( get_attached_file( $id ) ) );
	expect( 'is another', false, file_exists( wp_get_upload_dir()['basedir'] . '/never/was.jpg' ) );
	expect( 'is the folder', true, is_dir( wp_upload_dir()['path'] ) );
	$expected = 0 === $i ? array( 'HEAD 200', 'HEAD 404' ) : array();
	expect( 'page ' . ( $i + 1 ) . ' asked', $expected, calls() );
}
