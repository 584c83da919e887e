package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

// What a visitor has no business with, in every spelling.
func TestClosedToVisitors(t *testing.T) {
	s := sharedSite(t)
	for _, path := range []string{
		task.HealthURL, task.SiteURL, "/x/.." + task.HealthURL, "/-/y/%2e%2e/task", "/%2d/task", "//-//task",
		"/wp-cron.php", "//wp-cron.php?doing_wp_cron", "/WP-CRON.PHP", "/xmlrpc.php", "/?author=1", "/index.php?author=1",
		"/.env", "/.git/config", "/wp-content/.htaccess", "/wp-content/plugins/x/.env", "/wp-config.php", "//WP-Config.php", "/wp-config-sample.php",
		"/wp-content/uploads/2026/11/x.php", "/wp-content/uploads/x.PHP7", "/wp-content/uploads/x.phar", "/wp-content/mu-plugins/x.php", "/wp-includes/version.php",
		"/wp-content/uploads/site.sql", "/wp-content/uploads/debug.LOG", "/wp-content/plugins/x/y.PHP", "/wp-content/plugins/x/y.phtml",
	} {
		if status := raw(t, s, "GET "+path+" HTTP/1.1\r\nHost: "+host(s)+"\r\nConnection: close\r\n\r\n"); status != http.StatusNotFound {
			t.Errorf("%s answers %d, want 404", path, status)
		}
	}
}

// WordPress makes redirects of the name that the visitor asked for: it may only be the site's own.
func TestAnotherHostIsSentToTheSite(t *testing.T) {
	s := sharedSite(t)
	for _, name := range []string{"evil.example.com", "127.0.0.1", "evil.example.com:80"} {
		request, err := http.NewRequest(http.MethodGet, s.URL()+"/wp-admin/?a=b", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = name
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
		if got := answer.Header.Get("Location"); answer.StatusCode != http.StatusTemporaryRedirect || got != s.URL()+"/wp-admin/?a=b" {
			t.Errorf("Host %s: %d to %q", name, answer.StatusCode, got)
		}
	}
}

func TestLargeBodiesAreForPeopleWhoAreLoggedIn(t *testing.T) {
	s := sharedSite(t)
	large := []byte("a=" + strings.Repeat("x", 9<<20))
	const form = "application/x-www-form-urlencoded"
	for _, path := range []string{"/", "/wp-admin/async-upload.php", "/wp-json/wp/v2/media"} {
		page, err := s.Visitor(t).Try(http.MethodPost, path, form, large)
		if err == nil && page.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("POST %s: %d, want 413", path, page.Status)
		}
	}
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	for _, path := range []string{"/wp-admin/async-upload.php", "/wp-json/wp/v2/media"} {
		page, err := v.Try(http.MethodPost, path, form, large)
		if err != nil {
			t.Fatal(err)
		}
		if page.Status == http.StatusRequestEntityTooLarge || page.Status >= 502 {
			t.Errorf("POST %s by an editor: %d", path, page.Status)
		}
	}
}

// Forty visitors who send a byte now and then held every place that a task had.
func TestSlowBodiesKeepNobodyWaiting(t *testing.T) {
	s := sharedSite(t)
	for range 80 {
		conn, err := net.Dial("tcp", host(s))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 90000\r\n\r\na=", host(s)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		s.Visitor(t).Get(t, http.StatusOK, fmt.Sprintf("/?beside-slow=%d", i))
	}
}

// A page that waits for a database that died ends, and gives its child back, long before php's own
// limit: both the one whose query was under way and those that came in that moment.
func TestQueriesEndWithTheDatabase(t *testing.T) {
	sharedSite(t) // its images
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	s.Up(t)
	const page = task.Content + "/plugins/slow/slow.php"
	s.Run(t, 0, "exec", "--", "php", "-r", "@mkdir(dirname('"+page+"')); file_put_contents('"+page+
		`', '<?php header("X-Began: 1"); ob_end_clean(); echo str_repeat(" ", 70000); flush(); require "`+task.Core+`/wp-load.php"; $wpdb->query("select sleep(55)");');`)
	answer, err := http.Get(s.URL() + "/wp-content/plugins/slow/slow.php")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	docker := site.Engine(t)
	db := s.Container(t, "db-1")
	site.Eventually(t, 30*time.Second, "the query is under way", func() error {
		out := s.Run(t, 0, "exec", "--", "sql", "-N", "-e", "select count(*) from information_schema.processlist where info like 'select sleep%'")
		if strings.TrimSpace(out.Stdout) != "1" {
			return fmt.Errorf("%s such queries", strings.TrimSpace(out.Stdout))
		}
		return nil
	})
	if _, err := docker.ContainerKill(t.Context(), db.ID, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, answer.Body)
		close(ended)
	}()
	// Docker starts a container that was killed by `docker kill` no more: the database stays away,
	// and pages say so one after the other, each before the next is asked: those of which the caches
	// know nothing.
	for i := range 3 {
		began := time.Now()
		if page, err := s.Visitor(t).Try(http.MethodGet, fmt.Sprintf("/?s=nowhere%d", i), "", nil); err != nil || page.Status != http.StatusInternalServerError {
			t.Errorf("page %d without a database: %d after %v, %v\n%s", i+1, page.Status, time.Since(began), err, s.Run(t, 0, "logs", "web", "--tail", "20").Stdout)
		}
	}
	select {
	case <-ended:
	case <-time.After(50 * time.Second): // php's own limit is 60 s
		t.Error("the page whose query died with the database still waits for it")
	}
}

// phpredis names the path of the sessions, token included, when it cannot reach them.
func TestLogsHideSecretsWhileAStoreIsAway(t *testing.T) {
	sharedSite(t) // its images
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	s.Up(t)
	token := strings.TrimSpace(s.Run(t, 0, "exec", "--", "php", "-r", "$c = require '"+task.Private+"/config.php'; echo $c['sessions']['token'];").Stdout)
	if len(token) < 16 {
		t.Fatalf("the token has %d characters", len(token))
	}
	docker := site.Engine(t)
	if _, err := docker.ContainerStop(t.Context(), s.Container(t, "sessions-1").ID, client.ContainerStopOptions{}); err != nil {
		t.Fatal(err)
	}
	const page = task.Content + "/plugins/session/session.php"
	s.Run(t, 0, "exec", "--", "php", "-r", "@mkdir(dirname('"+page+"')); file_put_contents('"+page+"', '<?php session_start(); echo 1;');")
	if _, err := s.Visitor(t).Try(http.MethodGet, "/wp-content/plugins/session/session.php", "", nil); err != nil {
		t.Fatal(err)
	}
	site.Eventually(t, 30*time.Second, "php complains", func() error {
		logs := s.Run(t, 0, "logs", "web").Stdout
		if strings.Contains(logs, token) || strings.Contains(logs, url.QueryEscape(token)) {
			t.Fatal("the log shows the token of the sessions")
		}
		if !strings.Contains(logs, "[secret]") {
			return fmt.Errorf("no hidden secret in the log")
		}
		return nil
	})
	job := s.Run(t, 0, "exec", "--", "php", "-r", "session_start();")
	if strings.Contains(job.Stdout+job.Stderr, token) {
		t.Error("a job shows the token of the sessions")
	}
}

func host(s *site.Site) string { return strings.TrimPrefix(s.URL(), "http://") }

// raw sends a request as it is written and returns the status: a client would tidy up the path.
func raw(t *testing.T, s *site.Site, request string) int {
	t.Helper()
	conn, err := net.Dial("tcp", host(s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
