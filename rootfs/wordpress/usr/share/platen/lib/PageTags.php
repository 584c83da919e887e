<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Notes what a page shows while it is made, as tags: a change drops the pages that carry one of its.
 * Purge gives changes the same tags. No method asks the database.
 *
 * post-ID       shows or links to the post, or read its meta (also attachments)
 * list-TYPE     lists posts of a type: a post that comes or goes changes it
 * list-term-ID, list-author-ID, list-date-YYYY[-MM[-DD]]   the archive of one
 * term-ID, terms-TAXONOMY   shows a term; lists terms, maybe with their counts
 * author-ID, list-users, list-comments
 * next-to-ID    asked for the post before or after this one
 * missing       an address that leads nowhere yet, or elsewhere
 * page-HASH     the address itself, for the button
 */
final class PageTags {

	/** Types that are part of the design; a change of one is a change of all pages. */
	public const DESIGN = array( 'nav_menu_item', 'wp_template', 'wp_template_part', 'wp_global_styles', 'wp_navigation', 'wp_block', 'custom_css', 'wp_font_family', 'wp_font_face' );

	/** @var array<string, true> */
	private array $tags = array();
	/** @var array<int, \WP_Query> those that get_posts() makes tell their result nowhere else */
	private array $queries = array();

	public function register(): void {
		add_action( 'pre_get_posts', array( $this, 'query' ), PHP_INT_MAX );
		add_filter( 'the_posts', array( $this, 'posts' ), PHP_INT_MAX, 2 );
		foreach ( array( 'post_link', 'post_type_link', 'page_link', 'attachment_link' ) as $filter ) {
			add_filter( $filter, array( $this, 'link' ), PHP_INT_MAX, 2 );
		}
		foreach ( array( 'get_previous_post_where', 'get_next_post_where' ) as $filter ) {
			add_filter( $filter, array( $this, 'neighbour' ), PHP_INT_MAX, 5 );
		}
		add_filter( 'get_post_metadata', array( $this, 'meta' ), PHP_INT_MAX, 2 );
		add_filter( 'get_the_terms', array( $this, 'postTerms' ), PHP_INT_MAX );
		add_filter( 'get_term', array( $this, 'term' ), PHP_INT_MAX ); // also of get_term_by(), whose query is not filtered
		add_filter( 'get_term_metadata', array( $this, 'termMeta' ), PHP_INT_MAX, 2 );
		add_filter( 'term_link', array( $this, 'termLink' ), PHP_INT_MAX, 2 );
		add_filter( 'get_terms', array( $this, 'terms' ), PHP_INT_MAX, 3 );
		add_filter( 'author_link', array( $this, 'authorLink' ), PHP_INT_MAX, 2 );
		add_action( 'pre_get_users', fn() => $this->add( 'list-users' ) );
		add_filter( 'the_comments', array( $this, 'comments' ), PHP_INT_MAX, 2 );
		add_filter( 'getarchives_where', array( $this, 'archives' ), PHP_INT_MAX, 2 );
		add_filter( 'get_calendar', array( $this, 'calendar' ), PHP_INT_MAX );
		add_filter( 'wp_count_posts', array( $this, 'count' ), PHP_INT_MAX, 2 );
	}

	public static function ofPath( string $path ): string {
		return 'page-' . hash( 'xxh32', rawurldecode( explode( '?', $path, 2 )[0] ) );
	}

	public function add( string ...$tags ): void {
		foreach ( $tags as $tag ) {
			$this->tags[ $tag ] = true;
		}
	}

	/** @return list<string> all tags of the page so far */
	public function all(): array {
		foreach ( $this->queries as $query ) {
			$this->result( $query->posts ?? array() );
			$this->listed( $query );
		}
		return array_map( 'strval', array_keys( $this->tags ) );
	}

	public function query( \WP_Query $query ): void {
		$this->queries[ spl_object_id( $query ) ] = $query;
	}

	/** A query object that is used twice keeps the posts of the last time alone. */
	public function posts( mixed $posts, \WP_Query $query ): mixed {
		$this->result( (array) $posts );
		return $posts;
	}

	/** @param array<mixed> $posts posts, ids, or objects with an ID */
	private function result( array $posts ): void {
		foreach ( $posts as $post ) {
			$id = is_object( $post ) ? (int) ( $post->ID ?? 0 ) : (int) $post;
			if ( $id <= 0 || ( $post instanceof \WP_Post && in_array( $post->post_type, self::DESIGN, true ) ) ) {
				continue;
			}
			$this->add( "post-$id" );
			if ( $post instanceof \WP_Post && $post->post_author > 0 ) {
				$this->add( "author-$post->post_author" );
			}
		}
	}

