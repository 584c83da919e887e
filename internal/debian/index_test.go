package debian_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"platen/internal/debian"
	"platen/internal/debian/debiantest"
	"platen/internal/report"
)

// open makes an Archive of a fixture with a cache of its own; change alters its options.
func open(t *testing.T, from *debiantest.Archive, change ...func(*debian.Options)) *debian.Archive {
	t.Helper()
	o := debian.Options{
		Mirror:    debian.Mirror{Main: from.URL, Security: from.SecurityURL, From: "a test"},
		CacheDir:  filepath.Join(t.TempDir(), "cache"),
		Keyring:   from.Keyring,
		RetryWait: time.Millisecond,
		Snapshot:  from.SnapshotURL,
	}
	for _, c := range change {
		c(&o)
	}
	a, err := debian.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// mustSay checks an error's text and that it tells what to do.
func mustSay(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error() + "\n" + report.HintOf(err)
	if report.HintOf(err) == "" {
		t.Errorf("no hint with %q", err)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("error does not say %q:\n%s", w, text)
		}
	}
}

func TestBadIndexes(t *testing.T) {
	now := time.Now()
	flip := func(data []byte) []byte {
		data = bytes.Clone(data)
		data[len(data)/2] ^= 1
		return data
	}
	tests := []struct {
		name   string
		damage func(*debiantest.Archive)
		want   []string
	}{
		{"another key", func(a *debiantest.Archive) { a.ReplaceKey() },
			[]string{"/InRelease", "not in the keyring", "PLATEN_DEBIAN_KEYRING"}},
		{"changed after signing", func(a *debiantest.Archive) {
			a.Edit("/trixie/InRelease", func(data []byte) []byte {
				return bytes.Replace(data, []byte("Components: main"), []byte("Components: mine"), 1)
			})
		}, []string{"/dists/trixie/InRelease", "does not hold", "nothing of it was used"}},
		{"not signed", func(a *debiantest.Archive) {
			a.Edit("/trixie/InRelease", func([]byte) []byte { return []byte("<html>Please log in to the network</html>") })
		}, []string{"not a clear-signed message"}},
		{"expired", func(a *debiantest.Archive) { a.SetDates(now.Add(-9*24*time.Hour), now.Add(-2*24*time.Hour)) },
			[]string{"valid until", "PLATEN_DEBIAN_MIRROR"}},
		{"of the future", func(a *debiantest.Archive) { a.SetDates(now.Add(26*time.Hour), now.Add(200*time.Hour)) },
			[]string{"in the future", "clock"}},
		{"of another suite", func(a *debiantest.Archive) { a.SetCodename("bookworm") },
			[]string{"index of bookworm", "want trixie"}},
		{"no such suite", func(a *debiantest.Archive) { a.Fault(debiantest.Fault{Path: "trixie-security/InRelease", Status: 404}) },
			[]string{"trixie-security", "404", "image.mirror"}},
		{"packages changed", func(a *debiantest.Archive) { a.Fault(debiantest.Fault{Path: "binary-amd64", Corrupt: true}) },
			[]string{"SHA256", "signed index says", "nothing of it was used"}},
		{"packages truncated", func(a *debiantest.Archive) { a.Fault(debiantest.Fault{Path: "binary-amd64", Keep: 20}) },
			[]string{"20 bytes", "signed index says"}},
		{"packages missing", func(a *debiantest.Archive) { a.Fault(debiantest.Fault{Path: "binary-amd64", Status: 404}) },
			[]string{"404", "again in a few minutes"}},
		{"server errors", func(a *debiantest.Archive) { a.Fault(debiantest.Fault{Path: "InRelease", Status: 503}) },
			[]string{"503", "tried 4 times", "a test"}},
		{"a bit flipped in the signature", func(a *debiantest.Archive) { a.Edit("-security/InRelease", flip) },
			[]string{"trixie-security/InRelease"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from := debiantest.New(t, debiantest.Package{Name: "nginx"}, debiantest.Package{Name: "extra", Archive: debiantest.Security})
			a := open(t, from)
			tt.damage(from)
			_, err := a.Resolve(context.Background(), "amd64", []string{"nginx"}, nil, nil, nil)
			mustSay(t, err, tt.want...)
		})
	}
}

func TestUnreachableMirror(t *testing.T) {
	from := debiantest.New(t)
	a := open(t, from, func(o *debian.Options) {
		o.Mirror = debian.Mirror{Main: "http://127.0.0.1:1/debian", From: "/etc/apt/sources.list"}
	})
	_, err := a.Resolve(context.Background(), "amd64", []string{"nginx"}, nil, nil, nil)
	mustSay(t, err, "127.0.0.1:1", "connection refused", "/etc/apt/sources.list", "image.mirror")
}

func TestKeysEnd(t *testing.T) {
	from := debiantest.New(t, debiantest.Package{Name: "nginx"})
	from.ExpireKey()
	a := open(t, from)
	_, err := a.Resolve(context.Background(), "amd64", []string{"nginx"}, nil, nil, nil)
	mustSay(t, err, "has expired")
}

func TestDebiansKeysAreTheDefault(t *testing.T) {
	from := debiantest.New(t, debiantest.Package{Name: "nginx"})
	a := open(t, from, func(o *debian.Options) { o.Keyring = nil })
	_, err := a.Resolve(context.Background(), "amd64", []string{"nginx"}, nil, nil, nil)
	mustSay(t, err, "not in the keyring")
}

// Main has no Valid-Until between point releases.
func TestIndexWithoutEnd(t *testing.T) {
	from := debiantest.New(t, debiantest.Package{Name: "nginx"})
	from.SetDates(time.Now().Add(-300*24*time.Hour), time.Time{})
	a := open(t, from)
	_, err := a.Resolve(context.Background(), "amd64", []string{"nginx"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func TestIndexIsCachedByContent(t *testing.T) {
	from := debiantest.New(t, debiantest.Package{Name: "nginx"})
	dir := t.TempDir()
	at := func(o *debian.Options) { o.CacheDir = dir }
	resolve := func() error {
		_, err := open(t, from, at).Resolve(context.Background(), "amd64", []string{"nginx"}, nil, nil, nil)
		return err
	}
	if err := resolve(); err != nil {
		t.Fatal(err)
	}
	asked := len(from.Requests())
	if err := resolve(); err != nil {
		t.Fatal(err)
	}
	again := from.Requests()[asked:]
	if len(again) != 3 {
		t.Errorf("asked for %v, want the three InRelease files", again)
	}

	// A damaged cache is made anew.
	cached, err := filepath.Glob(filepath.Join(dir, "index", "*.zst"))
	if err != nil || len(cached) == 0 {
		t.Fatal(cached, err)
	}
	for _, path := range cached {
		if err := os.WriteFile(path, []byte("torn"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := resolve(); err != nil {
		t.Error(err)
	}
}

// A mirror without by-hash, and one that is a folder.
func TestOtherKindsOfMirror(t *testing.T) {
	from := debiantest.New(t, debiantest.Package{Name: "nginx"})
	from.Fault(debiantest.Fault{Path: "by-hash", Status: 404})
	if _, err := open(t, from).Resolve(context.Background(), "arm64", []string{"nginx"}, nil, nil, nil); err != nil {
		t.Errorf("without by-hash: %v", err)
	}

	dir := from.Write(t.TempDir())
	mirror, err := debian.FindMirror("file://" + dir + "/debian")
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, from, func(o *debian.Options) { o.Mirror = mirror })
	packages, err := a.Resolve(context.Background(), "amd64", []string{"nginx"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Fetch(context.Background(), packages, nil); err != nil {
		t.Fatal(err)
	}
}
