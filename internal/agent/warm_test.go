package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func warmed(t *testing.T, ctx context.Context, socket string) (levels, messages []string) {
	t.Helper()
	var out bytes.Buffer
	at, err := originOf("https://www.example.com")
	if err != nil {
		t.Fatal(err)
	}
	warm(ctx, socket, at, NewLog(&out))
	for line := range strings.Lines(out.String()) {
		var v struct{ Level, Message string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		levels, messages = append(levels, v.Level), append(messages, v.Message)
	}
	return levels, messages
}

func TestWarmMakesTheFrontPageAsAVisitorSeesIt(t *testing.T) {
	asked := 0
	socket := serveFastCGI(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		env := fcgi.ProcessEnv(r)
		if env["SCRIPT_FILENAME"] != "/usr/share/wordpress/index.php" || r.Host != "www.example.com" || r.URL.Path != "/" || r.TLS == nil || r.Header.Get("Cookie") != "" {
			t.Errorf("asked %v %v of %s, https %v", env, r.URL, r.Host, r.TLS != nil)
		}
		_, _ = fmt.Fprint(w, "<html>")
	})
	levels, messages := warmed(t, t.Context(), socket)
	if asked != warmPages || strings.Join(levels, " ") != "info" || messages[0] != "php is warm" {
		t.Errorf("asked %d times, said %q", asked, messages)
	}
}

// php-fpm makes its socket some moments after it was started.
func TestWarmWaitsForPHP(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "php.sock")
	later := make(chan net.Listener, 1)
	time.AfterFunc(100*time.Millisecond, func() {
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Error(err)
			return
		}
		later <- l
		_ = fcgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "ok") }))
	})
	if _, messages := warmed(t, t.Context(), socket); len(messages) != 1 || messages[0] != "php is warm" {
		t.Errorf("said %q", messages)
	}
	_ = (<-later).Close()
}

// A site that is not installed, a database that is away, a php that hangs: the task goes on.
func TestWarmKeepsNobodyOut(t *testing.T) {
	asked := 0
	notReady := serveFastCGI(t, func(w http.ResponseWriter, _ *http.Request) { asked++; w.WriteHeader(http.StatusInternalServerError) })
	if levels, messages := warmed(t, t.Context(), notReady); asked != 1 || strings.Join(levels, " ") != "info" || messages[0] != "the front page is not ready" {
		t.Errorf("a site that is not ready was asked %d times: %q %q", asked, levels, messages)
	}
	release := make(chan struct{})
	hangs := serveFastCGI(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if levels, messages := warmed(t, ctx, hangs); strings.Join(levels, " ") != "warning" {
		t.Errorf("a php that hangs: %q %q", levels, messages)
	}
}

func TestWarmingMarker(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "warming")
	if err := beginWarming(marker); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("the task is not kept out: %v", err)
	}
	for range 2 { // whoever made it may be gone
		if err := endWarming(marker); err != nil {
			t.Errorf("let visitors in: %v", err)
		}
	}
	if _, err := os.Stat(marker); !os.IsNotExist(err) {
		t.Errorf("the task is still kept out: %v", err)
	}
}
