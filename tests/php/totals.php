<?php
/**
 * What WordPress counts on a large site, as JSON: a list of passes, each {question: answer}.
 * `stock`: without a drop-in or must-use plugin, one pass. `ours`: with the image's, from an empty
 * cache on, in several orders, then after changes. `again`: with the image's, and whatever the cache holds.
 */

declare( strict_types=1 );

require '/usr/share/platen/jobs/bootstrap.php';
$mode = $argv[1];
if ( 'stock' === $mode ) {
	mkdir( '/tmp/empty' );
	define( 'WP_CONTENT_DIR', '/tmp/empty' );
	define( 'WPMU_PLUGIN_DIR', '/tmp/empty' );
}
require '/usr/share/wordpress/wp-load.php';
if ( ( 'stock' === $mode ) === (bool) wp_using_ext_object_cache() ) {
	fwrite( STDERR, "$mode runs on the wrong object cache\n" );
	exit( 1 );
}

$ask = array();

// Queries with pages.
$queries = array(
	'all'          => array(),
	'pages of 7'   => array( 'posts_per_page' => 7 ),
	'one category' => array( 'category_name' => 'section-3' ),
	'this one only' => array( 'category__in' => array( 17 ) ),
	'not these'    => array( 'category__not_in' => array( 12, 13, 25 ) ),
	'two tags'     => array( 'tag_slug__in' => array( 'tag-5', 'tag-77' ) ),
	'tag and category' => array(
		'tax_query' => array(
			'relation' => 'AND',
			array( 'taxonomy' => 'category', 'terms' => array( 15, 21, 33 ) ),
			array( 'taxonomy' => 'post_tag', 'operator' => 'EXISTS' ),
		),
	),
	'author'       => array( 'author' => 103 ),
	'not author'   => array( 'author__not_in' => array( 101, 102 ) ),
	'year'         => array( 'year' => 2019 ),
	'month'        => array( 'year' => 2021, 'monthnum' => 3 ),
	'since'        => array( 'date_query' => array( array( 'after' => '2022-05-05' ) ) ),
	'search'       => array( 's' => 'über' ),
	'search two'   => array( 's' => 'press ink' ),
	'rating'       => array( 'meta_key' => 'rating', 'orderby' => array( 'meta_value_num' => 'DESC', 'ID' => 'ASC' ) ),
	'best'         => array( 'meta_query' => array( array( 'key' => 'rating', 'value' => 3, 'compare' => '>', 'type' => 'NUMERIC' ) ) ),
	'unrated'      => array( 'meta_query' => array( array( 'key' => 'rating', 'compare' => 'NOT EXISTS' ) ) ),
	'by title'     => array( 'orderby' => 'title', 'order' => 'ASC' ),
	'by comments'  => array( 'orderby' => array( 'comment_count' => 'DESC', 'ID' => 'ASC' ) ),
	'drafts'       => array( 'post_status' => array( 'draft', 'pending' ) ),
	'any'          => array( 'post_status' => 'any', 'perm' => 'readable' ),
	'without sticky' => array( 'ignore_sticky_posts' => true ),
	'pages'        => array( 'post_type' => 'page', 'orderby' => 'menu_order title', 'order' => 'ASC' ),
	'children'     => array( 'post_type' => 'page', 'post_parent' => 7005 ),
	'offset'       => array( 'offset' => 55, 'posts_per_page' => 9 ),
	'identifiers'  => array( 'fields' => 'ids', 'posts_per_page' => 25 ),
	'nothing'      => array( 'category_name' => 'no-such-section' ),
	'chosen'       => array( 'post__in' => range( 1100, 1160 ), 'orderby' => 'post__in' ),
);
foreach ( $queries as $name => $query ) {
	foreach ( array( 1, 2, 9 ) as $page ) {
		$ask[ "query $name, page $page" ] = static function () use ( $query, $page ): array {
			$q = new WP_Query( $query + array( 'paged' => $page, 'orderby' => 'date ID' ) );
			return array( $q->found_posts, $q->max_num_pages, $q->post_count, wp_list_pluck( array_map( static fn( $p ) => (object) array( 'ID' => is_object( $p ) ? $p->ID : $p ), $q->posts ), 'ID' ) );
		};
	}
}
// Archives, by the main query as their URL makes it.
foreach ( array( '', 'paged=3', 'cat=14', 'cat=14&paged=2', 'tag=tag-9', 'author_name=author2&paged=4', 'year=2018', 'm=201811', 'year=2020&monthnum=2&day=2', 's=rivers&paged=2', 'p=1200', 'pagename=page-3', 'feed=rss2', 'feed=comments-rss2' ) as $request ) {
	$ask[ "archive ?$request" ] = static function () use ( $request ): array {
		global $wp_query, $wp_the_query;
		$wp_query = $wp_the_query = new WP_Query(); // phpcs:ignore
		$wp_query->query( $request );
		return array( $wp_query->found_posts, $wp_query->max_num_pages, wp_list_pluck( $wp_query->posts, 'ID' ), $wp_query->comment_count );
	};
}
foreach ( array( 'monthly', 'yearly', 'daily' ) as $type ) {
	$ask[ "archives $type" ] = static fn() => wp_get_archives( array( 'type' => $type, 'show_post_count' => true, 'echo' => false, 'limit' => 400 ) );
}
// Counts.
foreach ( array( 'post', 'page', 'attachment' ) as $type ) {
	$ask[ "count $type" ] = static fn() => (array) wp_count_posts( $type );
	$ask[ "count readable $type" ] = static fn() => (array) wp_count_posts( $type, 'readable' );
}
$ask['count comments'] = static fn() => (array) wp_count_comments();
for ( $id = 1001; $id < 1901; $id += 31 ) {
	$ask[ "comments of $id" ] = static fn() => array( (array) wp_count_comments( $id ), get_comments_number( $id ), count( get_comments( array( 'post_id' => $id, 'status' => 'approve' ) ) ) );
	$ask[ "neighbours of $id" ] = static function () use ( $id ): array {
		$GLOBALS['post'] = get_post( $id ); // phpcs:ignore
		return array( get_previous_post()->ID ?? 0, get_next_post()->ID ?? 0, get_next_post( true )->ID ?? 0 );
	};
}
foreach ( array( array(), array( 'status' => 'hold' ), array( 'status' => 'spam' ), array( 'type' => 'pingback' ), array( 'author_email' => 'reader7@example.com' ), array( 'search' => 'Comment 77' ), array( 'post_author' => 102 ), array( 'date_query' => array( array( 'after' => '2024-03-01' ) ) ) ) as $i => $query ) {
	foreach ( array( 0, 40 ) as $offset ) {
		$ask[ "comment query $i from $offset" ] = static function () use ( $query, $offset ): array {
			$q = new WP_Comment_Query();
			$found = $q->query( $query + array( 'number' => 20, 'offset' => $offset, 'no_found_rows' => false, 'orderby' => 'comment_ID', 'fields' => 'ids' ) );
			return array( $q->found_comments, $q->max_num_pages, $found );
		};
	}
	$ask[ "comment count $i" ] = static fn() => get_comments( $query + array( 'count' => true ) );
}
// Terms.
foreach ( array( 'category', 'post_tag' ) as $taxonomy ) {
	foreach ( array(
		'all'     => array( 'hide_empty' => false ),
		'used'    => array(),
		'most'    => array( 'orderby' => 'count', 'order' => 'DESC', 'number' => 15 ),
		'later'   => array( 'number' => 10, 'offset' => 20 ),
		'padded'  => array( 'pad_counts' => true, 'hierarchical' => true ),
		'top'     => array( 'parent' => 0, 'hide_empty' => false ),
		'like'    => array( 'search' => '3' ),
		'of some' => array( 'object_ids' => range( 1001, 1100 ) ),
	) as $name => $query ) {
		$ask[ "terms $taxonomy $name" ] = static function () use ( $taxonomy, $query ): array {
			$terms = get_terms( array( 'taxonomy' => $taxonomy ) + $query );
			$pairs = array_map( static fn( $t ) => "$t->term_id: $t->count", $terms );
			if ( 'count' === ( $query['orderby'] ?? '' ) ) {
				$pairs = array_map( static fn( $t ) => $t->count, $terms ); // which of equals comes first is the database's
			}
			return array_values( $pairs );
		};
		if ( ! isset( $query['pad_counts'] ) ) {
			$ask[ "count terms $taxonomy $name" ] = static fn() => wp_count_terms( array( 'taxonomy' => $taxonomy ) + array_diff_key( $query, array( 'number' => 1, 'offset' => 1 ) ) );
		}
	}
	for ( $id = 11; $id < 400; $id += 29 ) {
		$ask[ "term $taxonomy $id" ] = static fn() => get_term( $id, $taxonomy )->count ?? null;
	}
}
$ask['category list'] = static function (): string {
	$GLOBALS['wp_query'] = new WP_Query(); // the list marks the category that was asked for before
	return wp_list_categories( array( 'show_count' => true, 'echo' => false, 'hierarchical' => true, 'pad_counts' => true ) );
};
// People.
foreach ( array( 1, 101, 104, 106 ) as $user ) {
	$ask[ "posts of $user" ] = static fn() => array( count_user_posts( $user ), count_user_posts( $user, 'page' ), count_user_posts( $user, 'post', true ) );
}
$ask['posts of all'] = static fn() => count_many_users_posts( array( 1, 101, 102, 103 ) );
$ask['users']        = static fn() => count_users();
// REST, as a visitor and as the administrator.
foreach ( array(
	'posts' => array( array(), array( 'categories' => '16' ), array( 'tags' => '109' ), array( 'search' => 'ships' ), array( 'author' => '105' ), array( 'after' => '2023-01-01T00:00:00' ), array( 'sticky' => 'true' ) ),
	'pages' => array( array(), array( 'parent' => '7004' ) ),
	'comments' => array( array(), array( 'post' => '1100' ), array( 'search' => '12' ) ),
	'categories' => array( array(), array( 'hide_empty' => 'true' ), array( 'parent' => '13' ), array( 'post' => '1104' ) ),
	'tags' => array( array(), array( 'hide_empty' => 'true' ), array( 'search' => '11' ) ),
	'users' => array( array() ),
	'media' => array( array() ),
	'search' => array( array( 'search' => 'printing' ) ),
) as $route => $variants ) {
	foreach ( $variants as $i => $query ) {
		foreach ( 'users' === $route ? array( 1 ) : array( 0, 1 ) as $user ) { // visitors are not told who writes here
			foreach ( array( 1, 2 ) as $page ) {
				$ask[ "rest $route $i page $page for $user" ] = static function () use ( $route, $query, $user, $page ): array {
					wp_set_current_user( $user );
					$request = new WP_REST_Request( 'GET', "/wp/v2/$route" );
					$request->set_query_params( $query + array( 'per_page' => '11', 'page' => (string) $page, '_fields' => 'id' ) );
					$answer = rest_do_request( $request );
					wp_set_current_user( 0 );
					$headers = $answer->get_headers();
					return array( $answer->get_status(), $headers['X-WP-Total'] ?? null, $headers['X-WP-TotalPages'] ?? null, wp_list_pluck( (array) $answer->get_data(), 'id' ) );
				};
			}
		}
	}
}

