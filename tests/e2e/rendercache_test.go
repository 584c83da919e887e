package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"platen/tests/e2e/site"
)

// plainPlugin has a filter on the theme's data that changes nothing, where a request asks for it:
// the render cache must stay out of the way of such a plugin, and WordPress works as without it.
// It also says whether the request was given what is kept.
const plainPlugin = `<?php
/* Plugin Name: Plain */
if ( isset( $_SERVER['HTTP_X_PLAIN'] ) ) {
	add_filter( 'wp_theme_json_data_theme', static fn( $data ) => $data );
}
add_filter( 'template_include', static function ( $template ) {
	$hits = 0;
	foreach ( new APCUIterator( '/^platen\.render\./' ) as $entry ) {
		$hits += $entry['num_hits'];
	}
	header( "X-Render-Hits: $hits" );
	return $template;
} );
`

func TestAPageIsTheSameWithTheRenderCache(t *testing.T) {
	t.Parallel()
	s := site.New(t)
	began := time.Now()
	s.Configure(t, "web: {tasks: 1}") // what is kept is the task's own
	s.Up(t)
	php := func(script string) string {
		t.Helper()
		result, err := s.ExecInput("<?php\ndefine( 'DISABLE_WP_CRON', true );\n$_SERVER['HTTP_HOST'] = 'localhost';\nrequire '/usr/share/wordpress/wp-load.php';\n"+script, "exec", "--", "php")
		if err != nil || result.Exit != 0 {
			t.Fatalf("exit %d, %v\n%s\n%s", result.Exit, err, result.Stdout, result.Stderr)
		}
		return result.Stdout
	}
	php(`mkdir( WP_PLUGIN_DIR . '/plain' );
file_put_contents( WP_PLUGIN_DIR . '/plain/plain.php', ` + "<<<'PLAIN'\n" + plainPlugin + "\nPLAIN\n" + `);
update_option( 'active_plugins', array( 'plain/plain.php' ) );
wp_insert_post( array( 'post_title' => 'Quoin', 'post_name' => 'quoin', 'post_status' => 'publish', 'post_content' => '<!-- wp:group {"className":"is-style-section-2"} --><div class="wp-block-group is-style-section-2"><!-- wp:paragraph --><p>Wedge.</p><!-- /wp:paragraph --></div><!-- /wp:group -->' ) );
Platen\ContentVersion::announce( WP_CONTENT_DIR );`)

	visitors := map[string]*site.Visitor{}
	for _, task := range s.Tasks(t) {
		visitors[task.Name] = s.VisitTask(t, task)
	}
	count := 0
	// fetch returns a page of one task that no cache of pages answers.
	fetch := func(v *site.Visitor, path string, plain bool) site.Page {
		t.Helper()
		header := http.Header{}
		if plain {
			header.Set("X-Plain", "1")
		}
		page, err := v.With(header).Try(http.MethodGet, fmt.Sprintf("%s?compare=%d", path, count), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	hits := func(page site.Page) int {
		t.Helper()
		n, err := strconv.Atoi(page.Header.Get("X-Render-Hits"))
		if err != nil {
			t.Fatalf("the plugin says nothing: %v\n%s", err, site.Excerpt(page.Body))
		}
		return n
	}
	same := func(what string, paths ...string) {
		t.Helper()
		defer func() { t.Logf("%s: after %s", what, time.Since(began)) }()
		for name, v := range visitors {
			for _, path := range paths {
				count++
				plain := fetch(v, path, true)
				var kept site.Page
				// What is kept is looked at again after 30 s; a request that came right then made it.
				site.Eventually(t, time.Minute, what+": "+path+" of "+name+" is made of what is kept", func() error {
					before := hits(fetch(v, path, false))
					if kept = fetch(v, path, false); hits(kept) <= before {
						return fmt.Errorf("%d hits, %d before", hits(kept), before)
					}
					return nil
				})
				if kept.Body != plain.Body || kept.Status != plain.Status {
					t.Errorf("%s: %s of %s: %d and %d bytes differ\n%s", what, path, name, len(kept.Body), len(plain.Body), firstDifference(kept.Body, plain.Body))
				}
			}
		}
	}
	shows := func(what, text string) {
		t.Helper()
		for name, v := range visitors {
			site.Eventually(t, time.Minute, what+" on "+name, func() error {
				count++
				if page := fetch(v, "/", false); !strings.Contains(page.Body, text) {
					return fmt.Errorf("no %s in\n%s", text, site.Excerpt(page.Body))
				}
				return nil
			})
		}
		same(what, "/")
	}

	site.Eventually(t, time.Minute, "the plugin runs", func() error {
		for name, v := range visitors {
			if page := fetch(v, "/", false); page.Header.Get("X-Render-Hits") == "" {
				return fmt.Errorf("not on %s", name)
			}
		}
		return nil
	})
	same("as installed", "/", "/quoin/", "/category/uncategorized/", "/no-such-page/")

	php(`$file = get_stylesheet_directory() . '/theme.json';
$theme = json_decode( file_get_contents( $file ), true );
$theme['settings']['color']['palette'][] = array( 'color' => '#12ab34', 'name' => 'Ink', 'slug' => 'ink' );
file_put_contents( $file, json_encode( $theme ) );
Platen\ContentVersion::announce( WP_CONTENT_DIR );`)
	shows("a file of the theme changed", "--wp--preset--color--ink: #12ab34")

	php(`wp_set_current_user( 1 );
$id = WP_Theme_JSON_Resolver::get_user_global_styles_post_id();
wp_update_post( array( 'ID' => $id, 'post_content' => wp_slash( json_encode( array( 'version' => 3, 'isGlobalStylesUserThemeJSON' => true,
	'styles' => array( 'color' => array( 'background' => '#fedcba' ) ) ) ) ) ) );`)
	shows("styles of the site editor", "background-color: #fedcba")

	php(`wp_set_current_user( 1 );
$id = wp_insert_post( array( 'post_type' => 'wp_template', 'post_status' => 'publish', 'post_name' => 'home', 'post_title' => 'Home',
	'post_content' => '<!-- wp:paragraph --><p>Made up in the site editor.</p><!-- /wp:paragraph -->', 'tax_input' => array( 'wp_theme' => array( get_stylesheet() ) ) ) );
wp_set_post_terms( $id, get_stylesheet(), 'wp_theme' );`)
	shows("a template of the site editor", "Made up in the site editor.")
}

// firstDifference is where two texts begin to differ, with some of each.
func firstDifference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-80)
	return fmt.Sprintf("with:    %q\nwithout: %q", a[from:min(len(a), i+120)], b[from:min(len(b), i+120)])
}
