package source_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/source"
)

// origin serves files, after the faults that a test asks for.
type origin struct {
	*httptest.Server
	mu     sync.Mutex
	files  map[string][]byte
	faults []func(w http.ResponseWriter, r *http.Request, data []byte) bool // one a request; true = answered
	asked  []string
}

func newOrigin(t *testing.T, files map[string][]byte) *origin {
	t.Helper()
	o := &origin{files: files}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.asked = append(o.asked, r.URL.Path+" "+r.Header.Get("Range"))
	data, ok := o.files[r.URL.Path]
	var fault func(http.ResponseWriter, *http.Request, []byte) bool
	if len(o.faults) > 0 {
		fault, o.faults = o.faults[0], o.faults[1:]
	}
	o.mu.Unlock()
	if fault != nil && fault(w, r, data) {
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Etag", fmt.Sprintf("%q", hex.EncodeToString(sum(data))[:16]))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func sum(data []byte) []byte {
	s := sha256.Sum256(data)
	return s[:]
}

func hexSum(data []byte) string { return hex.EncodeToString(sum(data)) }

// half sends half of what is left of a file and drops the connection.
func half(w http.ResponseWriter, r *http.Request, data []byte) bool {
	from := 0
	w.Header().Set("Etag", fmt.Sprintf("%q", hexSum(data)[:16]))
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(data[from : from+(len(data)-from)/2])
	panic(http.ErrAbortHandler)
}

func status(code int, headers ...string) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		return true
	}
}

func sources(t *testing.T, change func(*source.Options)) *source.Sources {
	t.Helper()
	o := source.Options{CacheDir: t.TempDir(), RetryWait: time.Millisecond, Transport: &http.Transport{}}
	if change != nil {
		change(&o)
	}
	return source.New(o)
}

var plugin = []packed{{name: "newsletter/newsletter.php", text: "<?php"}, {name: "newsletter/data.bin", text: noise(200_000)}}

func TestFetchesThroughFaults(t *testing.T) {
	data := zipOf(t, plugin...)
	serve := func(http.ResponseWriter, *http.Request, []byte) bool { return false }
	for name, faults := range map[string][]func(http.ResponseWriter, *http.Request, []byte) bool{
		"none":                     nil,
		"the connection drops":     {half, half, half, half, half, half},
		"500 and 503":              {status(500), status(503), status(502)},
		"a redirect":               {status(302, "Location", "/moved.zip"), serve},
		"ranges that are not kept": {half, func(w http.ResponseWriter, r *http.Request, _ []byte) bool { r.Header.Del("Range"); return false }},
		"another part than wanted": {half, status(206, "Content-Range", "bytes 0-1/2")},
		"416 to its own file":      {half, status(416)},
		"another file under way": {half, func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			w.Header().Set("Etag", `"new"`)
			_, _ = w.Write(data) // 200: If-Range did not hold
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, map[string][]byte{"/n.zip": data, "/moved.zip": data})
			o.faults = faults
			s := sources(t, nil)
			d := image.Download{URL: o.URL + "/n.zip", SHA256: hexSum(data)}
			got, err := s.Fetch(context.Background(), d, nil)
			if err != nil || got.Size != int64(len(data)) {
				t.Fatalf("got %+v, %v after %v", got, err, o.asked)
			}
			top, content, closer, err := s.Zip("", d.SHA256)
			if err != nil || top != "newsletter" {
				t.Fatalf("got %s, %v", top, err)
			}
			if all, err := texts(content); err != nil || len(all) != 2 {
				t.Errorf("got %v, %v", all, err)
			}
			if err := closer.Close(); err != nil {
				t.Error(err)
			}
			o.Close()
			if again, err := s.Fetch(context.Background(), d, nil); err != nil || again != got {
				t.Errorf("what is in the cache was not taken: %v", err)
			}
		})
	}
}

