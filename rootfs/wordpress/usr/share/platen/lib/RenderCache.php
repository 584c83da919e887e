<?php
declare( strict_types=1 );

namespace Platen;

/**
 * What WordPress works out of theme.json for every page anew, kept in the task's memory: the data
 * of core, blocks and theme (30 files of Twenty Twenty-Five are read for them), the settings and
 * the stylesheet that follow from them. A quarter of a page's CPU without queries and caches
 * (docs/decisions/0014), and one operation on the share for each file.
 *
 * Core keeps these for one request alone, since a plugin may change them by whatever it likes. So
 * nothing is kept where a plugin has a filter in the way, and everything that core's own code looks
 * at is part of the key: core's version and the release, the version of the share's code, theme and
 * parent, language, all registered blocks and styles of blocks, what the theme supports, addresses,
 * and the user's own global styles. Whoever changes one of these gets other keys; there is
 * nothing to delete. Files of a theme that change without an announcement are seen after LIFE, as
 * OPcache sees scripts. Requests other than pages of the front end are left alone.
 *
 * Without APCu, or when core no longer has the properties that are filled here, WordPress works
 * as without this class. Nothing here speaks to a server.
 */
final class RenderCache {

	/** Seconds: OPcache looks at the share's scripts as often (opcache.revalidate_freq). */
	private const LIFE = 30;

	/** Filters that can make theme.json's data another one in each request. Core has none on them. */
	private const DATA_FILTERS = array(
		'wp_theme_json_data_default', 'wp_theme_json_data_blocks', 'wp_theme_json_data_theme', 'wp_theme_json_data_user',
		'theme_file_path', 'gettext', 'gettext_with_context', 'gettext_default', 'gettext_with_context_default',
	);

	private const RESOLVER = array( 'core', 'blocks', 'theme' );

	/** Everything but the user's global styles; '' when nothing may be kept. */
	private string $base = '';
	/** With the user's global styles. */
	private string $key = '';
	/** The stylesheet's entry while core works it out, else ''. */
	private string $pending = '';

	/** @param array<string, mixed> $config */
	public function __construct( private readonly array $config ) {
	}

	public function register(): void {
		if ( ! function_exists( 'apcu_enabled' ) || ! apcu_enabled() || ! function_exists( 'igbinary_serialize' ) ) {
			return;
		}
		// Last: who redirects needs nothing of this, and who registers blocks has done so.
		add_action( 'template_redirect', array( $this, 'prime' ), PHP_INT_MAX );
		add_action( 'wp_enqueue_scripts', array( $this, 'before' ), 9 );
		add_action( 'wp_enqueue_scripts', array( $this, 'after' ), 11 );
	}

	/** Gives WordPress the data of core, blocks and theme, and the settings. */
	public function prime(): void {
		if ( is_feed() || is_robots() || is_favicon() || is_trackback() ) {
			return; // no page: they have no styles
		}
		$this->base = $this->base();
		if ( '' === $this->base ) {
			return;
		}
		$data = $this->entry( 'data', $this->base, array( $this, 'resolve' ) );
		if ( is_array( $data ) && isset( $data['resolver'] ) ) {
			// Styles of blocks that the theme's files define, which core registers on its way.
			wp_register_block_style_variations_from_theme_json_partials( $data['variations'] );
			self::set( \WP_Theme_JSON_Resolver::class, $data['resolver'] );
			self::set( \WP_Theme_JSON::class, array( 'blocks_metadata' => $data['metadata'] ) );
		}
		$user = \WP_Theme_JSON_Resolver::get_user_data();
		// Core notes for which blocks data hold only when it is asked for them again, and then makes
		// them once more.
		$blocks = array_fill_keys( array_keys( \WP_Block_Type_Registry::get_instance()->get_all_registered() ), true );
		self::set( \WP_Theme_JSON_Resolver::class, array( 'blocks_cache' => array_fill_keys( array( 'core', 'blocks', 'theme', 'user' ), $blocks ) ) );
		$this->key = $this->base . self::digest(
			array(
				$user->get_raw_data(),
				get_classic_theme_supports_block_editor_settings(),
			)
		);
		$name      = 'wp_get_global_settings_' . ( wp_theme_has_theme_json() ? 'custom' : 'theme' );
		if ( false === wp_cache_get( $name, 'theme_json' ) ) {
			$settings = $this->entry( $name, $this->key, static fn() => wp_get_global_settings() );
			wp_cache_set( $name, $settings, 'theme_json' );
		}
		self::set(
			\WP_Duotone::class,
			array( 'global_styles_block_names' => $this->entry( 'duotone', $this->key, array( $this, 'duotone' ) ) )
		);
	}

	/** Gives WordPress the stylesheet, right before it is asked for. */
	public function before(): void {
		if ( '' === $this->key || ! wp_is_block_theme() || ! wp_should_load_block_assets_on_demand()
			|| self::filtered( array( 'wp_theme_json_get_style_nodes', 'theme_file_uri' ), array( 'wp_filter_out_block_nodes' ) )
			|| false !== wp_cache_get( 'wp_get_global_stylesheet', 'theme_json' ) ) {
			return;
		}
		$entry = $this->name( 'stylesheet', $this->key . self::digest( array( get_stylesheet_directory_uri(), get_template_directory_uri() ) ) );
		$css   = apcu_fetch( $entry );
		if ( is_string( $css ) ) {
			wp_cache_set( 'wp_get_global_stylesheet', $css, 'theme_json' );
		} else {
			$this->pending = $entry;
		}
	}

