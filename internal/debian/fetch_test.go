package debian_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"platen/internal/debian"
	"platen/internal/debian/debiantest"
	"platen/internal/image"
	"platen/internal/report"
)

// noise is text that does not compress: a .deb of it is about as large.
func noise(size int) string {
	random := rand.New(rand.NewChaCha8([32]byte{7}))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

var big = pkg{Name: "big", Architecture: "amd64", Compression: "none", Files: []debiantest.File{{Path: "usr/share/big", Content: noise(200_000)}}}

// pinned returns an Archive of the fixture and what its packages are.
func pinned(t *testing.T, from *debiantest.Archive, roots []string, change ...func(*debian.Options)) (*debian.Archive, []image.Package) {
	t.Helper()
	a := open(t, from, change...)
	packages, err := a.Resolve(context.Background(), "amd64", roots, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a, packages
}

func in(dir string) func(*debian.Options) { return func(o *debian.Options) { o.CacheDir = dir } }

func blob(dir string, p image.Package) string {
	return filepath.Join(dir, "sha256", p.SHA256[:2], p.SHA256)
}

func debRequests(from *debiantest.Archive) int {
	n := 0
	for _, r := range from.Requests() {
		if strings.HasSuffix(r, ".deb") {
			n++
		}
	}
	return n
}

func TestFetch(t *testing.T) {
	from := debiantest.New(t, big, pkg{Name: "a"}, pkg{Name: "b", Archive: debiantest.Security}, pkg{Name: "c", Archive: debiantest.Updates})
	a, packages := pinned(t, from, []string{"a", "b", "c", "big"})
	var mu sync.Mutex
	var events []report.Event
	sink := report.Sink(func(e report.Event) { mu.Lock(); events = append(events, e); mu.Unlock() })
	if err := a.Fetch(context.Background(), packages, sink); err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1]
	whole := events[len(events)-2]
	if last.Step != "packages" || last.State != report.Done || whole.Current != whole.Total || whole.Total < 200_000 {
		t.Errorf("last events: %+v, %+v", whole, last)
	}
	for i := 1; i < len(events)-1; i++ {
		if events[i].Current < events[i-1].Current {
			t.Errorf("progress went back: %+v", events)
		}
	}

	asked := len(from.Requests())
	events = nil
	if err := a.Fetch(context.Background(), append(packages, packages...), sink); err != nil {
		t.Fatal(err)
	}
	if len(from.Requests()) != asked || len(events) != 1 || events[0].State != report.Same {
		t.Errorf("the second time: %d requests, events %+v", len(from.Requests())-asked, events)
	}
}

func TestFetchGetsOverTrouble(t *testing.T) {
	for name, fault := range map[string]debiantest.Fault{
		"server errors":           {Path: ".deb", Status: 502, Times: 3},
		"dropped connections":     {Path: ".deb", Cut: 50_000, Times: 3},
		"many small pieces":       {Path: ".deb", Cut: 30_000, Times: 6},
		"a silent connection":     {Path: ".deb", Stall: true, Times: 1},
		"one bad byte, once":      {Path: ".deb", Corrupt: true, Times: 1},
		"dropped by the mirror":   {Path: "pool/", Status: 404},
		"truncated at the mirror": {Path: "pool/", Keep: 1000},
		"a mirror that is down":   {Path: "pool/", Status: 503},
		"a mirror that refuses":   {Path: "pool/", Status: 403},
		"a mirror that hangs up":  {Path: "pool/", Cut: 1, NoRange: true},
		"a mirror that is silent": {Path: "pool/", Stall: true, NoRange: true},
	} {
		t.Run(name, func(t *testing.T) {
			from := debiantest.New(t, big)
			a, packages := pinned(t, from, []string{"big"}, func(o *debian.Options) { o.Stall = 50 * time.Millisecond })
			from.Fault(fault)
			if err := a.Fetch(context.Background(), packages, nil); err != nil {
				t.Fatal(err)
			}
			if !holds(t, a, packages[0], "./usr/share/big") {
				t.Error("the file is not in it")
			}
		})
	}
}

func TestFetchFails(t *testing.T) {
	for name, tt := range map[string]struct {
		fault debiantest.Fault
		want  []string
	}{
		"server errors": {debiantest.Fault{Path: "pool/", Status: 500}, []string{"big 1.0-1", "answered 500", "tried 4 times", "a test", "/snapshot/"}},
		"connections that always drop": {debiantest.Fault{Path: "pool/", Cut: 50_000, NoRange: true},
			[]string{"big 1.0-1", "pool/main/b/big", "image.mirror"}},
		"truncated":        {debiantest.Fault{Path: "pool/", Keep: 1000}, []string{"it has 1000 bytes", "signed index says", "nothing of it was used"}},
		"changed":          {debiantest.Fault{Path: "pool/", Corrupt: true}, []string{"its SHA256 is", "signed index says", "nothing of it was used"}},
		"no longer there":  {debiantest.Fault{Path: "pool/", Status: 404}, []string{"404", "platen image update", "neither the mirror (from a test) nor the snapshot service"}},
		"nowhere any more": {debiantest.Fault{Path: "pool/", Status: 410}, []string{"410", "platen image update"}},
	} {
		t.Run(name, func(t *testing.T) {
			from := debiantest.New(t, big)
			dir := t.TempDir()
			a, packages := pinned(t, from, []string{"big"}, in(dir))
			from.Forget()
			from.Fault(tt.fault)
			err := a.Fetch(context.Background(), packages, nil)
			mustSay(t, err, tt.want...)
			if _, err := os.Stat(blob(dir, packages[0])); err == nil {
				t.Error("there is a file under the final name")
			}
			// Nothing bad stays behind: with a sound mirror it goes through.
			from.Heal()
			if err := a.Fetch(context.Background(), packages, nil); err != nil {
				t.Error("after healing:", err)
			}
		})
	}
}

// The one may have what the other cannot give: an error names both, and what to do about it.
func TestFetchFailsAtMirrorAndSnapshotService(t *testing.T) {
	for name, tt := range map[string]struct {
		mirror, snapshot int
		want             []string
	}{
		"both are down":         {503, 502, []string{"/pool/main/b/big/", "answered 503", "/snapshot/", "answered 502", "check the network"}},
		"only one has answered": {404, 502, []string{"/pool/main/b/big/", "answered 404", "answered 502", "gave no answer: try again", "platen image update"}},
	} {
		t.Run(name, func(t *testing.T) {
			from := debiantest.New(t, big)
			a, packages := pinned(t, from, []string{"big"})
			from.Fault(debiantest.Fault{Path: "/pool/", Status: tt.mirror})
			from.Fault(debiantest.Fault{Path: "/snapshot/", Status: tt.snapshot})
			mustSay(t, a.Fetch(context.Background(), packages, nil), tt.want...)
		})
	}
}

func TestFetchFromASnapshotServiceWhenNoMirrorListens(t *testing.T) {
	from := debiantest.New(t, big)
	_, packages := pinned(t, from, []string{"big"})
	deaf := httptest.NewServer(nil)
	deaf.Close()
	a := open(t, from, func(o *debian.Options) { o.Mirror.Main, o.Mirror.Security = deaf.URL, deaf.URL })
	if err := a.Fetch(context.Background(), packages, nil); err != nil {
		t.Fatal(err)
	}
	if !holds(t, a, packages[0], "./usr/share/big") {
		t.Error("the file is not in it")
	}
}

func TestFetchGoesOnWhereItEnded(t *testing.T) {
	from := debiantest.New(t, big)
	dir := t.TempDir()
	a, packages := pinned(t, from, []string{"big"}, in(dir))
	from.Forget()
	from.Fault(debiantest.Fault{Path: ".deb", Cut: 150_000, Times: 1})
	from.Fault(debiantest.Fault{Path: ".deb", Status: 500})
	if err := a.Fetch(context.Background(), packages, nil); err == nil {
		t.Fatal("no error")
	}
	part := blob(dir, packages[0]) + ".part"
	if info, err := os.Stat(part); err != nil || info.Size() != 150_000 {
		t.Fatalf("what was fetched is not kept: %v %v", info, err)
	}
	from.Heal()
	// Everything before the end is cut off: only a request for the rest can succeed.
	from.Fault(debiantest.Fault{Path: ".deb", Cut: int(packages[0].Size) - 140_000})
	if err := open(t, from, in(dir)).Fetch(context.Background(), packages, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(part); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the .part file is still there: %v", err)
	}
}

// What an earlier run left may be damaged, too long, or of a server that knows no ranges.
func TestFetchOverLeftovers(t *testing.T) {
	for name, left := range map[string]string{
		"damaged": noise(1000), "damaged and whole in size": noise(int(200_000)), "too long": noise(900_000),
	} {
		for _, ranges := range []bool{true, false} {
			from := debiantest.New(t, big)
			dir := t.TempDir()
			a, packages := pinned(t, from, []string{"big"}, in(dir))
			if !ranges {
				from.Fault(debiantest.Fault{Path: ".deb", NoRange: true})
			}
			path := blob(dir, packages[0])
			if name == "damaged and whole in size" {
				left = noise(int(packages[0].Size))
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".part", []byte(left), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := a.Fetch(context.Background(), packages, nil); err != nil {
				t.Errorf("%s, ranges %v: %v", name, ranges, err)
			}
		}
	}
}

// A disk, or another program, may change what was fetched long ago.
func TestADamagedCacheIsNoticedAndFetchedAgain(t *testing.T) {
	from := debiantest.New(t, big)
	dir := t.TempDir()
	a, packages := pinned(t, from, []string{"big"}, in(dir))
	if err := a.Fetch(context.Background(), packages, nil); err != nil {
		t.Fatal(err)
	}
	path := blob(dir, packages[0])
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1 // of the same size
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]*debian.Archive{"the one that fetched it": a, "another": open(t, from, in(dir))} {
		_, err := a.Open(packages[0])
		mustSay(t, err, "big 1.0-1", "its SHA256 is", path, "fetched anew")
		_, _, err = a.Notes(packages[0], "0")
		if err == nil {
			t.Errorf("%s: its changelog was read", name)
		}
	}
	var said []string
	sink := report.Sink(func(e report.Event) { said = append(said, e.Detail) })
	if err := a.Fetch(context.Background(), packages, sink); err != nil {
		t.Fatal(err)
	}
	if n := debRequests(from); n != 2 || !strings.Contains(strings.Join(said, "\n"), "is damaged") {
		t.Errorf("fetched %d times, said %q", n, said)
	}
	if !holds(t, a, packages[0], "./usr/share/big") {
		t.Error("the file is not in it")
	}
}

// A busy mirror says when to come again; one that asks for an hour is not waited for that long.
func TestFetchWaitsAsLongAsItIsAskedTo(t *testing.T) {
	for _, tt := range []struct {
		status int
		after  string
		want   []time.Duration
	}{
		{429, "7", []time.Duration{7 * time.Second, 7 * time.Second}},
		{503, "3600", []time.Duration{time.Minute, time.Minute}},
		{503, "0", []time.Duration{time.Millisecond, 2 * time.Millisecond}},
		{503, "", []time.Duration{time.Millisecond, 2 * time.Millisecond}},
	} {
		for _, path := range []string{".deb", "/InRelease"} {
			from := debiantest.New(t, big)
			var mu sync.Mutex
			var waits []time.Duration
			_, packages := pinned(t, from, []string{"big"})
			a := open(t, from, func(o *debian.Options) {
				o.Wait = func(_ context.Context, d time.Duration) error {
					mu.Lock()
					defer mu.Unlock()
					waits = append(waits, d)
					return nil
				}
			})
			do := func() error { return a.Fetch(context.Background(), packages, nil) }
			if path == "/InRelease" {
				path = "/trixie/InRelease" // the others are asked for at the same time
				do = func() error {
					_, err := a.Resolve(context.Background(), "amd64", []string{"big"}, nil, nil, nil)
					return err
				}
			}
			from.Fault(debiantest.Fault{Path: path, Status: tt.status, RetryAfter: tt.after, Times: 2})
			if err := do(); err != nil || !slices.Equal(waits, tt.want) {
				t.Errorf("%d with Retry-After %q to %s: waited %v (%v), want %v", tt.status, tt.after, path, waits, err, tt.want)
			}
		}
	}
}

// Two processes differ from two Archives only in that locks are by open file, as they are here too.
func TestTwoFetchAtOnce(t *testing.T) {
	from := debiantest.New(t, big)
	dir := t.TempDir()
	first, packages := pinned(t, from, []string{"big"}, in(dir))
	second := open(t, from, in(dir))
	release := make(chan struct{})
	from.Fault(debiantest.Fault{Path: ".deb", Hold: release})
	results := make(chan error, 2)
	go func() { results <- first.Fetch(context.Background(), packages, nil) }()
	go func() { results <- second.Fetch(context.Background(), packages, nil) }()
	close(release)
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := debRequests(from); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	if !holds(t, first, packages[0], "./usr/share/big") {
		t.Error("the file is not in it")
	}
}

func TestFetchStops(t *testing.T) {
	from := debiantest.New(t, big, pkg{Name: "a"})
	a, packages := pinned(t, from, []string{"big", "a"})
	ctx, cancel := context.WithCancel(context.Background())
	from.Fault(debiantest.Fault{Path: "/big/", Stall: true})
	sink := report.Sink(func(e report.Event) {
		if e.Current > 50_000 {
			cancel()
		}
	})
	if err := a.Fetch(ctx, packages, sink); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFetchWithFullDisk(t *testing.T) {
	from := debiantest.New(t, big)
	dir := t.TempDir()
	a, packages := pinned(t, from, []string{"big"}, in(dir))
	path := blob(dir, packages[0])
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// The kernel's own full disk.
	if err := os.Symlink("/dev/full", path+".part"); err != nil {
		t.Fatal(err)
	}
	err := a.Fetch(context.Background(), packages, nil)
	mustSay(t, err, "big 1.0-1", "no space left on device", "full", "XDG_CACHE_HOME")
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a file under the final name")
	}
}

func TestFetchWithoutPlace(t *testing.T) {
	from := debiantest.New(t, big)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, packages := pinned(t, from, []string{"big"})
	err := open(t, from, in(filepath.Join(file, "cache"))).Fetch(context.Background(), packages, nil)
	mustSay(t, err, "write the package cache", file, "writable", "XDG_CACHE_HOME")
	_, err = open(t, from, in(filepath.Join(file, "cache"))).Resolve(context.Background(), "amd64", []string{"big"}, nil, nil, nil)
	mustSay(t, err, "write the package cache", "XDG_CACHE_HOME")
}

// A lock file may come from anywhere.
func TestFetchRefusesBadPins(t *testing.T) {
	from := debiantest.New(t, big)
	a, packages := pinned(t, from, []string{"big"})
	for name, spoil := range map[string]func(*image.Package){
		"no SHA256":     func(p *image.Package) { p.SHA256 = "../../../etc/passwd" },
		"upwards":       func(p *image.Package) { p.Filename = "pool/../../secret" },
		"another query": func(p *image.Package) { p.Filename += "?x" },
		"no size":       func(p *image.Package) { p.Size = 0 },
		"no name":       func(p *image.Package) { p.Name = "" },
	} {
		p := packages[0]
		spoil(&p)
		t.Run(name, func(t *testing.T) {
			mustSay(t, a.Fetch(context.Background(), []image.Package{p}, nil), "platen.lock")
			if _, err := a.Open(p); err == nil {
				t.Error("it was opened")
			}
		})
	}
}

// After a point release a security update is in the main archive alone; later nowhere but at the
// snapshot service.
func TestFetchOfPackagesThatMoved(t *testing.T) {
	from := debiantest.New(t, pkg{Name: "a", Version: "1:1+sec", Archive: debiantest.Security})
	_, packages := pinned(t, from, []string{"a"})
	from.Drop("a", "1:1+sec")
	if err := open(t, from).Fetch(context.Background(), packages, nil); err != nil {
		t.Errorf("from the snapshot service: %v", err)
	}
	from.Forget()
	from.Add(pkg{Name: "a", Version: "1:1+sec"})
	if err := open(t, from).Fetch(context.Background(), packages, nil); err != nil {
		t.Errorf("from main: %v", err)
	}
}

func TestOpen(t *testing.T) {
	for _, compression := range []string{"", "gz", "zst", "none"} {
		from := debiantest.New(t, pkg{Name: "a", Compression: compression, Files: []debiantest.File{
			{Path: "usr/bin/a", Content: "odd", Mode: 0o755},
			{Path: "usr/bin/b", HardLink: "usr/bin/a"},
			{Path: "usr/lib/c", Link: "../bin/a"},
		}})
		a, packages := pinned(t, from, []string{"a"})
		if _, err := a.Open(packages[0]); err == nil || !strings.Contains(err.Error(), "not fetched") {
			t.Errorf("before it was fetched: %v", err)
		}
		if err := a.Fetch(context.Background(), packages, nil); err != nil {
			t.Fatal(err)
		}
		data, err := a.Open(packages[0])
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		files := tar.NewReader(data)
		for {
			h, err := files.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, h.Name+">"+h.Linkname)
		}
		if err := data.Close(); err != nil {
			t.Error(err)
		}
		want := "./> ./usr/> ./usr/bin/> ./usr/bin/a> ./usr/bin/b>./usr/bin/a ./usr/lib/> ./usr/lib/c>../bin/a"
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q: got %s, want %s", compression, got, want)
		}
	}
}

