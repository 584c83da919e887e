package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveFastCGI answers at a socket with handler until the test ends.
func serveFastCGI(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "php.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { _ = fcgi.Serve(listener, handler) }()
	return socket
}

func TestFastCGI(t *testing.T) {
	long := strings.Repeat("x", 70000) // more than one record
	socket := serveFastCGI(t, func(w http.ResponseWriter, r *http.Request) {
		env := fcgi.ProcessEnv(r)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, env["SCRIPT_FILENAME"]+" "+r.Method+" "+r.URL.Path)
		if env["LONG"] != long {
			_, _ = io.WriteString(w, " cut")
		}
	})
	a, err := fastcgi(t.Context(), socket, map[string]string{
		"SCRIPT_FILENAME": "/x.php", "SCRIPT_NAME": "/x", "REQUEST_URI": "/x", "LONG": long,
	})
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusTeapot || string(a.Body) != "/x.php GET /x" {
		t.Errorf("answered %d %q", a.Status, a.Body)
	}
}

func TestFastCGIKeepsABoundedAnswer(t *testing.T) {
	socket := serveFastCGI(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			_, _ = w.Write(make([]byte, 16<<10))
		}
	})
	a, err := fastcgi(t.Context(), socket, map[string]string{"REQUEST_URI": "/"})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Body) > maxAnswer {
		t.Errorf("kept %d bytes: want at most %d", len(a.Body), maxAnswer)
	}
}

func TestFastCGIEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{})
	socket := serveFastCGI(t, func(http.ResponseWriter, *http.Request) { close(asked); <-release })
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := fastcgi(ctx, socket, map[string]string{"REQUEST_URI": "/"}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v: want the context's end", err)
	}
}

func TestFastCGIOfAServerThatGoesAway(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "php.sock")
	if _, err := fastcgi(t.Context(), socket, nil); err == nil {
		t.Error("nobody listens: want an error")
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 4096))
		_ = conn.Close()
	}()
	if _, err := fastcgi(t.Context(), socket, nil); err == nil {
		t.Error("it went away in the middle: want an error")
	}
}

func TestParseAnswer(t *testing.T) {
	a, err := parseAnswer([]byte("X-Powered-By: x\r\nstatus: 503 Service Unavailable\r\n\r\nbody"), nil)
	if err != nil || a.Status != 503 || string(a.Body) != "body" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := parseAnswer([]byte("nothing"), nil); err == nil {
		t.Error("an answer without headers passed")
	}
}

func TestHealthPHP(t *testing.T) {
	status := http.StatusOK
	socket := serveFastCGI(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	if err := healthPHP(t.Context(), socket); err != nil {
		t.Error(err)
	}
	status = http.StatusInternalServerError
	if err := healthPHP(t.Context(), socket); err == nil {
		t.Error("500 is well")
	}
}

func TestCronAsksOnceATick(t *testing.T) {
	answers := []string{`{"ok":true,"ran":1,"failed":0}`, `{"ok":true,"ran":2,"failed":1}`, `{"ok":true}`, "no report"}
	var asked int
	socket := serveFastCGI(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answers[min(asked, len(answers)-1)])
		asked++
	})
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ticks := make(chan time.Time)
	done := make(chan struct{})
	go func() { runCron(ctx, ticks, socket, NewLog(&out)); close(done) }()
	for range answers {
		ticks <- time.Time{}
	}
	// Taken only when the last answer has been told.
	ticks <- time.Time{}
	cancel()
	<-done
	for _, want := range []string{"ran due events", "some due events failed", "cron answered no report"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, out.String())
		}
	}
}

func TestGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Platen-Token") != "secret" {
			http.Error(w, "who?", http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, r.URL.RequestURI())
	}))
	defer server.Close()
	var out bytes.Buffer
	if err := Get(t.Context(), server.URL+"/a/;csv?b=c", map[string]string{"X-Platen-Token": "secret"}, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "/a/;csv?b=c" {
		t.Errorf("body %q", out.String())
	}
	if err := Get(t.Context(), server.URL, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "404 Not Found") {
		t.Errorf("404: %v", err)
	}
	if err := Get(t.Context(), server.URL, map[string]string{"A": "b\r\nC: d"}, io.Discard); err == nil {
		t.Error("a header was split")
	}
	for _, address := range []string{"https://localhost/", "localhost:1", "http://127.0.0.1:1/"} {
		if err := Get(t.Context(), address, nil, io.Discard); err == nil {
			t.Errorf("%s answered", address)
		}
	}
}
