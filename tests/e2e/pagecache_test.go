package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

// cachePatience bounds what should take a moment: a hang, not a figure.
const cachePatience = time.Minute

// cacheHost is what pages of the cache's tests are made by: a plugin on the share.
const cacheHost = `<?php
/* Plugin Name: Pressmark */
define( 'PRESSMARK', WP_CONTENT_DIR . '/pressmark.txt' );
if ( get_option( 'pressmark_session' ) ) {
	add_action( 'init', fn() => 'cli' === PHP_SAPI || session_start() );
	add_action( 'wp_head', fn() => print '<meta name="mark" content="' . session_id() . '">' );
}
add_filter( 'platen_page_seconds', fn( $s ) => is_page( 'pressmark-brief' ) && count( file( PRESSMARK ) ) < 2 ? 1 : $s );
// Slides have no page of their own, and no visitor may ask for a kind of them.
add_action( 'init', function () {
	register_taxonomy( 'pressmark_kind', 'pressmark_slide', array( 'public' => false ) );
	register_post_type( 'pressmark_slide', array( 'public' => false, 'exclude_from_search' => false ) );
} );
add_action( 'wp_head', function () {
	if ( is_page( 'pressmark-slides' ) ) {
		$slides = new WP_Query( array( 'tax_query' => array( array( 'taxonomy' => 'pressmark_kind', 'field' => 'slug', 'terms' => 'wide' ) ) ) );
		$colour = get_term_meta( get_term_by( 'slug', 'wide', 'pressmark_kind' )->term_id, 'colour', true );
		print '<meta name="slides" content="' . implode( ',', wp_list_pluck( $slides->posts, 'post_title' ) ) . ";$colour\">";
	}
} );
add_filter( 'platen_page_seconds', fn( $s ) => is_page( 'pressmark-ends' ) ? ( get_option( 'pressmark_ends' ) ? 0 : 2 ) : $s );
add_action( 'template_redirect', function () {
	if ( is_page( 'pressmark-ends' ) && 'error' === get_option( 'pressmark_ends' ) ) {
		touch( PRESSMARK . '.error' );
		status_header( 503 );
		exit( 'an error' );
	}
	if ( is_page( 'pressmark-brief' ) ) {
		file_put_contents( PRESSMARK, gethostname() . PHP_EOL, FILE_APPEND | LOCK_EX );
	}
	if ( is_page( 'pressmark-cookie' ) ) {
		setcookie( 'pressmark', uniqid() );
	}
	if ( is_page( 'pressmark-not' ) ) {
		define( 'DONOTCACHEPAGE', true );
	}
	if ( is_page( 'pressmark-mobile' ) ) {
		wp_is_mobile();
	}
	if ( is_page( 'pressmark-link' ) ) {
		exit( get_permalink( (int) wp_strip_all_tags( get_post()->post_content ) ) );
	}
	if ( is_page( 'pressmark-flush' ) ) {
		echo str_repeat( 'first part ', 1000 );
		while ( ob_get_level() > 0 ) {
			ob_end_flush();
		}
		flush();
		exit( 'last part' );
	}
	if ( is_page( 'pressmark-slow' ) ) {
		$content = get_post()->post_content;
		file_put_contents( PRESSMARK . '.slow', gethostname() );
		for ( $i = 0; $i < 600 && ! file_exists( PRESSMARK . '.go' ); ++$i ) {
			usleep( 50000 );
			clearstatcache();
		}
		exit( $content );
	}
} );
`

// runPHP runs a program in a task, with WordPress.
func runPHP(t *testing.T, s *site.Site, program string) string {
	t.Helper()
	return s.Run(t, 0, "exec", "--", "php", "-r",
		"$_SERVER['HTTP_HOST'] = 'localhost'; require '"+task.Core+"/wp-load.php'; require_once ABSPATH . 'wp-admin/includes/plugin.php'; "+program).Stdout
}

