package engine_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/site"
)

// publisher has one WordPress, whose archive it may replace, and zips of one file.
type publisher struct {
	engine.Sources
	sha256  string         // of its WordPress
	fetched map[string]int // by SHA-256; of a WordPress before it can be opened
}

func (p *publisher) Release(_ context.Context, version string, _ image.Download, _ report.Sink) (image.Download, error) {
	return image.Download{Name: "wordpress", Version: version, URL: "https://example.com/w.tar.gz", SHA256: p.sha256, Size: 7}, nil
}

func (p *publisher) Fetch(_ context.Context, d image.Download, _ report.Sink) (image.Download, error) {
	d.Size = 7
	p.fetched[d.SHA256]++
	return d, nil
}

func (p *publisher) Open(d image.Download) (io.ReadCloser, error) {
	if p.fetched[d.SHA256] == 0 {
		return nil, errors.New("nobody looked whether the cache has it whole")
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range []string{"usr/share/core", "usr/share/doc/wordpress/copyright"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(d.SHA256))}); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, d.SHA256); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(&out), w.Close()
}

func (p *publisher) Zip(string, string) (string, fs.FS, io.Closer, error) {
	return "shop", fstest.MapFS{"shop.php": {Data: []byte("<?php")}}, io.NopCloser(nil), nil
}

// fromArchives is a site that takes WordPress and a plugin by address.
func fromArchives(t *testing.T) (*publisher, engine.Builder, engine.BuildRequest) {
	t.Helper()
	p := &publisher{sha256: strings.Repeat("a1", 32), fetched: map[string]int{}}
	b := builder(t, newArchive())
	files := b.Rootfs.(fstest.MapFS)
	recipe := &fstest.MapFile{Data: []byte("layers:\n- {name: system, packages: [libc6], keep: [usr/share/libc6]}\n" +
		"- {name: core, core: true, keep: [usr/share/core]}\nconfig: {entrypoint: [/x]}\n")}
	files["wordpress/image.yaml"] = recipe
	b.Sources = p
	return p, b, engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}, Spec: site.Spec{WordPress: site.WordPress{
		Source: "6.8.3", Content: "shared", Plugins: []site.Addon{{URL: "https://example.com/shop.zip", SHA256: strings.Repeat("cd", 32)}},
	}}}
}

// `plan` asks what would be, also of archives that are not pinned yet.
func TestADryBuildPinsNoArchives(t *testing.T) {
	_, b, r := fromArchives(t)
	r.Dry = true
	said := ""
	dry, err := b.Build(context.Background(), r, func(e report.Event) {
		if e.Step == "sources/pin" {
			said += e.Detail
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(r.Folder); err != nil || len(left) > 0 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
	if !strings.Contains(said, "it pins other archives") {
		t.Errorf("said %q", said)
	}
	r.Dry = false
	for i, img := range mustBuild(t, b, r) {
		if img.Digest != dry[i].Digest {
			t.Errorf("%s became %s", dry[i].Digest, img.Digest)
		}
	}
}

// Reading 25 MB to see that nothing has changed is time that a warm build does not have.
func TestAPinnedArchiveIsLookedAtOnlyWhenALayerIsMadeOfIt(t *testing.T) {
	p, b, r := fromArchives(t)
	mustBuild(t, b, r)
	if p.fetched[p.sha256] != 1 {
		t.Errorf("the first build fetched it %d times", p.fetched[p.sha256])
	}
	mustBuild(t, b, r)
	if p.fetched[p.sha256] != 1 {
		t.Errorf("a build with nothing changed looked at it %d times", p.fetched[p.sha256]-1)
	}
	b.Blobs = newBlobs()
	mustBuild(t, b, r)
	if p.fetched[p.sha256] != 2 {
		t.Errorf("without layers it was fetched %d times", p.fetched[p.sha256]-1)
	}
}

// A publisher who replaces an archive under its name gives everybody other bytes: that is a change.
func TestAnUpdateTellsOfAReplacedArchive(t *testing.T) {
	p, b, r := fromArchives(t)
	mustBuild(t, b, r)
	was := p.sha256
	p.sha256 = strings.Repeat("b2", 32)
	if got := mustBuild(t, b, r); !slices.Contains(got[1].Packages, "wordpress=6.8.3") {
		t.Errorf("wordpress holds %v", got[1].Packages)
	}
	r.Update = true
	var got image.LockChanges
	r.Changed = func(c image.LockChanges) { got = c }
	mustBuild(t, b, r)
	want := []image.ArchiveChange{{Name: "wordpress", From: &image.ArchivePin{Version: "6.8.3", SHA256: was}, To: &image.ArchivePin{Version: "6.8.3", SHA256: p.sha256}}}
	if len(got.Packages) != 0 || !reflect.DeepEqual(got.Archives, want) {
		t.Errorf("told of %+v", got)
	}
	lock, err := os.ReadFile(filepath.Join(r.Folder, engine.LockName))
	if err != nil || strings.Contains(string(lock), was) || !strings.Contains(string(lock), p.sha256) {
		t.Errorf("the lock is (%v):\n%s", err, lock)
	}
}

func TestImageUpdateAnswersWithReplacedArchives(t *testing.T) {
	change := image.ArchiveChange{Name: "wordpress", To: &image.ArchivePin{Version: "6.8.3", SHA256: "aa"}}
	e := &engine.Engine{Build: func(_ context.Context, r engine.BuildRequest, _ report.Sink) ([]image.Image, error) {
		r.Changed(image.LockChanges{Archives: []image.ArchiveChange{change}})
		return nil, nil
	}}
	u, err := e.ImageUpdate(context.Background(), engine.ImageOptions{Site: engine.Site{Folder: filepath.Join(t.TempDir(), "blog")}}, nil)
	if err != nil || !slices.Equal(u.Archives, []image.ArchiveChange{change}) {
		t.Errorf("got %+v, %v", u, err)
	}
}