/** @return array<string, mixed> the answers in the questions' own order, whatever the order of asking */
function pass( array $order ): array {
	global $ask;
	$answers = array();
	foreach ( $order as $question ) {
		$answers[ $question ] = $ask[ $question ]();
	}
	return array_replace( array_fill_keys( array_keys( $ask ), null ), $answers );
}
$questions = array_keys( $ask );
$passes    = array();
switch ( $mode ) {
	case 'stock':
	case 'again':
		$passes[] = pass( $questions );
		break;
	case 'ours':
		wp_cache_flush();
		mt_srand( 5000 );
		$shuffled = $questions;
		shuffle( $shuffled );
		foreach ( array( $questions, $shuffled, array_reverse( $questions ) ) as $order ) {
			$passes[] = pass( $order );
			wp_cache_flush_runtime(); // the next pass is another process': it has the shared cache alone
		}
		break;
	case 'change':
		// What changes the totals, with caches that are full of the old ones.
		wp_set_current_user( 1 );
		wp_publish_post( get_posts( array( 'post_status' => 'draft', 'numberposts' => 1, 'orderby' => 'ID', 'order' => 'ASC' ) )[0] );
		wp_trash_post( 1101 );
		wp_delete_post( 1102, true );
		wp_insert_post( array( 'post_title' => 'Ships of today', 'post_status' => 'publish', 'post_author' => 103, 'post_category' => array( 16, 17 ), 'tags_input' => array( 'tag 9', 'a new tag' ) ) );
		wp_set_post_terms( 1200, array( 14 ), 'category' );
		wp_update_post( array( 'ID' => 1201, 'post_author' => 105, 'post_status' => 'private' ) );
		wp_insert_comment( array( 'comment_post_ID' => 1100, 'comment_content' => 'new', 'comment_author' => 'x', 'comment_approved' => 1 ) );
		wp_set_comment_status( 10, 'spam' );
		wp_delete_comment( 20, true );
		wp_delete_term( 120, 'post_tag' );
		wp_insert_term( 'Section new', 'category' );
		stick_post( 1777 );
		break;
}
echo json_encode( $passes, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR );
