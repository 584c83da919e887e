package engine_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/site"
)

// archive has one file a package; the version is in it.
type archive struct {
	versions map[string]string // by name, or name and architecture
	lacks    string            // an architecture that it has nothing of
	mu       sync.Mutex
	resolved int
	fetched  map[string]bool
}

func (a *archive) deb(name, version, arch string) (image.Package, []byte) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range []struct{ name, text string }{{"usr/share/" + name, version + arch}, {"usr/share/doc/" + name + "/copyright", "©"}} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.text))}); err != nil {
			panic(err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	sum := sha256.Sum256(out.Bytes())
	return image.Package{Name: name, Version: version, Architecture: arch, SHA256: hex.EncodeToString(sum[:]), Size: int64(out.Len()), Filename: "pool/main/" + name, Archive: "main"}, out.Bytes()
}

func (a *archive) Resolve(_ context.Context, arch string, roots, _ []string, keep []image.Package, _ report.Sink) ([]image.Package, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.resolved++
	if a.lacks == arch {
		return nil, errors.New("the index lists no packages for " + arch)
	}
	var all []image.Package
	for _, name := range append([]string{"libc6"}, roots...) { // everything depends on it
		version := cmp.Or(a.versions[name+" "+arch], a.versions[name])
		if version == "" {
			return nil, errors.New("there is no package " + name)
		}
		p, _ := a.deb(name, version, arch)
		if i := slices.IndexFunc(keep, func(k image.Package) bool { return k.Name == name }); i >= 0 {
			p = keep[i]
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(x, y image.Package) int { return strings.Compare(x.Name, y.Name) })
	return slices.CompactFunc(all, func(x, y image.Package) bool { return x.Name == y.Name }), nil
}

func (a *archive) Notes(p image.Package, since string) (image.Notes, bool, error) {
	if p.Name != "libc6" {
		return image.Notes{}, false, nil
	}
	return image.Notes{Security: true, References: []string{"CVE-2026-" + since + "00" + p.Version}}, true, nil
}

func (a *archive) Fetch(_ context.Context, packages []image.Package, _ report.Sink) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range packages {
		a.fetched[p.Name+"="+p.Version] = true
	}
	return nil
}

func (a *archive) Open(p image.Package) (io.ReadCloser, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.fetched[p.Name+"="+p.Version] {
		return nil, errors.New(p.Name + " was not fetched")
	}
	_, data := a.deb(p.Name, p.Version, p.Architecture)
	return io.NopCloser(bytes.NewReader(data)), nil
}

func builder(t *testing.T, a *archive) engine.Builder {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range engine.ImageNames() {
		base, layer := "", "layers: [{name: system, packages: [libc6, "+name+"], keep: [usr/share/*]}]\n"
		if name == "jobs" {
			base = "base: wordpress\n"
		}
		if name == "wordpress" {
			layer = strings.Replace(layer, "{name", "{extra: true, name", 1)
		}
		files[name+"/image.yaml"] = &fstest.MapFile{Data: []byte(base + layer + "config: {entrypoint: [/x]}\n")}
		a.versions[name] = "1"
	}
	return engine.Builder{Rootfs: files, Blobs: newBlobs(), Archive: func(string) (engine.Archive, error) { return a, nil }}
}

// fsMap is the rootfs of a test, which may change it.
type fsMap = fstest.MapFS

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func newArchive() *archive {
	return &archive{versions: map[string]string{"libc6": "1", "php-soap": "1"}, fetched: map[string]bool{}}
}

func TestBuildPinsThenNeedsNoArchive(t *testing.T) {
	a := newArchive()
	b := builder(t, a)
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}, Spec: site.Spec{WordPress: site.WordPress{Content: "shared"}}}
	first := mustBuild(t, b, r)
	if len(first) != len(engine.ImageNames()) || first[2].Name != "jobs" || len(first[2].Layers) != len(first[1].Layers)+1 {
		t.Fatalf("built %v", first)
	}
	lock, err := os.ReadFile(filepath.Join(r.Folder, engine.LockName))
	if err != nil {
		t.Fatal(err)
	}

	a.versions["libc6"] = "2" // the archive moves on, the site does not
	b.Archive = func(string) (engine.Archive, error) { return nil, errors.New("no network") }
	for i, img := range mustBuild(t, b, r) {
		if img.Digest != first[i].Digest {
			t.Errorf("%s became %s", first[i].Digest, img.Digest)
		}
	}
	again, err := os.ReadFile(filepath.Join(r.Folder, engine.LockName))
	if err != nil || !bytes.Equal(lock, again) {
		t.Errorf("the lock was written anew (%v):\n%s", err, again)
	}
}

// An environment on Graviton was built for the machine that builds.
func TestTheTargetsPlatformIsBuilt(t *testing.T) {
	for instance, want := range map[string]string{
		"t4g.medium": "linux/arm64", "m7g.large": "linux/arm64", "c7gn.xlarge": "linux/arm64", "a1.large": "linux/arm64",
		"t3.small": "linux/amd64", "m6i.large": "linux/amd64", "": "linux/" + runtime.GOARCH,
	} {
		r := engine.BuildRequest{Folder: t.TempDir()}
		if instance != "" {
			r.Spec = site.Spec{Target: site.AWS, AWS: &site.AWSSpec{Hosts: site.Hosts{Type: instance}}}
		}
		for _, img := range mustBuild(t, builder(t, newArchive()), r) {
			config, err := img.OCI.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if img.Platform != want || "linux/"+config.Architecture != want {
				t.Errorf("%q: %s is for %s (%s), want %s", instance, img.Name, img.Platform, config.Architecture, want)
			}
		}
	}
}

func TestUpdateTellsWhatChangedAndWhy(t *testing.T) {
	a := newArchive()
	b := builder(t, a)
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}}
	mustBuild(t, b, r)
	a.versions["libc6"], a.versions["haproxy"] = "2", "3"
	r.Update = true
	var said []string
	r.Changed = func(changes image.LockChanges) {
		for _, c := range changes.Packages {
			said = append(said, c.String())
		}
	}
	images := mustBuild(t, b, r)
	if want := []string{
		"libc6 1 → 2 (amd64), security: CVE-2026-1002", "libc6 1 → 2 (arm64), security: CVE-2026-1002",
		"haproxy 1 → 3 (amd64)", "haproxy 1 → 3 (arm64)",
	}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	if !slices.Contains(images[0].Packages, "libc6=2") {
		t.Errorf("nginx holds %v", images[0].Packages)
	}
}

// A package may be built again for one architecture alone; its changelog says why, whether the images
// of that were made last, first or not at all.
func TestUpdateReadsTheChangelogsOfAllArchitectures(t *testing.T) {
	for _, platforms := range [][]string{{"linux/arm64", "linux/amd64"}, {"linux/amd64", "linux/arm64"}, {"linux/amd64"}} {
		a := newArchive()
		b := builder(t, a)
		r := engine.BuildRequest{Folder: t.TempDir(), Platforms: platforms}
		mustBuild(t, b, r)
		a.versions["libc6 arm64"] = "2"
		r.Update = true
		var said []string
		r.Changed = func(changes image.LockChanges) {
			for _, c := range changes.Packages {
				said = append(said, c.String())
			}
		}
		mustBuild(t, b, r)
		if want := []string{"libc6 1 → 2 (arm64), security: CVE-2026-1002"}; !slices.Equal(said, want) {
			t.Errorf("%v: said %q, want %q", platforms, said, want)
		}
	}
}

// What changed is told with the images. Where they cannot be made nobody is told, so nothing changes.
func TestAnUpdateThatFailsLeavesTheLock(t *testing.T) {
	a := newArchive()
	b := builder(t, a)
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}}
	mustBuild(t, b, r)
	name := filepath.Join(r.Folder, engine.LockName)
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	a.versions["libc6"] = "2"
	b.Archive = func(string) (engine.Archive, error) { return broken{a}, nil }
	r.Update, r.Changed = true, func(image.LockChanges) { t.Error("it is told of what did not happen") }
	_, err = b.Build(context.Background(), r, nil)
	if err == nil || !strings.Contains(err.Error(), "no data.tar") || !strings.Contains(err.Error(), "platen.lock is as it was") {
		t.Errorf("got %v", err)
	}
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the lock is (%v):\n%s", err, after)
	}
}

// broken resolves, and has nothing that can be opened.
type broken struct{ *archive }

func (broken) Open(image.Package) (io.ReadCloser, error) { return nil, errors.New("no data.tar") }

func TestLockIsForBothArchitectures(t *testing.T) {
	a := newArchive()
	b := builder(t, a)
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}}
	mustBuild(t, b, r)
	b.Archive = func(string) (engine.Archive, error) { return a, errors.New("no network") }
	r.Platforms, r.Locked = []string{"linux/arm64"}, true
	if _, err := b.Build(context.Background(), r, nil); err == nil || strings.Contains(err.Error(), "does not pin") {
		t.Errorf("arm64 is not pinned: %v", err)
	}

	// A mirror that has one architecture alone builds that.
	a.lacks = "arm64"
	b.Archive = func(string) (engine.Archive, error) { return a, nil }
	var said []string
	r = engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}}
	if _, err := b.Build(context.Background(), r, func(e report.Event) {
		if e.Event == "log" {
			said = append(said, e.Detail)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "does not pin packages of arm64: image nginx: the index lists no") {
		t.Errorf("said %q", said)
	}
}

func TestAnotherListOfPackagesKeepsTheOthersVersions(t *testing.T) {
	a := newArchive()
	b := builder(t, a)
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}}
	mustBuild(t, b, r)
	a.versions["libc6"] = "2"
	r.Spec.Image.Packages = []string{"php-soap"}
	if got := mustBuild(t, b, r)[1].Packages; !slices.Equal(got, []string{"libc6=1", "php-soap=1", "wordpress=1"}) {
		t.Errorf("wordpress holds %v", got)
	}
}

func TestLocksEditedByHandNameTheLine(t *testing.T) {
	b := builder(t, newArchive())
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}}
	mustBuild(t, b, r)
	name := filepath.Join(r.Folder, engine.LockName)
	lock, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := bytes.Cut(lock, []byte("arch: amd64"))
	line := fmt.Sprintf("line %d: amd64: ", bytes.Count(before, []byte("\n"))+1)
	if err := os.WriteFile(name, bytes.Replace(lock, []byte("arch: amd64"), []byte("arch: riscv64"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = b.Build(context.Background(), r, nil)
	if err == nil || !strings.Contains(err.Error(), line) || !strings.Contains(err.Error(), name) || !strings.Contains(report.HintOf(err), "image update") {
		t.Errorf("got %v (%s), want %s", err, report.HintOf(err), line)
	}
}

// An image would be built without what was taken away, and nobody would be told.
func TestPinsThatWereTakenAwayAreMissed(t *testing.T) {
	b := builder(t, newArchive())
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}, Spec: site.Spec{Image: site.Image{Packages: []string{"php-soap"}}}}
	mustBuild(t, b, r)
	name := filepath.Join(r.Folder, engine.LockName)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, pin, want string }{
		{"a root", "php-soap", "image wordpress asks for php-soap"},
		{"what a root needs", "libxml2", "the pins of image wordpress are not those"},
	} {
		whole, err := image.ParseLock(data)
		if err != nil {
			t.Fatal(err)
		}
		if c.pin == "libxml2" { // resolved, and named by no root
			packages, _ := whole.Of("amd64", "wordpress", whole.Architectures["amd64"].Roots["wordpress"])
			whole.Set("amd64", "wordpress", whole.Architectures["amd64"].Roots["wordpress"], append(packages, image.Package{
				Name: c.pin, Version: "1", Architecture: "amd64", SHA256: strings.Repeat("ab", 32), Size: 1, Filename: "pool/main/x", Archive: "main"}))
		}
		pins := &whole.Architectures["amd64"].Packages
		before := len(*pins)
		if *pins = slices.DeleteFunc(*pins, func(p image.Pin) bool { return p.Name == c.pin }); len(*pins) != before-1 {
			t.Fatalf("%s: %s is not pinned", c.what, c.pin)
		}
		edited, err := whole.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, edited, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, locked := range []bool{true, false} {
			r.Locked = locked
			_, err := b.Build(context.Background(), r, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), name) || !strings.Contains(report.HintOf(err), "image update") {
				t.Errorf("%s, locked %v: got %v (%s), want %s", c.what, locked, err, report.HintOf(err), c.want)
			}
		}
		if now, err := os.ReadFile(name); err != nil || !bytes.Equal(now, edited) {
			t.Errorf("%s: the lock was written (%v)", c.what, err)
		}
	}
	r.Locked, r.Update = false, true
	mustBuild(t, b, r)
	r.Update = false
	if got := mustBuild(t, b, r)[1].Packages; !slices.Contains(got, "php-soap=1") {
		t.Errorf("after the update wordpress holds %v", got)
	}
}

func TestAnotherListOfPackagesIsResolvedUnlessLocked(t *testing.T) {
	a := newArchive()
	b := builder(t, a)
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}}
	mustBuild(t, b, r)
	r.Spec.Image.Packages = []string{"php-soap"}
	r.Locked = true
	if _, err := b.Build(context.Background(), r, nil); err == nil || !strings.Contains(err.Error(), engine.LockName) || report.HintOf(err) == "" {
		t.Errorf("locked: got %v (%s)", err, report.HintOf(err))
	}
	r.Locked = false
	if images := mustBuild(t, b, r); !slices.Contains(images[1].Packages, "php-soap=1") || slices.Contains(images[0].Packages, "php-soap=1") {
		t.Errorf("wordpress holds %v", images[1].Packages)
	}
	r.Spec.Image.Packages = []string{"php-typo"}
	if _, err := b.Build(context.Background(), r, nil); err == nil || !strings.Contains(err.Error(), "php-typo") {
		t.Errorf("got %v", err)
	}
}

func TestPluginsThatAreNotThereAreNamedAtOnce(t *testing.T) {
	r := engine.BuildRequest{Folder: t.TempDir(), Spec: site.Spec{WordPress: site.WordPress{Plugins: []site.Addon{{Path: "./gone"}}, Themes: []site.Addon{{Path: "./lost"}}}}}
	_, err := builder(t, newArchive()).Build(context.Background(), r, nil)
	if err == nil || !strings.Contains(err.Error(), "./gone") || !strings.Contains(err.Error(), "./lost") {
		t.Errorf("got %v", err)
	}
}

func mustBuild(t *testing.T, b engine.Builder, r engine.BuildRequest) []image.Image {
	t.Helper()
	images, err := b.Build(context.Background(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return images
}

// blobs are kept in memory.
type blobs struct {
	mu    sync.Mutex
	blobs map[string][]byte
	notes map[string][]byte
}

func newBlobs() *blobs { return &blobs{blobs: map[string][]byte{}, notes: map[string][]byte{}} }

func (m *blobs) Note(key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.notes[key]
	return data, ok, nil
}

func (m *blobs) SetNote(key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes[key] = data
	return nil
}

func (m *blobs) Has(digest string, size int64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.blobs[digest])) == size, nil
}

func (m *blobs) Open(digest string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return io.NopCloser(bytes.NewReader(m.blobs[digest])), nil
}

func (m *blobs) Create() (image.Blob, error) { return &blobInMemory{m: m}, nil }

func (m *blobs) Scratch() (image.Scratch, error) {
	f, err := os.CreateTemp("", "platen-test-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

type blobInMemory struct {
	bytes.Buffer
	m *blobs
}

func (b *blobInMemory) Commit(digest string) error {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.m.blobs[digest] = bytes.Clone(b.Bytes())
	return nil
}

func (b *blobInMemory) Discard() error { return nil }

// `plan` asks what would be, and leaves the folder as it is.
func TestADryBuildWritesNoLock(t *testing.T) {
	b := builder(t, newArchive())
	r := engine.BuildRequest{Dry: true, Folder: t.TempDir(), Platforms: []string{"linux/amd64"}, Spec: site.Spec{WordPress: site.WordPress{Content: "shared"}}}
	dry := mustBuild(t, b, r)
	if left, err := os.ReadDir(r.Folder); err != nil || len(left) > 0 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
	r.Dry = false
	for i, img := range mustBuild(t, b, r) {
		if img.Digest != dry[i].Digest {
			t.Errorf("%s became %s", dry[i].Digest, img.Digest)
		}
	}
	if _, err := os.Stat(filepath.Join(r.Folder, engine.LockName)); err != nil {
		t.Error(err)
	}
}
