<?php
/**
 * Fills a site with what a small magazine has: the same on every site, so that two can be compared.
 * Read by `php` from standard input, in the jobs image. Arguments: the site's address, and the
 * administrator's password where it must install.
 */

declare( strict_types=1 );

define( 'DISABLE_WP_CRON', true );
$_SERVER['HTTP_HOST'] = 'localhost';
define( 'WP_INSTALLING', isset( $argv[2] ) ); // else an empty database sends us away
require '/usr/share/wordpress/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/taxonomy.php';

if ( ! is_blog_installed() ) { // a stock site; Platen's is installed by its own job
	wp_install( 'Stock', 'editor', 'ops@example.com', true, '', $argv[2] );
	update_option( 'home', $argv[1] );
	update_option( 'siteurl', $argv[1] );
}
update_option( 'blogname', 'The Galley' );
update_option( 'permalink_structure', '/%postname%/' );
update_option( 'timezone_string', 'UTC' );
update_option( 'posts_per_page', 10 );
wp_installing( false );
// The clean-up of an installation: the same ids and texts on every site from here on.
global $wpdb;
foreach ( array( 'posts', 'postmeta', 'comments', 'commentmeta', 'term_relationships' ) as $table ) {
	$wpdb->query( "TRUNCATE TABLE {$wpdb->$table}" );
}
wp_cache_flush();

$words = explode( ' ', 'paper ink type press galley platen forme quoin chase sheet proof margin letter line page book reader printer editor night morning street river harbour light table window colour measure weight column rule border fold signature binding spine cover title plate stone screw lever bar tympan frisket roller brayer case serif italic bold leading kerning ligature' );
mt_srand( 20260501 );
$text = static function ( int $length ) use ( $words ): string {
	$out = array();
	for ( $i = 0; $i < $length; $i++ ) {
		$out[] = $words[ mt_rand( 0, count( $words ) - 1 ) ] . ( 9 === $i % 10 ? '.' : '' );
	}
	return ucfirst( implode( ' ', $out ) ) . " — it's \"set\" by hand...";
};

$term = static fn( string $name, string $taxonomy ): int => (int) ( get_term_by( 'name', $name, $taxonomy )->term_id ?? wp_insert_term( $name, $taxonomy )['term_id'] );
$categories = array_map( static fn( string $name ) => $term( $name, 'category' ), array( 'News', 'Essays', 'Workshop', 'Reviews', 'Letters' ) );
$tags       = array_map( static fn( string $word ) => $term( "Tag $word", 'post_tag' ), array_slice( $words, 0, 20 ) );