// A busy server says when to come again; one that asks for an hour is not waited for that long.
func TestAFetchWaitsAsLongAsItIsAskedTo(t *testing.T) {
	data := zipOf(t, plugin...)
	o := newOrigin(t, map[string][]byte{"/n.zip": data})
	o.faults = append(o.faults, status(429, "Retry-After", "7"), status(503, "Retry-After", "3600"), status(503))
	var waits []time.Duration
	s := sources(t, func(o *source.Options) {
		o.Wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	})
	_, err := s.Fetch(context.Background(), image.Download{URL: o.URL + "/n.zip", SHA256: hexSum(data)}, nil)
	if want := []time.Duration{7 * time.Second, time.Minute, 4 * time.Millisecond}; err != nil || !slices.Equal(waits, want) {
		t.Errorf("waited %v (%v), want %v", waits, err, want)
	}
}

func TestABrokenConnectionIsGoneOnWith(t *testing.T) {
	data := zipOf(t, plugin...)
	o := newOrigin(t, map[string][]byte{"/n.zip": data})
	o.faults = append(o.faults, half)
	if _, err := sources(t, nil).Fetch(context.Background(), image.Download{URL: o.URL + "/n.zip", SHA256: hexSum(data)}, nil); err != nil {
		t.Fatal(err)
	}
	if len(o.asked) != 2 || !strings.HasPrefix(o.asked[1], "/n.zip bytes=") || strings.HasSuffix(o.asked[1], "=0-") {
		t.Errorf("asked %q", o.asked)
	}
}

func TestWhatCannotBeFetchedSaysWhyAndLeavesNothing(t *testing.T) {
	data := zipOf(t, plugin...)
	always := func(fault func(http.ResponseWriter, *http.Request, []byte) bool) []func(http.ResponseWriter, *http.Request, []byte) bool {
		all := make([]func(http.ResponseWriter, *http.Request, []byte) bool, 100)
		for i := range all {
			all[i] = fault
		}
		return all
	}
	hang := func(w http.ResponseWriter, r *http.Request, data []byte) bool {
		_, _ = w.Write(data[:100])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
	endless := func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				break
			}
		}
		return true
	}
	for name, c := range map[string]struct {
		faults []func(http.ResponseWriter, *http.Request, []byte) bool
		sha256 string
		want   string
		hint   string
	}{
		"a wrong checksum":         {sha256: hexSum(nil), want: "is pinned", hint: "nothing of it was used"},
		"404":                      {faults: always(status(404)), want: "404 Not Found", hint: "published there no more"},
		"403":                      {faults: always(status(403)), want: "403 Forbidden"},
		"500 without end":          {faults: always(status(500)), want: "tried 4 times"},
		"redirects without end":    {faults: always(status(302, "Location", "/n.zip")), want: "redirected 10 times"},
		"a redirect to nowhere":    {faults: always(status(302, "Location", "ftp://example.com/n.zip")), want: "ftp"},
		"a server that falls mute": {faults: always(hang), want: "no byte for"},
		"a file without end":       {faults: always(endless), want: "has more than 1000000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, map[string][]byte{"/n.zip": data})
			o.faults = c.faults
			cache := t.TempDir()
			s := sources(t, func(o *source.Options) {
				o.CacheDir, o.Stall, o.Limits = cache, 50*time.Millisecond, source.DefaultLimits
				o.Limits.Packed = 1_000_000
			})
			if c.sha256 == "" {
				c.sha256 = hexSum(data)
			}
			_, err := s.Fetch(context.Background(), image.Download{URL: o.URL + "/n.zip?licence=s3cret", SHA256: c.sha256}, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(report.HintOf(err), c.hint) {
				t.Errorf("got %v (%s), want something of %q (%s)", err, report.HintOf(err), c.want, c.hint)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v shows the key of the address", err)
			}
			left, _ := filepath.Glob(filepath.Join(cache, "sha256", "*"))
			hidden, _ := filepath.Glob(filepath.Join(cache, "sha256", ".*"))
			if len(left)+len(hidden) > 0 {
				t.Errorf("left %v %v", left, hidden)
			}
		})
	}
}