	private function listed( \WP_Query $query ): void {
		$vars = $query->query_vars;
		if ( $query->is_singular || $query->is_404 || ! empty( $vars['post__in'] ) || ! empty( $vars['post_name__in'] ) || ! empty( $vars['name'] ) || ! empty( $vars['p'] ) || ! empty( $vars['page_id'] ) ) {
			return; // asks for certain posts: those that are there are noted, the others are no page yet
		}
		if ( $query->is_comment_feed ) {
			$this->add( 'list-comments' );
		}
		if ( $query->is_main_query() && ( $query->is_category || $query->is_tag || $query->is_tax ) && $query->get_queried_object() instanceof \WP_Term ) {
			$this->add( 'list-term-' . $query->get_queried_object()->term_id );
		} elseif ( $query->is_main_query() && $query->is_author ) {
			$this->add( "list-author-{$query->get_queried_object_id()}" );
		} elseif ( $query->is_main_query() && $query->is_date && ! empty( $vars['year'] ) ) {
			$day = array_filter( array( (int) $vars['monthnum'], (int) $vars['monthnum'] ? (int) $vars['day'] : 0 ) );
			$this->add( 'list-date-' . implode( '-', array_map( static fn( int $n ) => sprintf( '%02d', $n ), array( (int) $vars['year'], ...$day ) ) ) );
		} else {
			foreach ( (array) ( $vars['post_type'] ?: ( $query->is_tax ? 'any' : 'post' ) ) as $type ) {
				if ( ! in_array( $type, self::DESIGN, true ) ) {
					$this->add( "list-$type" );
				}
			}
		}
	}

	public function link( mixed $link, mixed $post ): mixed {
		$this->add( 'post-' . ( $post instanceof \WP_Post ? $post->ID : (int) $post ) );
		return $link;
	}

	public function neighbour( mixed $where, mixed $same_term, mixed $excluded, mixed $taxonomy, mixed $post ): mixed {
		$this->add( 'next-to-' . (int) ( $post->ID ?? 0 ) );
		return $where;
	}

	public function meta( mixed $value, mixed $post ): mixed {
		$this->add( 'post-' . (int) $post );
		return $value;
	}

	public function postTerms( mixed $terms ): mixed {
		foreach ( is_array( $terms ) ? $terms : array() as $term ) {
			$this->add( 'term-' . ( is_object( $term ) ? $term->term_id : (int) $term ) );
		}
		return $terms;
	}

	public function term( mixed $term ): mixed {
		if ( $term instanceof \WP_Term && ! in_array( $term->taxonomy, array( 'nav_menu', 'wp_theme', 'wp_template_part_area' ), true ) ) {
			$this->add( "term-$term->term_id" );
		}
		return $term;
	}

	public function termMeta( mixed $value, mixed $term ): mixed {
		$this->add( 'term-' . (int) $term );
		return $value;
	}

	public function termLink( mixed $link, mixed $term ): mixed {
		$this->add( 'term-' . (int) ( $term->term_id ?? 0 ) );
		return $link;
	}

	/**
	 * @param mixed                $taxonomies
	 * @param array<string, mixed> $args
	 */
	public function terms( mixed $terms, mixed $taxonomies, array $args ): mixed {
		$this->postTerms( is_array( $terms ) && 'count' !== ( $args['fields'] ?? '' ) ? array_filter( $terms, static fn( $term ) => $term instanceof \WP_Term ) : array() );
		foreach ( array( 'slug', 'name', 'include', 'object_ids', 'term_taxonomy_id' ) as $certain ) {
			if ( ! empty( $args[ $certain ] ) ) {
				return $terms;
			}
		}
		foreach ( (array) $taxonomies as $taxonomy ) {
			$this->add( "terms-$taxonomy" );
		}
		return $terms;
	}

	public function authorLink( mixed $link, mixed $author ): mixed {
		$this->add( 'author-' . (int) $author );
		return $link;
	}

	public function comments( mixed $comments, \WP_Comment_Query $query ): mixed {
		$post = (int) ( $query->query_vars['post_id'] ?? 0 );
		$this->add( $post > 0 ? "post-$post" : 'list-comments' );
		return $comments;
	}

	/** @param array<string, mixed> $args */
	public function archives( mixed $where, array $args ): mixed {
		$this->add( 'list-' . ( $args['post_type'] ?? 'post' ) );
		return $where;
	}

	public function calendar( mixed $output ): mixed {
		$this->add( 'list-post' );
		return $output;
	}

	public function count( mixed $counts, mixed $type ): mixed {
		$this->add( "list-$type" );
		return $counts;
	}
}