func TestOpenChecksControl(t *testing.T) {
	from := debiantest.New(t, pkg{Name: "a", Claim: "0.9-1"})
	a, packages := pinned(t, from, []string{"a"})
	if err := a.Fetch(context.Background(), packages, nil); err != nil {
		t.Fatal(err)
	}
	_, err := a.Open(packages[0])
	mustSay(t, err, "a 1.0-1", `"0.9-1"`)
}

// Their hashes are right: it is the archive that has them like this.
func TestBrokenDebs(t *testing.T) {
	content := []debiantest.File{{Path: "usr/share/doc/a/text", Content: noise(5000)}, {Path: "usr/share/doc/a/more", Content: noise(9000)}}
	for broken, want := range map[debiantest.Fracture]string{
		debiantest.BrokenMagic:  "it is not a Debian package",
		debiantest.BrokenAr:     "broken ar header",
		debiantest.NoData:       "it has no data.tar",
		debiantest.NoControl:    `its control file says "" ""`,
		debiantest.EmptyControl: "has no control file",
		debiantest.BrokenTar:    "invalid tar header",
		debiantest.CutTar:       "unexpected EOF",
		debiantest.CutDeb:       "bytes before its member does: unexpected EOF",
	} {
		for _, compression := range []string{"", "gz", "zst", "none"} {
			t.Run(string(broken)+" "+compression, func(t *testing.T) {
				from := debiantest.New(t, pkg{Name: "a", Compression: compression, Files: content, Broken: broken})
				a, packages := pinned(t, from, []string{"a"})
				if err := a.Fetch(context.Background(), packages, nil); err != nil {
					t.Fatal(err)
				}
				err := readAll(a, packages[0])
				if err == nil {
					t.Fatal("it was read")
				}
				text := err.Error() + report.HintOf(err)
				if !strings.Contains(text, want) {
					t.Errorf("got %q, want something of %q", text, want)
				}
				if broken == debiantest.BrokenTar || broken == debiantest.CutTar { // not seen before the tar is read
					return
				}
				mustSay(t, err, "open a 1.0-1", "the archive itself has it like this", "platen image update", "image.mirror")
			})
		}
	}
}

// readAll goes through all files of a package.
func readAll(a *debian.Archive, p image.Package) (err error) {
	data, err := a.Open(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	for files := tar.NewReader(data); ; {
		if _, err := files.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, files); err != nil {
			return err
		}
	}
}

// A pinned version that the index has no more is read for what it needs.
func TestAKeptPackageThatIsBrokenIsNamed(t *testing.T) {
	for _, broken := range []debiantest.Fracture{debiantest.BrokenMagic, debiantest.NoControl, debiantest.EmptyControl} {
		from := debiantest.New(t, pkg{Name: "a", Broken: broken})
		a, old := pinned(t, from, []string{"a"})
		from.Add(pkg{Name: "a", Version: "2"})
		_, err := open(t, from).Resolve(context.Background(), "amd64", []string{"a"}, nil, old, nil)
		mustSay(t, err, "open a 1.0-1", "platen image update")
		if err := a.Fetch(context.Background(), old, nil); err != nil {
			t.Error(err)
		}
	}
}