// A disk, or another program, may change what was fetched long ago.
func TestADamagedCacheIsNoticedAndFetchedAgain(t *testing.T) {
	packed, archive := zipOf(t, plugin...), release(t, "6.8.3")
	o := newOrigin(t, map[string][]byte{"/n.zip": packed, "/wordpress-6.8.3.tar.gz": archive})
	cache := t.TempDir()
	for _, d := range []image.Download{
		{URL: o.URL + "/n.zip", SHA256: hexSum(packed)},
		{Name: "wordpress", Version: "6.8.3", URL: o.URL + "/wordpress-6.8.3.tar.gz", SHA256: hexSum(archive)},
	} {
		use := func(s *source.Sources) error {
			if d.Version != "" {
				r, err := s.Open(d)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, r)
				return errors.Join(err, r.Close())
			}
			_, _, closer, err := s.Zip("", d.SHA256)
			if err != nil {
				return err
			}
			return closer.Close()
		}
		fresh := func() *source.Sources {
			return sources(t, func(so *source.Options) { so.CacheDir, so.Releases = cache, o.URL })
		}
		s := fresh()
		if _, err := s.Fetch(context.Background(), d, nil); err != nil {
			t.Fatal(err)
		}
		if err := use(s); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(cache, "sha256", d.SHA256[:2], d.SHA256)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1 // of the same size
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*source.Sources{"the one that fetched it": s, "another": fresh()} {
			if err := use(s); err == nil || !strings.Contains(err.Error(), "the SHA-256 of "+path) || !strings.Contains(report.HintOf(err), "fetched anew") {
				t.Errorf("%s used %s: %v (%s)", name, d.URL, err, report.HintOf(err))
			}
		}
		o.asked = nil
		var said []string
		if _, err := s.Fetch(context.Background(), d, func(e report.Event) { said = append(said, e.Detail) }); err != nil || len(o.asked) != 1 || !strings.Contains(strings.Join(said, "\n"), "damaged") {
			t.Errorf("fetching again: %v, asked %v, said %q", err, o.asked, said)
		}
		if err := use(s); err != nil {
			t.Error(err)
		}
	}
}

func TestAStoppedFetchEndsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := newOrigin(t, nil)
	o.faults = append(o.faults, func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		cancel()
		<-r.Context().Done()
		return true
	})
	if _, err := sources(t, nil).Fetch(ctx, image.Download{URL: o.URL + "/n.zip", SHA256: hexSum(nil)}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNeverFromHTTPSToHTTP(t *testing.T) {
	plain := newOrigin(t, map[string][]byte{"/n.zip": []byte("x")})
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/n.zip", http.StatusFound))
	defer secure.Close()
	s := sources(t, func(o *source.Options) { o.Transport = secure.Client().Transport })
	_, err := s.Fetch(context.Background(), image.Download{URL: secure.URL + "/n.zip", SHA256: hexSum([]byte("x"))}, nil)
	if err == nil || !strings.Contains(err.Error(), "redirected from https to http") || len(plain.asked) > 0 {
		t.Errorf("got %v, asked %v", err, plain.asked)
	}
}

func TestAReadOnlyCacheIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOrigin(t, map[string][]byte{"/n.zip": []byte("x")})
	s := sources(t, func(o *source.Options) { o.CacheDir = file })
	_, err := s.Fetch(context.Background(), image.Download{URL: o.URL + "/n.zip", SHA256: hexSum([]byte("x"))}, nil)
	if err == nil || !strings.Contains(report.HintOf(err), "XDG_CACHE_HOME") || len(o.asked) > 0 {
		t.Errorf("got %v (%s), asked %v", err, report.HintOf(err), o.asked)
	}
}

func sha1Of(data []byte) []byte {
	s := sha1.Sum(data)
	return []byte(hex.EncodeToString(s[:]) + "\n")
}
