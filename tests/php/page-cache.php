<?php
/** What the page cache decides without WordPress. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
define( 'ABSPATH', '/usr/share/wordpress/' );
require ABSPATH . 'wp-includes/plugin.php';
foreach ( array( 'Config', 'ContentVersion', 'Database', 'Changes', 'PageTags', 'PageCache', 'Purge' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}

use Platen\{ContentVersion, PageCache, Purge};

// Names as PHP has them: it made '_' of the dots, spaces and brackets that nginx saw.
foreach ( array( 'wordpress_logged_in_x', 'wp-postpass_x', 'comment_author_x', 'comment_author_email_x', 'woocommerce_items_in_cart', 'platen_wrote', session_name() ) as $name ) {
	expect( "a visitor with the cookie $name gets pages of his own", true, PageCache::hasOwner( array( 'a' => '1', $name => '' ) ) );
}
foreach ( array( '_ga', 'platen_wrote_not', 'x_comment_author_', 'wp-settings-time-1', 7 ) as $name ) {
	expect( "a visitor with the cookie $name does not", false, PageCache::hasOwner( array( $name => '1' ) ) );
}
expect( 'a page lies where nginx puts it', '/run/task/cache/' . md5( 'https://example.com:8080/a/' ), PageCache::fileOf( 'https', 'example.com:8080', '/a/' ) );

$meta = ( new ReflectionClassConstant( Purge::class, 'META' ) )->getValue();
foreach ( array( 'views', 'post_views_count', '_view_count', 'post-views', 'hits', 'ad_impressions', '_edit_lock', '_pingme' ) as $key ) {
	expect( "meta $key is on no page", 1, preg_match( $meta, $key ) );
}
foreach ( array( 'overview', 'review_count', 'hero_preview', 'preview', 'interviews', 'white_list', 'chits', '_edit_mode', '_price' ) as $key ) {
	expect( "meta $key may be", 0, preg_match( $meta, $key ) );
}

// Asked for the tags right before they are written; without any there is nothing to write.
$asked = 0;
add_filter(
	'platen_purge_tags',
	static function ( array $tags ) use ( &$asked ): array {
		$asked = hrtime( true );
		return array();
	}
);
$purge = new Purge( array( 'content' => 'shared' ) );
$purge->file( null );
$begun = hrtime( true );
$purge->finish();
expect( 'new code has reached all tasks before its purge is written', true, $asked - $begun >= ContentVersion::SPREAD * 1000 );