// askTask sends a request to one task, without any cookie but those in the header.
func askTask(t *testing.T, s *site.Site, one site.Task, method, path string, header ...string) site.Page {
	t.Helper()
	page, err := tryTask(s, one, method, path, header...)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func tryTask(s *site.Site, one site.Task, method, path string, header ...string) (site.Page, error) {
	home, err := url.Parse(s.URL())
	if err != nil {
		return site.Page{}, err
	}
	path = strings.TrimPrefix(path, s.URL())
	request, err := http.NewRequest(method, "http://"+one.Address+path, nil)
	if err != nil {
		return site.Page{}, err
	}
	request.Host = home.Host
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := directly.Do(request)
	if err != nil {
		return site.Page{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return site.Page{Status: response.StatusCode, Header: response.Header, Body: string(body)}, err
}

var directly = &http.Client{
	Timeout:       cachePatience,
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func cacheStatus(p site.Page) string { return p.Header.Get("X-Platen-Cache") }

// warm asks a task for a page until it comes from the cache.
func warm(t *testing.T, s *site.Site, one site.Task, path string) site.Page {
	t.Helper()
	var page site.Page
	site.Eventually(t, cachePatience, path+" from the cache of "+one.Name, func() error {
		var err error
		if page, err = tryTask(s, one, http.MethodGet, path); err != nil {
			return err
		}
		if got := cacheStatus(page); got != "HIT" {
			return fmt.Errorf("status %d, cache %q", page.Status, got)
		}
		return nil
	})
	return page
}

// The whole life of pages in the cache, on one site: what is kept, for whom, and what drops it.
func TestPageCache(t *testing.T) {
	s := sharedSite(t)
	editor := s.Visitor(t)
	editor.Login(t, s.Credentials(t))
	runPHP(t, s, "@mkdir(WP_PLUGIN_DIR); file_put_contents(WP_PLUGIN_DIR . '/pressmark.php', base64_decode('"+base64.StdEncoding.EncodeToString([]byte(cacheHost))+"')); file_put_contents(WP_CONTENT_DIR . '/pressmark.txt', ''); activate_plugin('pressmark.php');")
	var posts, terms []string // made here
	t.Cleanup(func() {
		runPHP(t, s, "foreach (array("+strings.Join(posts, ",")+") as $id) { wp_delete_post($id, true); } foreach (array("+strings.Join(terms, ",")+") as $id) { wp_delete_term($id, 'category'); } deactivate_plugins('pressmark.php'); delete_option('pressmark_session'); delete_option('pressmark_ends'); wp_delete_term(get_term_by('slug', 'wide', 'pressmark_kind')->term_id ?? 0, 'pressmark_kind'); array_map('unlink', array_merge(glob(WP_CONTENT_DIR . '/pressmark.txt*'), array(WP_PLUGIN_DIR . '/pressmark.php')));")
	})
	create := func(kind string, fields map[string]any) (id int, link string) {
		var made struct {
			ID   int
			Link string
		}
		fields["status"] = "publish"
		editor.REST(t, http.StatusCreated, http.MethodPost, "/wp/v2/"+kind, fields, &made)
		posts = append(posts, strconv.Itoa(made.ID))
		return made.ID, made.Link
	}
	category := func(name string) (id int, link string) {
		var made struct {
			ID   int
			Link string
		}
		editor.REST(t, http.StatusCreated, http.MethodPost, "/wp/v2/categories", map[string]any{"name": name}, &made)
		terms = append(terms, strconv.Itoa(made.ID))
		return made.ID, made.Link
	}
	tasks := s.Tasks(t)
	if len(tasks) != 2 {
		t.Fatalf("%d tasks", len(tasks))
	}
	inks, inksLink := category("Inks")
	papers, papersLink := category("Papers")
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format("2006-01-02T15:04:05") }
	_, ink := create("posts", map[string]any{"title": "Black ink", "content": "Soot and oil.", "categories": []int{inks}, "date_gmt": ago(time.Minute)})
	// Newer than all others: the next post will be the one after it.
	_, laid := create("posts", map[string]any{
		"title": "Laid paper", "content": "Chain lines.", "categories": []int{papers},
		"date_gmt": ago(time.Second),
	})
	path := strings.TrimPrefix(ink, s.URL())
	slow, slowLink := create("pages", map[string]any{"title": "Slow", "slug": "pressmark-slow", "content": "before"})
	for _, name := range []string{"brief", "cookie", "not", "mobile", "flush", "dotted", "ends", "slides"} {
		create("pages", map[string]any{"title": name, "slug": "pressmark-" + name, "content": "x"})
	}

	t.Run("every task keeps what it made", func(t *testing.T) {
		for _, one := range tasks {
			page := warm(t, s, one, path)
			if !strings.Contains(page.Body, "Soot and oil.") || page.Header.Get("Cache-Control") != "no-cache" {
				t.Errorf("%s: Cache-Control %q\n%s", one.Name, page.Header.Get("Cache-Control"), site.Excerpt(page.Body))
			}
			for _, internal := range []string{"X-Platen-Tags", "X-Platen-Rendered", "X-Platen-Version", "X-Accel-Expires"} {
				if page.Header.Get(internal) != "" {
					t.Errorf("a visitor sees %s", internal)
				}
			}
			etag := page.Header.Get("ETag")
			if again := askTask(t, s, one, http.MethodGet, path, "If-None-Match", etag); etag == "" || again.Status != http.StatusNotModified {
				t.Errorf("%s: ETag %q is answered %d", one.Name, etag, again.Status)
			}
			if head := askTask(t, s, one, http.MethodHead, path); head.Status != http.StatusOK || cacheStatus(head) != "HIT" || head.Body != "" || head.Header.Get("ETag") != etag {
				t.Errorf("%s: HEAD: %d %v", one.Name, head.Status, head.Header)
			}
		}
		// Through the edge, as visitors come.
		v := s.Visitor(t)
		if head, err := v.Try(http.MethodHead, path, "", nil); err != nil || head.Status != http.StatusOK || cacheStatus(head) != "HIT" {
			t.Errorf("HEAD through the edge: %v %+v", err, head)
		}
		// A HEAD that comes first leaves no empty page behind.
		if head := askTask(t, s, tasks[0], http.MethodHead, papersLink); cacheStatus(head) != "MISS" {
			t.Errorf("HEAD first: %v", head.Header)
		}
		if page := warm(t, s, tasks[0], papersLink); !strings.Contains(page.Body, "Laid paper") {
			t.Errorf("after a HEAD:\n%s", site.Excerpt(page.Body))
		}
	})

	t.Run("some are given no cached page and leave none", func(t *testing.T) {
		for _, one := range tasks {
			warm(t, s, one, path)
			for name, header := range map[string][]string{
				"logged in": {"Cookie", "a=b; wordpress_logged_in_x=editor"},
				"password":  {"Cookie", "wp-postpass_x=1"}, "commenter": {"Cookie", "comment_author_x=Ann"},
				"cart": {"Cookie", "woocommerce_items_in_cart=1"}, "session": {"Cookie", "PHPSESSID=abc"},
				"writer": {"Cookie", "platen_wrote=1"}, "authorization": {"Authorization", "Bearer x"},
				"script": {"X-Requested-With", "XMLHttpRequest"},
			} {
				if page := askTask(t, s, one, http.MethodGet, path, header...); cacheStatus(page) != "BYPASS" {
					t.Errorf("%s: %s: cache %q", one.Name, name, cacheStatus(page))
				}
			}
			// PHP takes these names for others, which nginx does not know by them.
			for _, cookie := range []string{"comment.author_email_x=ann@example.com", "PHPSESSID=; woocommerce.items_in_cart=1", "wp-postpass.x=1; platen.wrote=1"} {
				for range 2 {
					if page := askTask(t, s, one, http.MethodGet, "/pressmark-dotted/", "Cookie", cookie); cacheStatus(page) == "HIT" {
						t.Errorf("%s: the page made for %q is kept", one.Name, cookie)
					}
				}
			}
			if page := askTask(t, s, one, http.MethodPost, path); cacheStatus(page) == "HIT" {
				t.Errorf("%s: a POST is answered from the cache", one.Name)
			}
			for _, address := range []string{
				"/?pressmark=1", path + "?s=ink", "/?utm_source=a&pressmark=2", "/?utm_source=a&x", "/pressmark-cookie/",
				"/pressmark-not/", "/pressmark-mobile/", "/pressmark-flush/", "/wp-json/wp/v2/posts", "/wp-login.php",
			} {
				if one != tasks[0] {
					break // php says so, which is the same in each
				}
				for range 2 {
					page := askTask(t, s, one, http.MethodGet, address)
					if got := cacheStatus(page); page.Status != http.StatusOK || !slices.Contains([]string{"", "MISS", "BYPASS"}, got) {
						t.Errorf("%s: %s: status %d, cache %q", one.Name, address, page.Status, got)
					}
				}
			}
			if page := askTask(t, s, one, http.MethodGet, "/pressmark-flush/"); !strings.HasPrefix(page.Body, "first part ") || !strings.HasSuffix(page.Body, "last part") {
				t.Errorf("a page that is flushed on the way is harmed:\n%s", site.Excerpt(page.Body))
			}
			own := editor.As(t, one).Get(t, http.StatusOK, path)
			if cacheStatus(own) != "BYPASS" || !strings.Contains(own.Body, "wpadminbar") {
				t.Errorf("%s: logged in: cache %q", one.Name, cacheStatus(own))
			}
			if page := warm(t, s, one, path); strings.Contains(page.Body, "wpadminbar") {
				t.Errorf("%s: everybody sees the admin bar", one.Name)
			}
		}
	})

	t.Run("a campaign meets the cached page and is not lost", func(t *testing.T) {
		one := tasks[0]
		const campaign = "utm_source=letter&gclid=a%20b"
		warm(t, s, one, path)
		if page := askTask(t, s, one, http.MethodGet, path+"?"+campaign); cacheStatus(page) != "HIT" || strings.Contains(page.Body, "utm_source") {
			t.Errorf("cache %q", cacheStatus(page))
		}
		unslashed := strings.TrimSuffix(path, "/")
		for _, c := range []struct{ query, want string }{{"", ""}, {"?" + campaign, "?" + campaign}, {"", ""}, {"?other=1&" + campaign, "?other=1&utm_source=letter&gclid=a+b"}} {
			page := askTask(t, s, one, http.MethodGet, unslashed+c.query)
			want, err := url.Parse(s.URL() + path + c.want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := url.Parse(page.Header.Get("Location"))
			if err != nil || page.Status != http.StatusMovedPermanently || got.Path != want.Path || got.Query().Encode() != want.Query().Encode() {
				t.Errorf("%s: %d to %s, want %s (%v)", c.query, page.Status, got, want, err)
			}
		}
	})

	t.Run("an expired page is made once for a crowd", func(t *testing.T) {
		one := tasks[0]
		if page := askTask(t, s, one, http.MethodGet, "/pressmark-brief/"); cacheStatus(page) != "MISS" {
			t.Fatalf("cache %q", cacheStatus(page))
		}
		time.Sleep(2500 * time.Millisecond) // it is kept for one second
		const crowd = 300
		var wait sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]int{}
		for range crowd {
			wait.Go(func() {
				page, err := tryTask(s, one, http.MethodGet, "/pressmark-brief/")
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					seen[err.Error()]++
					return
				}
				seen[fmt.Sprint(page.Status, " ", cacheStatus(page))]++
			})
		}
		wait.Wait()
		t.Logf("%d visitors: %v", crowd, seen)
		for what := range seen {
			if !slices.Contains([]string{"200 HIT", "200 STALE", "200 UPDATING"}, what) {
				t.Errorf("%d visitors: %s", seen[what], what)
			}
		}
		// The one render goes on in the background.
		warm(t, s, one, "/pressmark-brief/")
		if renders := strings.Count(runPHP(t, s, "readfile(PRESSMARK);"), "\n"); renders != 2 {
			t.Errorf("made %d times, want once and once more", renders)
		}
	})

	t.Run("an expired page goes out while there are errors, and no longer", func(t *testing.T) {
		one, address := tasks[0], "/pressmark-ends/"
		if page := askTask(t, s, one, http.MethodGet, address); page.Status != http.StatusOK || cacheStatus(page) != "MISS" {
			t.Fatalf("status %d, cache %q", page.Status, cacheStatus(page))
		}
		runPHP(t, s, "update_option('pressmark_ends', 'error');")
		site.Eventually(t, cachePatience, "the expired page is asked for anew", func() error {
			page, err := tryTask(s, one, http.MethodGet, address)
			if err == nil && page.Status != http.StatusOK {
				t.Fatalf("a visitor gets status %d, cache %q", page.Status, cacheStatus(page))
			}
			if err == nil && runPHP(t, s, "echo file_exists(PRESSMARK . '.error') ? 'yes' : 'no';") != "yes" {
				err = errors.New("it is not")
			}
			return err
		})
		for range 3 {
			if page := askTask(t, s, one, http.MethodGet, address); page.Status != http.StatusOK || !slices.Contains([]string{"STALE", "UPDATING"}, cacheStatus(page)) {
				t.Errorf("after an error: status %d, cache %q", page.Status, cacheStatus(page))
			}
		}
		runPHP(t, s, "update_option('pressmark_ends', 'uncached');")
		site.Eventually(t, cachePatience, "the old page is gone", func() error {
			page, err := tryTask(s, one, http.MethodGet, address)
			if err == nil && (page.Status != http.StatusOK || cacheStatus(page) != "MISS") {
				err = fmt.Errorf("status %d, cache %q", page.Status, cacheStatus(page))
			}
			return err
		})
	})

	t.Run("what has no page of its own changes the pages that show it", func(t *testing.T) {
		const address = "/pressmark-slides/"
		showing := func(want string) {
			t.Helper()
			for _, one := range tasks {
				site.Eventually(t, cachePatience, one.Name+" shows "+want, func() error {
					page, err := tryTask(s, one, http.MethodGet, address)
					if err == nil && !strings.Contains(page.Body, `name="slides" content="`+want+`"`) {
						err = fmt.Errorf("status %d, cache %q", page.Status, cacheStatus(page))
					}
					return err
				})
				warm(t, s, one, address)
			}
		}
		term := strings.TrimSpace(runPHP(t, s, "echo wp_insert_term('Wide', 'pressmark_kind')['term_id'];"))
		showing(";")
		slide := strings.TrimSpace(runPHP(t, s, "echo $id = wp_insert_post(array('post_type' => 'pressmark_slide', 'post_status' => 'publish', 'post_title' => 'Forme')); wp_set_object_terms($id, 'wide', 'pressmark_kind');"))
		posts = append(posts, slide)
		showing("Forme;")
		runPHP(t, s, "wp_update_post(array('ID' => "+slide+", 'post_title' => 'Chase'));")
		showing("Chase;")
		runPHP(t, s, "update_term_meta("+term+", 'colour', 'red');")
		showing("Chase;red")
	})

	t.Run("a page that moves takes those below it along", func(t *testing.T) {
		parent, _ := create("pages", map[string]any{"title": "Presses", "slug": "pressmark-presses", "content": "x"})
		child, _ := create("pages", map[string]any{"title": "Hand press", "slug": "hand", "content": "x", "parent": parent})
		// Knows the page below alone.
		_, address := create("pages", map[string]any{"title": "Link", "slug": "pressmark-link", "content": strconv.Itoa(child)})
		for _, one := range tasks {
			if page := warm(t, s, one, address); !strings.HasSuffix(page.Body, "/pressmark-presses/hand/") {
				t.Fatalf("it links to %s", site.Excerpt(page.Body))
			}
		}
		editor.REST(t, http.StatusOK, http.MethodPost, fmt.Sprintf("/wp/v2/pages/%d", parent), map[string]any{"slug": "pressmark-moved"}, nil)
		for _, one := range tasks {
			site.Eventually(t, cachePatience, one.Name+" links to the new address", func() error {
				page, err := tryTask(s, one, http.MethodGet, address)
				if err == nil && !strings.HasSuffix(page.Body, "/pressmark-moved/hand/") {
					err = fmt.Errorf("cache %q: %s", cacheStatus(page), site.Excerpt(page.Body))
				}
				return err
			})
		}
	})

	t.Run("a new post is on every task, and nothing else is made anew", func(t *testing.T) {
		front, feed, missing := "/", "/feed/", "/red-ink/"
		for _, one := range tasks {
			for _, address := range []string{front, feed, inksLink, papersLink, path, laid} {
				warm(t, s, one, address)
			}
			if page := askTask(t, s, one, http.MethodGet, missing); page.Status != http.StatusNotFound {
				t.Fatalf("%s answers %d", missing, page.Status)
			}
		}
		_, link := create("posts", map[string]any{"title": "Red ink", "slug": "red-ink", "content": "Cinnabar.", "categories": []int{inks}})
		published := time.Now()
		var readers sync.WaitGroup
		for _, one := range tasks {
			readers.Go(func() {
				for time.Since(published) < cachePatience {
					if page, err := tryTask(s, one, http.MethodGet, front); err == nil && strings.Contains(page.Body, "Red ink") {
						t.Logf("%s: the front page is new %v after the answer", one.Name, time.Since(published).Round(time.Millisecond))
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
		readers.Wait()
		for _, one := range tasks {
			// Also the page of the post before it, which links to it.
			for _, address := range []string{front, feed, inksLink, link, laid} {
				site.Eventually(t, cachePatience, address+" of "+one.Name+" shows the new post", func() error {
					page, err := tryTask(s, one, http.MethodGet, address)
					if err == nil && (page.Status != http.StatusOK || !strings.Contains(page.Body, "Red ink")) {
						err = fmt.Errorf("status %d, cache %q", page.Status, cacheStatus(page))
					}
					return err
				})
			}
			if page := askTask(t, s, one, http.MethodGet, papersLink); cacheStatus(page) != "HIT" {
				t.Errorf("%s: an unrelated category was dropped: cache %q", one.Name, cacheStatus(page))
			}
			for range 5 {
				if page := askTask(t, s, one, http.MethodGet, front); !strings.Contains(page.Body, "Red ink") {
					t.Errorf("%s shows the old front page again: cache %q", one.Name, cacheStatus(page))
				}
			}
		}
		if page := warm(t, s, tasks[0], "/nowhere-at-all/"); page.Status != http.StatusNotFound {
			t.Errorf("status %d", page.Status)
		}
	})

	t.Run("a page begun before a change is not kept", func(t *testing.T) {
		one := tasks[0]
		done := make(chan site.Page, 1)
		go func() {
			page, err := tryTask(s, one, http.MethodGet, slowLink)
			if err != nil {
				page.Body = err.Error()
			}
			done <- page
		}()
		site.Eventually(t, cachePatience, "the slow page has begun", func() error {
			if runPHP(t, s, "echo file_exists(PRESSMARK . '.slow') ? 'yes' : 'no';") != "yes" {
				return errors.New("it has not")
			}
			return nil
		})
		front := warm(t, s, one, "/")
		editor.REST(t, http.StatusOK, http.MethodPost, fmt.Sprintf("/wp/v2/pages/%d", slow), map[string]any{"content": "after", "title": "Not slow"}, nil)
		// The front page links to all pages: when it is new, the task has heard of the change.
		site.Eventually(t, cachePatience, "the task hears of the change", func() error {
			page, err := tryTask(s, one, http.MethodGet, "/")
			if err == nil && page.Body == front.Body {
				err = errors.New("it has not")
			}
			return err
		})
		runPHP(t, s, "touch(PRESSMARK . '.go');")
		if page := <-done; !strings.Contains(page.Body, "before") {
			t.Fatalf("the slow page shows: %s", site.Excerpt(page.Body))
		}
		site.Eventually(t, cachePatience, "the new page", func() error {
			page, err := tryTask(s, one, http.MethodGet, slowLink)
			if err == nil && !strings.Contains(page.Body, "after") {
				err = fmt.Errorf("cache %q: %s", cacheStatus(page), site.Excerpt(page.Body))
			}
			return err
		})
		if page := warm(t, s, one, slowLink); !strings.Contains(page.Body, "after") {
			t.Errorf("kept: %s", site.Excerpt(page.Body))
		}
	})

	t.Run("the button", func(t *testing.T) {
		for _, one := range tasks {
			warm(t, s, one, path)
			warm(t, s, one, papersLink)
		}
		press := func(scope, from string) {
			t.Helper()
			bar := editor.Get(t, http.StatusOK, from)
			found := regexp.MustCompile(`http[^"']*admin-post\.php\?action=platen_purge[^"']*scope=` + scope + `[^"']*`).FindString(html.UnescapeString(bar.Body))
			if found == "" {
				t.Fatalf("no button for %s on %s", scope, from)
			}
			pressed := editor.Get(t, http.StatusFound, found)
			if said := editor.Get(t, http.StatusOK, pressed.Header.Get("Location")); !strings.Contains(said.Body, "purged ") {
				t.Errorf("%s: the page says nothing", scope)
			}
		}
		press("page", path)
		dropped := func(one site.Task, address string) {
			t.Helper()
			site.Eventually(t, cachePatience, address+" is dropped on "+one.Name, func() error {
				page, err := tryTask(s, one, http.MethodGet, address)
				if err == nil && cacheStatus(page) != "MISS" {
					err = fmt.Errorf("cache %q", cacheStatus(page))
				}
				return err
			})
		}
		for _, one := range tasks {
			dropped(one, path)
			if page := askTask(t, s, one, http.MethodGet, papersLink); cacheStatus(page) != "HIT" {
				t.Errorf("%s: another page was dropped too: cache %q", one.Name, cacheStatus(page))
			}
		}
		press("all", "/wp-admin/profile.php")
		for _, one := range tasks {
			dropped(one, papersLink)
		}
		// Without the nonce a link that somebody was sent does nothing.
		editor.Get(t, http.StatusForbidden, "/wp-admin/admin-post.php?action=platen_purge&scope=all&path=/")
	})

	t.Run("a task that starts trusts nothing", func(t *testing.T) {
		one := tasks[0]
		warm(t, s, one, path)
		before := s.Container(t, one.Name+"-php")
		site.Kill(t, before.PID)
		site.Eventually(t, cachePatience, one.Name+" serves again", func() error {
			if now := s.Container(t, one.Name+"-php"); now.State != "running" || now.Started == before.Started {
				return fmt.Errorf("it is %s", now.State)
			}
			page, err := tryTask(s, one, http.MethodGet, task.HealthURL)
			if err == nil && page.Status != http.StatusOK {
				err = fmt.Errorf("status %d", page.Status)
			}
			return err
		})
		if page := askTask(t, s, one, http.MethodGet, path); cacheStatus(page) != "MISS" {
			t.Errorf("after its start: status %d, cache %q", page.Status, cacheStatus(page))
		}
		warm(t, s, one, path)
	})

	t.Run("sessions everywhere leave no cached page and share no cookie", func(t *testing.T) {
		runPHP(t, s, "update_option('pressmark_session', 1); do_action('platen_purge', 'all');")
		mark := regexp.MustCompile(`name="mark" content="([^"]+)"`)
		owners := map[string]bool{}
		for _, one := range tasks {
			for _, address := range []string{"/", path} {
				site.Eventually(t, cachePatience, "the change reaches "+one.Name, func() error {
					page, err := tryTask(s, one, http.MethodGet, address)
					if err == nil && !mark.MatchString(page.Body) {
						err = fmt.Errorf("cache %q", cacheStatus(page))
					}
					return err
				})
				for range 3 {
					page := askTask(t, s, one, http.MethodGet, address)
					cookie, found := page.Header.Get("Set-Cookie"), mark.FindStringSubmatch(page.Body)
					if cacheStatus(page) != "MISS" || found == nil || !strings.HasPrefix(cookie, "PHPSESSID="+found[1]) {
						t.Fatalf("%s: %s: cache %q, cookie %q, mark %q", one.Name, address, cacheStatus(page), cookie, found)
					}
					if owners[found[1]] {
						t.Errorf("%s: %s: two visitors got the session %s", one.Name, address, found[1])
					}
					owners[found[1]] = true
				}
			}
		}
	})
}