$insert = static function ( array $fields ): int {
	$id = wp_insert_post( wp_slash( $fields + array( 'post_status' => 'publish', 'post_author' => 1 ) ), true );
	if ( is_wp_error( $id ) ) {
		throw new RuntimeException( $id->get_error_message() );
	}
	return $id;
};
$images = array();
for ( $i = 0; $i < 30; $i++ ) {
	$date  = gmdate( 'Y-m-d H:i:s', 1777000000 + 3600 * $i );
	$image = $insert(
		array(
			'post_type'      => 'attachment',
			'post_status'    => 'inherit',
			'post_mime_type' => 'image/jpeg',
			'post_title'     => "Picture $i",
			'post_date_gmt'  => $date,
			'post_date'      => $date,
		)
	);
	update_post_meta( $image, '_wp_attached_file', "2026/05/picture-$i.jpg" );
	update_post_meta( $image, '_wp_attachment_image_alt', "Picture $i of the press" );
	$sizes = array();
	foreach ( array( 'thumbnail' => 150, 'medium' => 300, 'medium_large' => 768, 'large' => 1024 ) as $name => $width ) {
		$height         = (int) ( $width * 3 / 4 );
		$sizes[ $name ] = array(
			'file'      => "picture-$i-{$width}x$height.jpg",
			'width'     => $width,
			'height'    => $height,
			'mime-type' => 'image/jpeg',
			'filesize'  => $width * 50,
		);
	}
	update_post_meta(
		$image,
		'_wp_attachment_metadata',
		array(
			'width'      => 1600,
			'height'     => 1200,
			'file'       => "2026/05/picture-$i.jpg",
			'filesize'   => 200000,
			'sizes'      => $sizes,
			'image_meta' => array(),
		)
	);
	$images[] = $image;
}
for ( $i = 0; $i < 30; $i++ ) {
	$date    = gmdate( 'Y-m-d H:i:s', 1777100000 + 7200 * $i );
	$image   = $images[ $i ];
	$content = "<!-- wp:paragraph -->\n<p>" . $text( 80 ) . "</p>\n<!-- /wp:paragraph -->\n\n"
		. "<!-- wp:heading -->\n<h2 class=\"wp-block-heading\">" . $text( 5 ) . "</h2>\n<!-- /wp:heading -->\n\n"
		. "<!-- wp:image {\"id\":$image,\"sizeSlug\":\"large\",\"linkDestination\":\"none\"} -->\n<figure class=\"wp-block-image size-large\"><img src=\"/wp-content/uploads/2026/05/picture-$i-1024x768.jpg\" alt=\"Picture $i\" class=\"wp-image-$image\"/></figure>\n<!-- /wp:image -->\n\n"
		. "<!-- wp:list -->\n<ul class=\"wp-block-list\"><!-- wp:list-item -->\n<li>" . $text( 8 ) . "</li>\n<!-- /wp:list-item -->\n\n<!-- wp:list-item -->\n<li>" . $text( 8 ) . "</li>\n<!-- /wp:list-item --></ul>\n<!-- /wp:list -->\n\n"
		. "<!-- wp:paragraph -->\n<p>" . $text( 120 ) . "</p>\n<!-- /wp:paragraph -->\n\n"
		. "<!-- wp:quote -->\n<blockquote class=\"wp-block-quote\"><!-- wp:paragraph -->\n<p>" . $text( 20 ) . "</p>\n<!-- /wp:paragraph --></blockquote>\n<!-- /wp:quote -->\n";
	$id      = $insert(
		array(
			'post_title'    => ucfirst( $words[ mt_rand( 0, 50 ) ] . ' and ' . $words[ mt_rand( 0, 50 ) ] . " $i" ),
			'post_content'  => $content,
			'post_date_gmt' => $date,
			'post_date'     => $date,
			'post_category' => array( $categories[ $i % 5 ], $categories[ ( $i + 2 ) % 5 ] ),
		)
	);
	wp_set_post_terms( $id, array( $tags[ $i % 20 ], $tags[ ( $i * 3 + 1 ) % 20 ], $tags[ ( $i * 7 + 2 ) % 20 ] ), 'post_tag' );
	set_post_thumbnail( $id, $image );
	for ( $k = 0; $k < $i % 6; $k++ ) {
		wp_insert_comment(
			array(
				'comment_post_ID'      => $id,
				'comment_author'       => "Reader $k",
				'comment_author_email' => "reader$k@example.com",
				'comment_content'      => $text( 25 ),
				'comment_approved'     => 1,
				'comment_date'         => $date,
				'comment_date_gmt'     => $date,
			)
		);
	}
}
foreach ( array( 'About', 'Contact', 'Imprint', 'Archive' ) as $i => $title ) {
	$date = gmdate( 'Y-m-d H:i:s', 1777000000 + $i );
	$insert(
		array(
			'post_type'     => 'page',
			'post_title'    => $title,
			'post_content'  => '<!-- wp:paragraph --><p>' . $text( 60 ) . '</p><!-- /wp:paragraph -->',
			'post_date_gmt' => $date,
			'post_date'     => $date,
		)
	);
}
flush_rewrite_rules( false );
echo 'ready ', wp_count_posts()->publish, "\n";
