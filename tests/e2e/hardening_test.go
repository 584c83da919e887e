package e2e

import (
	"compress/gzip"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

//go:embed testdata/probe.php
var probe string

const probeFolder = task.Content + "/plugins/probe"

// place writes files to the folder of the probe on the share, past WordPress: nothing is announced.
func place(t *testing.T, s *site.Site, files map[string]string) {
	t.Helper()
	encoded, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	s.Run(t, 0, "exec", "--", "php", "-r",
		"$d = '"+probeFolder+"'; @mkdir($d); foreach (json_decode(base64_decode($argv[1]), true) as $name => $text) { file_put_contents(\"$d/.new\", $text); rename(\"$d/.new\", \"$d/$name\"); }",
		base64.StdEncoding.EncodeToString(encoded))
}

// ask has the probe do something and decodes its answer, which may be nil.
func ask(t *testing.T, v *site.Visitor, do string, answer any, headers ...string) site.Page {
	t.Helper()
	page, err := v.Ask(http.MethodGet, "/wp-content/plugins/probe/probe.php?do="+do, nil, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal([]byte(page.Body), answer); err != nil {
			t.Fatalf("the probe, asked to %s: %d, %v\n%s", do, page.Status, err, site.Excerpt(page.Body))
		}
	}
	return page
}

func tasks(t *testing.T, s *site.Site) (all []*site.Visitor) {
	t.Helper()
	for _, one := range s.Tasks(t) {
		all = append(all, s.VisitTask(t, one))
	}
	if len(all) < 2 {
		t.Fatalf("%d tasks, want two", len(all))
	}
	return all
}

// Files on the share that nobody announced are seen within OPcache's 30 s; what can be looked at
// meanwhile is.
func TestCodeOnTheShareIsSeenWithoutAnAnnouncement(t *testing.T) {
	s := sharedSite(t)
	place(t, s, map[string]string{"probe.php": probe, "version.php": "<?php return 'one';\n", "style.css": style("one")})
	every := tasks(t, s)
	for _, v := range every {
		var version string
		if ask(t, v, "version", &version); version != "one" {
			t.Fatalf("version %q, want one", version)
		}
		for range 3 {
			asset(t, v, "one")
		}
	}
	place(t, s, map[string]string{"version.php": "<?php return 'two';\n", "style.css": style("two")})
	for _, v := range every {
		asset(t, v, "two") // at once: browsers keep what they get for this ?ver= for a year
	}

	t.Run("TheBalancerSaysWhoTheVisitorIs", visitorsAddress)
	t.Run("EveryLineCarriesTheRequestsID", requestIDs)
	t.Run("SessionsTakeTurns", sessionsTakeTurns)
	t.Run("SessionsAreNotLost", sessionsAreNotLost)

	for i, v := range every {
		site.Eventually(t, 90*time.Second, fmt.Sprintf("new code on task %d", i+1), func() error {
			page, err := v.Ask(http.MethodGet, "/wp-content/plugins/probe/probe.php?do=version", nil)
			if err == nil && page.Body != `"two"` {
				err = fmt.Errorf("version %s", page.Body)
			}
			return err
		})
	}
}

func style(version string) string {
	return "/* " + version + " */\n" + strings.Repeat(".probe{margin:0}\n", 100)
}

func asset(t *testing.T, v *site.Visitor, version string) {
	t.Helper()
	if page := v.Get(t, http.StatusOK, "/wp-content/plugins/probe/style.css?ver=2"); page.Body != style(version) {
		t.Errorf("the style sheet is %q, want %s", site.Excerpt(page.Body[:20]), version)
	}
}

// What a visitor claims of himself counts for nothing; what the balancer says does.
func visitorsAddress(t *testing.T) {
	s := sharedSite(t)
	claims := []string{"X-Forwarded-For: 198.51.100.77", "X-Forwarded-Proto: https", "X-Real-IP: 198.51.100.77", "Forwarded: for=198.51.100.77", "CloudFront-Forwarded-Proto: https"}
	var who struct {
		Address, Host string
		HTTPS         bool
	}
	ask(t, s.Visitor(t), "who", &who, claims...)
	if who.Address == "198.51.100.77" || who.HTTPS || who.Host != strings.TrimPrefix(s.URL(), "http://") {
		t.Errorf("a visitor is believed: %+v", who)
	}
	// Past the edge, from the network that it is in.
	ask(t, tasks(t, s)[0], "who", &who, claims...)
	if who.Address != "198.51.100.77" || !who.HTTPS {
		t.Errorf("the balancer is not believed: %+v", who)
	}
}

// One id leads through the lines of edge, nginx and php, whoever wrote them.
func requestIDs(t *testing.T) {
	s := sharedSite(t)
	complained, slow := "e2e-"+rand.Text(), "e2e-"+rand.Text()
	page := ask(t, s.Visitor(t), "complain", nil, "X-Request-ID: "+complained)
	if page.Header.Get("X-Request-ID") != complained {
		t.Errorf("the answer is of %q, want %q", page.Header.Get("X-Request-ID"), complained)
	}
	ask(t, s.Visitor(t), "slow&secret=xyz", nil, "X-Request-ID: "+slow)
	find := func(id string, want ...string) (found []map[string]any) {
		t.Helper()
		site.Eventually(t, time.Minute, "the log has all lines of "+id, func() error {
			var lines strings.Builder
			found = nil
			for line := range strings.Lines(s.Run(t, 0, "logs", "--tail", "300").Stdout) {
				if !strings.Contains(line, id) {
					continue
				}
				lines.WriteString(line)
				var v map[string]any
				if at := strings.IndexByte(line, '{'); at >= 0 && json.Unmarshal([]byte(line[at:]), &v) == nil {
					found = append(found, v)
				}
			}
			for _, w := range want {
				if !strings.Contains(lines.String(), w) {
					return fmt.Errorf("no %s in\n%s", w, lines.String())
				}
			}
			return nil
		})
		return found
	}
	find(complained, `"stream": "edge"`, `"stream":"access"`, "a warning of the probe", "a word of the probe", "Uncaught Exception: an error of the probe")
	for _, line := range find(slow, `"message":"slow request"`) {
		if line["message"] != "slow request" {
			continue
		}
		stages, _ := line["stages"].(map[string]any)
		hosts, _ := line["http"].(map[string]any)
		if line["path"] != "/wp-content/plugins/probe/probe.php" || line["seconds"] == 0.0 || stages["init"] == nil || line["queries"] == nil || line["memory"] == nil || hosts["requests"] != 1.0 {
			t.Errorf("the line of a slow request: %v", line)
		}
	}
}

// Requests of one visitor, on two tasks at the same time: no increment is lost.
func sessionsTakeTurns(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	ask(t, v, "count", nil) // sets the cookie
	var wg sync.WaitGroup
	counted := make([]int, 4)
	for i := range counted {
		one := v.As(t, s.Tasks(t)[i%2])
		wg.Go(func() {
			for range 5 {
				page, err := one.Ask(http.MethodGet, "/wp-content/plugins/probe/probe.php?do=count", nil)
				switch {
				case err != nil:
					t.Error(err)
				case page.Status == http.StatusOK:
					counted[i]++
				case page.Status != http.StatusServiceUnavailable: // waited too long for its turn, and said so
					t.Errorf("status %d: %s", page.Status, site.Excerpt(page.Body))
				}
			}
		})
	}
	wg.Wait()
	want := 1
	for _, n := range counted {
		want += n
	}
	var session struct{ Count int }
	if ask(t, v, "read", &session); session.Count != want || want < 10 {
		t.Errorf("%d increments of %d are in the session", session.Count, want)
	}
}

// A session that somebody else holds is waited for, and then refused; never dropped in silence.
func sessionsAreNotLost(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	var both struct {
		Other int
		Here  map[string]any
	}
	began := time.Now()
	ask(t, v, "loopback", &both)
	if both.Other != http.StatusOK || both.Here["count"] != 1.0 || both.Here["before"] != "kept" {
		t.Errorf("asking the site itself, in the same session: %+v", both)
	}
	t.Logf("asked itself in %v", time.Since(began))
	ask(t, v, "late", nil)
	var session map[string]any
	ask(t, v, "read", &session)
	for key, want := range map[string]any{"count": 1.0, "before": "kept", "after": "kept", "early": "kept", "late": "kept"} {
		if session[key] != want {
			t.Errorf("%s is %v in the session, want %v", key, session[key], want)
		}
	}

	s.Run(t, 0, "exec", "--", "php", "-r", "@unlink('"+probeFolder+"/release');")
	holder := v.As(t, s.Tasks(t)[0])
	held := make(chan error, 1)
	go func() {
		page, err := holder.Ask(http.MethodGet, "/wp-content/plugins/probe/probe.php?do=hold", nil)
		if err == nil && page.Status != http.StatusOK {
			err = fmt.Errorf("the holder: %d %s", page.Status, page.Body)
		}
		held <- err
	}()
	other := v.As(t, s.Tasks(t)[1])
	site.Eventually(t, time.Minute, "a session that is held is refused", func() error {
		page := ask(t, other, "impatient", nil)
		if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || page.Header.Get("Cache-Control") != "no-store" {
			return fmt.Errorf("%d %v %s", page.Status, page.Header, page.Body)
		}
		return nil
	})
	place(t, s, map[string]string{"release": ""})
	if err := <-held; err != nil {
		t.Error(err)
	}
	session = nil
	if ask(t, other, "read", &session); session["holder"] != "kept" {
		t.Errorf("the session after all: %v", session)
	}

	// One that cannot be saved at the end: the visitor hears of it, and all others have their end too.
	page := ask(t, other, "robbed", nil)
	if page.Status != http.StatusServiceUnavailable || page.Body != "Your session could not be saved. What you sent may have been; look before you try again.\n" {
		t.Errorf("a session that was not saved: %d %s", page.Status, site.Excerpt(page.Body))
	}
	site.Eventually(t, time.Minute, "the request ends as others do", func() error {
		var ended []string
		if ask(t, other, "ended", &ended); strings.Join(ended, " ") != "action function" {
			return fmt.Errorf("%v", ended)
		}
		return nil
	})

	// Nobody gives a visitor an id that he has made up.
	const invented = "0123456789abcdef0123456789abcdef"
	stranger := s.Visitor(t)
	page = ask(t, stranger, "count", nil, "Cookie: PHPSESSID="+invented)
	if cookie := page.Header.Get("Set-Cookie"); !strings.HasPrefix(cookie, "PHPSESSID=") || strings.Contains(cookie, invented) {
		t.Errorf("who came with an invented id has %q", cookie)
	}
	if page = ask(t, s.Visitor(t), "read", nil, "Cookie: PHPSESSID="+invented); page.Body != "[]" {
		t.Errorf("under the invented id: %s", page.Body)
	}
}

// Attempts on either task are counted together, by who is guessed for and from where.
func TestGuessesAreCountedOverAllTasks(t *testing.T) {
	s := sharedSite(t)
	every := tasks(t, s)
	n := 0
	guess := func(name, address string) site.Page {
		t.Helper()
		n++
		page, err := every[n%len(every)].Ask(http.MethodPost, "/wp-login.php", []byte(url.Values{"log": {name}, "pwd": {"wrong"}, "testcookie": {"1"}}.Encode()),
			"Content-Type: application/x-www-form-urlencoded", "Cookie: wordpress_test_cookie=WP%20Cookie%20check", "X-Forwarded-For: "+address)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	refused := func(page site.Page, what string) {
		t.Helper()
		if wait, err := strconv.Atoi(page.Header.Get("Retry-After")); page.Status != http.StatusTooManyRequests || err != nil || wait <= 0 || wait > 300 {
			t.Errorf("%s: %d, Retry-After %q\n%s", what, page.Status, page.Header.Get("Retry-After"), site.Excerpt(page.Body))
		}
	}
	name := "guessed-" + strings.ToLower(rand.Text()[:8])
	for i := range 10 {
		if page := guess(name, "198.51.100.1"); page.Status != http.StatusOK {
			t.Fatalf("guess %d: %d\n%s", i+1, page.Status, site.Excerpt(page.Body))
		}
	}
	for range 2 {
		refused(guess(name, "198.51.100.1"), "one guess more")
	}
	// The same name with a password of an application; wp-admin's page that refuses asks who is there.
	for _, path := range []string{"/wp-json/wp/v2/posts", "/wp-admin/"} {
		page, err := every[0].Ask(http.MethodGet, path, nil, "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https",
			"Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(name+":abcd efgh")))
		if err != nil {
			t.Fatal(err)
		}
		refused(page, path+" with a password of an application")
		if got := strings.Count(page.Body, "Too many attempts to log in"); got != 1 {
			t.Errorf("%s refuses %d times:\n%s", path, got, site.Excerpt(page.Body))
		}
	}
	// One person in the spellings that the database takes for his name, and his e-mail address.
	for i, spelling := range []string{"editor", "Editor", "edi\u200dtor", "\uff45ditor", "editor@example.com", "éditor", "EDITOR", "e\u200dditor", "\uff25ditor", "editor"} {
		if page := guess(spelling, "198.51.100.2"); page.Status != http.StatusOK {
			t.Fatalf("guess %d, %q: %d\n%s", i+1, spelling, page.Status, site.Excerpt(page.Body))
		}
	}
	for _, spelling := range []string{"editor", "ed\u200ditor"} {
		refused(guess(spelling, "198.51.100.2"), fmt.Sprintf("%q after ten of its spellings", spelling))
	}
	// Neither he nor anybody else is kept out elsewhere.
	s.Visitor(t).Login(t, s.Credentials(t))
}

func TestVisitorsLearnNoLoginNames(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	for path, want := range map[string]int{
		"/wp-json/wp/v2/users": http.StatusUnauthorized, "/wp-json/wp/v2/users/1": http.StatusUnauthorized,
		"/index.php?rest_route=/wp/v2/users": http.StatusUnauthorized, "/index.php?rest_route=/WP/V2/Users/1": http.StatusUnauthorized,
		"/?author=1": http.StatusNotFound, "/?author=%31": http.StatusNotFound, "/?author=1,2": http.StatusNotFound,
		"/?author=x&author=1": http.StatusNotFound, "/?%61uthor=1": http.StatusNotFound, "/wp-sitemap-users-1.xml": http.StatusNotFound,
	} {
		page := v.Get(t, want, path)
		if strings.Contains(page.Body, "/author/") || strings.Contains(page.Body, `"slug":"editor"`) || strings.Contains(page.Body, "author-editor") {
			t.Errorf("%s names an author:\n%s", path, site.Excerpt(page.Body))
		}
	}
	v.PostForm(t, http.StatusNotFound, "/", url.Values{"author": {"1"}})

	v.Login(t, s.Credentials(t))
	var users []struct{ Slug string }
	v.REST(t, http.StatusOK, http.MethodGet, "/wp/v2/users", nil, &users)
	if len(users) == 0 || users[0].Slug != "editor" {
		t.Errorf("an editor sees %+v", users)
	}
	v.Get(t, http.StatusOK, "/wp-admin/edit.php?author=1")
}

// Packed when the image was built: as it stands there, for whoever takes it.
func TestStaticFilesArePacked(t *testing.T) {
	v := sharedSite(t).Visitor(t)
	for _, path := range []string{"/wp-includes/css/dashicons.min.css", "/wp-includes/js/jquery/jquery.min.js", "/wp-admin/css/common.min.css"} {
		read := func(encoding string, unpack func(io.Reader) (io.Reader, error)) (plain string, sent int) {
			t.Helper()
			page, err := v.Ask(http.MethodGet, path, nil, "Accept-Encoding: "+encoding)
			if err != nil {
				t.Fatal(err)
			}
			got := page.Header.Get("Content-Encoding")
			if page.Status != http.StatusOK || (encoding != "identity" && got != encoding) || page.Header.Get("Vary") != "Accept-Encoding" {
				t.Fatalf("%s for %s: %d, %v", path, encoding, page.Status, page.Header)
			}
			// What nginx packs while it sends has no length, and a weak tag.
			if page.Header.Get("Content-Length") != strconv.Itoa(len(page.Body)) || strings.HasPrefix(page.Header.Get("Etag"), "W/") {
				t.Errorf("%s for %s was packed just now: %v", path, encoding, page.Header)
			}
			r, err := unpack(strings.NewReader(page.Body))
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(content), len(page.Body)
		}
		plain, _ := read("identity", func(r io.Reader) (io.Reader, error) { return r, nil })
		unzipped, gz := read("gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
		unpacked, br := read("br", func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil })
		if unzipped != plain || unpacked != plain || br >= gz || gz >= len(plain) {
			t.Errorf("%s: %d bytes, gzip %d, brotli %d; the same: %v %v", path, len(plain), gz, br, unzipped == plain, unpacked == plain)
		}
	}
}

func TestPagesAndFilesCarrySecurityHeaders(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	for _, path := range []string{"/", "/wp-login.php", "/wp-includes/css/dashicons.min.css", "/no-such-page/", "/no-such-file.css"} {
		page, err := v.Try(http.MethodGet, path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin", "X-Frame-Options": "SAMEORIGIN"} {
			if got := page.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q, want once %q", path, name, got, want)
			}
		}
		if page.Header.Get("X-Request-ID") == "" || page.Header.Get("X-Powered-By") != "" || strings.Contains(page.Header.Get("Server"), "/") {
			t.Errorf("%s: %v", path, page.Header)
		}
	}
}

// Every task compiled the front page before the edge sent it anybody.
func TestTasksAreWarmBeforeVisitorsCome(t *testing.T) {
	s := sharedSite(t)
	warm := 0
	for line := range strings.Lines(s.Run(t, 0, "logs", "web").Stdout) {
		if strings.Contains(line, `"message":"php is warm"`) {
			warm++
		}
	}
	if want := len(s.Tasks(t)); warm < want {
		t.Errorf("%d of %d tasks say that they are warm", warm, want)
	}
}