	/** Keeps the stylesheet that WordPress has worked out since. */
	public function after(): void {
		$css = '' === $this->pending ? false : wp_cache_get( 'wp_get_global_stylesheet', 'theme_json' );
		if ( is_string( $css ) && '' !== $css ) {
			apcu_store( $this->pending, $css, $this->life() );
		}
		$this->pending = '';
	}

	/** What the data of core, blocks and theme depend on; '' when they must not be kept. */
	private function base(): string {
		$domain = (string) wp_get_theme()->get( 'TextDomain' );
		if ( wp_is_development_mode( 'theme' ) || is_customize_preview()
			|| self::filtered( array_merge( self::DATA_FILTERS, array( "gettext_$domain", "gettext_with_context_$domain" ) ) )
			|| ! self::has( \WP_Theme_JSON_Resolver::class, array( ...self::RESOLVER, 'blocks_cache' ) )
			|| ! self::has( \WP_Theme_JSON::class, array( 'blocks_metadata' ) )
			|| ! self::has( \WP_Duotone::class, array( 'global_styles_block_names' ) ) ) {
			return '';
		}
		foreach ( self::get( \WP_Theme_JSON_Resolver::class, self::RESOLVER ) as $known ) {
			if ( null !== $known ) { // somebody was earlier, perhaps with fewer blocks: leave it to core
				return '';
			}
		}
		$blocks = array();
		foreach ( \WP_Block_Type_Registry::get_instance()->get_all_registered() as $name => $type ) {
			$blocks[ $name ] = array( $type->supports, $type->selectors, $type->styles );
		}
		try {
			return self::digest(
				array(
					wp_get_wp_version(),
					$this->config['release'],
					ContentVersion::current(),
					get_current_blog_id(),
					get_stylesheet_directory(),
					get_template_directory(),
					determine_locale(),
					$blocks,
					\WP_Block_Styles_Registry::get_instance()->get_all_registered(),
					$GLOBALS['_wp_theme_features'] ?? array(),
				)
			);
		} catch ( \Throwable ) { // a closure among what the theme supports: nothing tells two of them apart
			return '';
		}
	}

	/**
	 * Lets core work out its data, and takes them. They are in place then, so that the caller finds
	 * nothing to put there.
	 *
	 * @return array<string, mixed>
	 */
	private function resolve(): array {
		\WP_Theme_JSON_Resolver::get_core_data();
		\WP_Theme_JSON_Resolver::get_block_data();
		\WP_Theme_JSON_Resolver::get_theme_data( array(), array( 'with_supports' => false ) );
		return array(
			'resolver'   => self::get( \WP_Theme_JSON_Resolver::class, self::RESOLVER ),
			'metadata'   => self::get( \WP_Theme_JSON::class, array( 'blocks_metadata' ) )['blocks_metadata'],
			'variations' => \WP_Theme_JSON_Resolver::get_style_variations( 'block' ),
		);
	}

	/** @return array<string, string> as WP_Duotone keeps it */
	private function duotone(): array {
		return \Closure::bind(
			static function (): array {
				self::$global_styles_block_names = null;
				return self::get_all_global_style_block_names();
			},
			null,
			\WP_Duotone::class
		)();
	}

	/** The value that is kept, or the one that $make returns, which is kept then. */
	private function entry( string $what, string $key, callable $make ): mixed {
		$name  = $this->name( $what, $key );
		$text  = apcu_fetch( $name );
		$value = is_string( $text ) ? @igbinary_unserialize( $text ) : null;
		if ( null === $value ) {
			$value = $make();
			apcu_store( $name, igbinary_serialize( $value ), $this->life() );
		}
		return $value;
	}

	private function name( string $what, string $key ): string {
		return "platen.render.$what.$key";
	}

	/** Seconds that an entry lives. In an image no file changes; what nobody asks for goes all the same. */
	private function life(): int {
		return 'shared' === $this->config['content'] ? self::LIFE : DAY_IN_SECONDS;
	}

	/**
	 * Whether anybody but the given functions has a callback on one of the filters.
	 *
	 * @param list<string> $filters
	 * @param list<string> $known
	 */
	private static function filtered( array $filters, array $known = array() ): bool {
		foreach ( $filters as $filter ) {
			foreach ( $GLOBALS['wp_filter'][ $filter ]->callbacks ?? array() as $callbacks ) {
				foreach ( $callbacks as $callback ) {
					if ( ! in_array( $callback['function'], $known, true ) ) {
						return true;
					}
				}
			}
		}
		return false;
	}

	private static function digest( array $values ): string {
		return hash( 'xxh128', serialize( $values ) );
	}

	/** @param list<string> $properties */
	private static function has( string $class, array $properties ): bool {
		foreach ( $properties as $property ) {
			if ( ! property_exists( $class, $property ) ) {
				return false;
			}
		}
		return true;
	}

	/**
	 * Static properties of a class of core, whatever their visibility.
	 *
	 * @param list<string> $properties
	 * @return array<string, mixed>
	 */
	private static function get( string $class, array $properties ): array {
		return \Closure::bind(
			static function () use ( $properties ): array {
				$values = array();
				foreach ( $properties as $property ) {
					$values[ $property ] = self::$$property;
				}
				return $values;
			},
			null,
			$class
		)();
	}

	/** @param array<string, mixed> $values */
	private static function set( string $class, array $values ): void {
		\Closure::bind(
			static function () use ( $values ): void {
				foreach ( $values as $property => $value ) {
					self::$$property = $value;
				}
			},
			null,
			$class
		)();
	}
}
