<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Notices what WordPress changes, collects the tags of the pages that show it (see PageTags), and
 * writes them to the log of changes when the request has done its own work.
 *
 * When the database is gone, what was to be written goes to PHP's log, and pages stay until they
 * expire; whatever changed could then hardly be written either. When the object cache is gone, tasks
 * notice within a second instead of at once.
 */
final class Purge {

	/** Seconds after which a process that goes on (an import, cron) writes what it has so far. */
	private const INTERVAL = 2;

	/** Types whose posts are no content of their own, whatever their status. */
	private const NO_CONTENT = array( 'revision', 'customize_changeset', 'oembed_cache', 'user_request' );

	/** Options that a page shows or is made by, whoever changes them. */
	private const OPTIONS = '/^(?:blogname|blogdescription|blog_charset|blog_public|home|siteurl|WPLANG|permalink_structure|category_base|tag_base
		|show_on_front|page_on_front|page_for_posts|posts_per_page|posts_per_rss|rss_use_excerpt|sticky_posts|date_format|time_format
		|timezone_string|gmt_offset|start_of_week|sidebars_widgets|widget_.+|theme_mods_.+|stylesheet|template|active_plugins|site_icon|site_logo
		|show_avatars|avatar_.+|default_comment_status|comment_registration|comments_per_page|comment_order|page_comments|default_comments_page
		|thread_comments.*|close_comments.*|require_name_email|nav_menu_options|users_can_register|thumbnail_.+|medium_.+|large_.+|use_smilies)$/x';
	/** Options that say nothing to a visitor, whoever changes them. */
	private const INTERNAL = '/^(?:_transient_|_site_transient_|_wp_session|cron$|rewrite_rules$|recently_(?:edited|activated)$|auto_updater|uninstall_plugins$|fresh_site$
		|user_count$|db_upgraded$|can_compress_scripts$|auto_core_update|recovery_|.*_children$|.*\.lock$|_wc_session_|action_scheduler|adminhash$|new_admin_email$)/x';
	/** Meta that no page shows. Counters of views would drop a page each time it is looked at. */
	private const META = '/^(?:_edit_(?:lock|last)$|_wp_old_|_wp_trash_|_wp_desired_|_encloseme$|_pingme$|_trackbackme$|_oembed_|_wp_suggested)|(?:^|[_-])(?:views?|hits|impressions)(?:[_-]|$)/';

	/** @var array<string, true> tags that wait to be written */
	private array $pending = array();
	/** @var array<string, true> tags that were written before the request's end */
	private array $early = array();
	private float $since = 0.0;
	private bool $code   = false; // PHP files changed

	/** @param array<string, mixed> $config */
	public function __construct( private readonly array $config ) {
	}

	public function register(): void {
		if ( wp_installing() ) {
			return; // there is no page yet
		}
		add_action( 'transition_post_status', array( $this, 'status' ), 10, 3 );
		add_action( 'post_updated', array( $this, 'updated' ), 10, 3 );
		add_action( 'attachment_updated', array( $this, 'updated' ), 10, 3 );
		add_action( 'before_delete_post', array( $this, 'deleted' ), 10, 2 );
		add_action( 'delete_attachment', array( $this, 'deleted' ), 10, 2 );
		add_action( 'set_object_terms', array( $this, 'terms' ), 10, 6 );
		add_action( 'deleted_term_relationships', array( $this, 'unrelated' ), 10, 3 );
		foreach ( array( 'added_post_meta', 'updated_post_meta', 'deleted_post_meta' ) as $action ) {
			add_action( $action, array( $this, 'meta' ), 10, 3 );
		}
		add_action( 'wp_update_comment_count', fn( $post ) => $this->add( "post-$post", 'list-comments' ) );
		add_action( 'edit_comment', array( $this, 'comment' ) );
		add_action( 'transition_comment_status', array( $this, 'commentStatus' ), 10, 3 );
		add_action( 'comment_post', array( $this, 'comment' ) );
		foreach ( array( 'created_term', 'edited_term', 'delete_term' ) as $action ) {
			add_action( $action, array( $this, 'term' ), 10, 3 );
		}
		foreach ( array( 'added_term_meta', 'updated_term_meta', 'deleted_term_meta' ) as $action ) {
			add_action( $action, array( $this, 'termMeta' ), 10, 3 );
		}
		foreach ( array( 'profile_update', 'deleted_user', 'user_register' ) as $action ) {
			add_action( $action, fn( $user ) => $this->add( "author-$user", "list-author-$user", 'list-users' ) );
		}
		foreach ( array(
			'switch_theme', 'activated_plugin', 'deactivated_plugin', 'customize_save_after',
			'permalink_structure_changed', 'wp_create_nav_menu', 'wp_update_nav_menu', 'wp_delete_nav_menu',
		) as $action ) {
			add_action( $action, fn() => $this->add( Changes::ALL ) );
		}
		foreach ( array( 'deleted_plugin', 'deleted_theme', 'upgrader_process_complete' ) as $action ) {
			add_action( $action, fn() => $this->file( null ) );
		}
		// Core asks it after each PHP file that it wrote, also for the editor of plugins and themes.
		add_filter( 'wp_opcache_invalidate_file', array( $this, 'file' ) );
		foreach ( array( 'added_option', 'updated_option', 'deleted_option' ) as $action ) {
			add_action( $action, array( $this, 'option' ) );
		}
		add_action( 'platen_purge', fn( $tags ) => $this->add( ...array_filter( (array) $tags, array( PageCache::class, 'isTag' ) ) ) );
		// The last of all: a plugin's transaction is committed by then.
		add_action( 'shutdown', array( $this, 'finish' ), PHP_INT_MAX );
	}

	public function add( string ...$tags ): void {
		// What was added earlier is done by now; what is added now may come before its statement.
		if ( array() !== $this->pending && microtime( true ) - $this->since > self::INTERVAL ) {
			$this->early += $this->pending;
			$this->write();
		}
		if ( array() !== $tags && array() === $this->pending ) {
			$this->since = microtime( true );
		}
		$this->pending += array_fill_keys( $tags, true );
	}

	/**
	 * Writes what was collected. What was written early is written once more: whoever rendered before
	 * a transaction ended has kept the old page since.
	 */
	public function finish(): void {
		if ( array() !== $this->early ) {
			$this->pending += $this->early;
			$this->early    = array();
		}
		// Other tasks run the old code until they hear of the new one: a page that they make until
		// then must be dropped too. What was written early is written again, so this alone waits.
		if ( $this->code && array() !== $this->pending && 'shared' === ( $this->config['content'] ?? '' ) ) {
			usleep( ContentVersion::SPREAD );
		}
		$this->write();
	}

	private function write(): void {
		$tags          = array_map( 'strval', array_keys( $this->pending ) );
		$this->pending = array();
		if ( array() === $tags ) {
			return;
		}
		if ( in_array( Changes::ALL, $tags, true ) ) {
			$tags = array( Changes::ALL );
		}
		/**
		 * What is dropped: a plugin adds the tags of pages that show the same in another way.
		 */
		$tags = array_values( array_filter( (array) apply_filters( 'platen_purge_tags', $tags ), array( PageCache::class, 'isTag' ) ) );
		if ( array() === $tags ) {
			return;
		}
		try {
			// A connection of its own: this one is in no transaction, and in no plugin's hands.
			$id = ( new Changes( new Database( $this->config['db'], 5, 2 ) ) )->write( $tags );
		} catch ( \mysqli_sql_exception $e ) {
			error_log( "platen: cached pages may stay as they are until they expire: log a change: {$e->getMessage()}; tags: " . substr( implode( ' ', $tags ), 0, 500 ) );
			return;
		}
		( new ValkeyConnection( $this->config['objects'], null, true ) )->run(
			static fn( \Redis $redis ) => $redis->xAdd( Changes::HINTS, '*', array( 'id' => (string) $id ), 1000, true ),
			false
		);
	}

	public function status( string $new, string $old, \WP_Post $post ): void {
		$was = self::shown( $post->post_type, $old );
		$is  = self::shown( $post->post_type, $new );
		if ( ! $was && ! $is ) {
			return;
		}
		if ( in_array( $post->post_type, PageTags::DESIGN, true ) ) {
			$this->add( Changes::ALL );
			return;
		}
		$this->add( "post-$post->ID" );
		if ( $was !== $is ) {
			$this->lists( $post );
		}
	}

	public function updated( int $id, \WP_Post $after, \WP_Post $before ): void {
		if ( ( $after->post_name !== $before->post_name || $after->post_parent !== $before->post_parent ) && self::hasChildren( $after ) ) {
			$this->add( Changes::ALL ); // it is part of their addresses, and whatever links to them has no tag of it
		}
		if ( ! self::shown( $after->post_type, $after->post_status ) ) {
			return; // status() sees the rest
		}
		if ( in_array( $after->post_type, PageTags::DESIGN, true ) ) {
			$this->add( Changes::ALL );
			return;
		}
		$this->add( "post-$id" );
		foreach ( array( 'post_date', 'post_author', 'post_name', 'post_title', 'post_parent', 'menu_order', 'post_password', 'post_type' ) as $field ) {
			if ( $after->$field !== $before->$field ) {
				$this->lists( $before );
				$this->lists( $after );
				return;
			}
		}
	}

	public function deleted( int $id, \WP_Post $post ): void {
		if ( self::hasChildren( $post ) ) {
			$this->add( Changes::ALL ); // core moves them up, and tells nobody
		}
		if ( self::shown( $post->post_type, $post->post_status ) ) {
			$this->status( 'deleted', $post->post_status, $post );
		}
	}

	/**
	 * @param mixed              $terms
	 * @param array<int|string>  $now term taxonomy ids
	 * @param array<int|string>  $old
	 */
	public function terms( int $object, mixed $terms, array $now, string $taxonomy, bool $append, array $old ): void {
		$changed = $append ? array_diff( $now, $old ) : array_merge( array_diff( $now, $old ), array_diff( $old, $now ) );
		$this->unrelated( $object, $changed, $taxonomy );
	}

	/** @param array<int|string> $changed term taxonomy ids */
	public function unrelated( int $object, array $changed, string $taxonomy ): void {
		$post = get_post( $object );
		if ( array() === $changed || ! $post || ! self::shown( $post->post_type, $post->post_status ) || ! is_object_in_taxonomy( $post->post_type, $taxonomy ) ) {
			return;
		}
		$this->add( "post-$object", "terms-$taxonomy" );
		foreach ( $changed as $id ) {
			$term = get_term_by( 'term_taxonomy_id', (int) $id );
			if ( $term instanceof \WP_Term ) {
				$this->termLists( $term );
			}
		}
	}

	/** @param mixed $meta */
	public function meta( mixed $meta, int $object, string $key ): void {
		if ( self::ofReading( $key ) ) {
			return;
		}
		$post = get_post( $object );
		if ( $post && self::shown( $post->post_type, $post->post_status ) ) {
			in_array( $post->post_type, PageTags::DESIGN, true ) ? $this->add( Changes::ALL ) : $this->add( "post-$object" );
		}
	}

	/** @param mixed $meta */
	public function termMeta( mixed $meta, int $term, string $key ): void {
		$of = self::ofReading( $key ) ? null : get_term( $term );
		if ( $of instanceof \WP_Term ) {
			$this->add( "term-$term", "list-term-$term", "terms-$of->taxonomy" );
		}
	}

	/** Whether meta is of those that no page shows, or is written since somebody reads a page: no change of it. */
	private static function ofReading( string $key ): bool {
		$get = in_array( $_SERVER['REQUEST_METHOD'] ?? 'GET', array( 'GET', 'HEAD' ), true );
		return 1 === preg_match( self::META, $key ) || ( $get && ! is_admin() && ! wp_doing_cron() && 'cli' !== PHP_SAPI );
	}

	/** @param mixed $id a comment that was made or edited; one that waits for approval is on no page */
	public function comment( mixed $id ): void {
		$comment = get_comment( (int) $id );
		if ( $comment && '1' === $comment->comment_approved ) {
			$this->add( "post-$comment->comment_post_ID", 'list-comments' );
		}
	}

	public function commentStatus( mixed $new, mixed $old, \WP_Comment $comment ): void {
		if ( 'approved' === $new || 'approved' === $old ) {
			$this->add( "post-$comment->comment_post_ID", 'list-comments' );
		}
	}

	public function term( int $id, int $relation, string $taxonomy ): void {
		// The address of each post holds a category's.
		$addresses = 'category' === $taxonomy && 'created_term' !== current_action() && str_contains( (string) get_option( 'permalink_structure' ), '%category%' );
		if ( $addresses || 'nav_menu' === $taxonomy || 'wp_theme' === $taxonomy || 'wp_template_part_area' === $taxonomy ) {
			$this->add( Changes::ALL );
		} else {
			$this->add( "term-$id", "list-term-$id", "terms-$taxonomy", 'missing' );
		}
	}

	public function file( mixed $invalidate ): mixed {
		$this->code = true;
		$this->add( Changes::ALL );
		return $invalidate;
	}

	public function option( string $name ): void {
		if ( 1 === preg_match( self::OPTIONS, $name ) || ( 1 !== preg_match( self::INTERNAL, $name ) && self::settings() ) ) {
			$this->add( Changes::ALL );
		}
	}

	/** Whether somebody who may do that sends settings: what a plugin keeps in its options, nobody knows. */
	private static function settings(): bool {
		return 'POST' === ( $_SERVER['REQUEST_METHOD'] ?? '' ) && ! wp_doing_cron() && ! defined( 'PLATEN_JOB' )
			&& ( is_admin() || ( defined( 'REST_REQUEST' ) && REST_REQUEST && ! str_contains( (string) $_SERVER['REQUEST_URI'], '/wp/v2/' ) ) )
			&& function_exists( 'wp_get_current_user' ) && did_action( 'init' ) && current_user_can( 'manage_options' );
	}

	/** A type without pages of its own (testimonials, slides) is shown on those of others. */
	private static function shown( string $type, string $status ): bool {
		return ! in_array( $type, self::NO_CONTENT, true )
			&& ( 'publish' === $status || ( 'attachment' === $type && 'inherit' === $status ) );
	}

	private static function hasChildren( \WP_Post $post ): bool {
		return is_post_type_hierarchical( $post->post_type ) && array() !== get_posts(
			array(
				'post_parent'      => $post->ID,
				'post_type'        => $post->post_type,
				'post_status'      => 'any',
				'posts_per_page'   => 1,
				'fields'           => 'ids',
				'suppress_filters' => true,
			)
		);
	}

	/** All lists in which a post stands, or from now on does. */
	private function lists( \WP_Post $post ): void {
		$this->add( "list-$post->post_type", 'list-any', 'missing', "list-author-$post->post_author", 'list-users' );
		for ( $day = substr( $post->post_date, 0, 10 ); strlen( $day ) >= 4; $day = substr( $day, 0, -3 ) ) {
			$this->add( "list-date-$day" );
		}
		foreach ( get_object_taxonomies( $post->post_type ) as $taxonomy ) {
			$terms = get_the_terms( $post, $taxonomy );
			foreach ( is_array( $terms ) ? $terms : array() as $term ) {
				$this->add( "terms-$taxonomy" );
				$this->termLists( $term );
			}
		}
		if ( 'publish' === $post->post_status ) {
			$this->neighbours( $post );
		}
	}

	/** The archive of a term lists the posts of its descendants too. */
	private function termLists( \WP_Term $term ): void {
		foreach ( array( $term->term_id, ...get_ancestors( $term->term_id, $term->taxonomy, 'taxonomy' ) ) as $id ) {
			$this->add( "list-term-$id" );
		}
	}

	/** The posts before and after one link to it; those of old carry its tag already. */
	private function neighbours( \WP_Post $post ): void {
		$before          = $GLOBALS['post'] ?? null;
		$GLOBALS['post'] = $post; // get_adjacent_post() takes no other
		foreach ( array( '', ...get_object_taxonomies( $post->post_type ) ) as $taxonomy ) {
			foreach ( array( true, false ) as $previous ) {
				$other = get_adjacent_post( '' !== $taxonomy, '', $previous, $taxonomy ?: 'category' );
				if ( $other instanceof \WP_Post ) {
					$this->add( "next-to-$other->ID" ); // its own page, not each that shows it
				}
			}
		}
		$GLOBALS['post'] = $before;
	}
}
