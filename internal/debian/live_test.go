package debian_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"testing"

	"platen/internal/debian"
	"platen/internal/image"
)

// TestLiveArchive reads the archive that this host uses: signatures, indexes and packages of the
// real Debian.
func TestLiveArchive(t *testing.T) {
	mirror, err := debian.FindMirror("")
	if err != nil {
		t.Fatal(err)
	}
	a, err := debian.New(debian.Options{Mirror: mirror, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	packages, err := a.Resolve(ctx, "amd64", []string{"haproxy"}, []string{"debconf", "init-system-helpers", "perl"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]image.Package{}
	for _, p := range packages {
		found[p.Name] = p
	}
	for _, name := range []string{"haproxy", "libc6", "libssl3t64", "libgcc-s1"} {
		if found[name].Architecture != "amd64" {
			t.Errorf("closure of haproxy lacks %s: %v", name, found[name])
		}
	}
	if err := a.Fetch(ctx, []image.Package{found["haproxy"], found["gcc-14-base"]}, nil); err != nil {
		t.Fatal(err)
	}
	if !holds(t, a, found["haproxy"], "./usr/sbin/haproxy") {
		t.Error("haproxy's package holds no ./usr/sbin/haproxy")
	}
}

// holds reads the whole of a package and tells whether it has a file of that name.
func holds(t *testing.T, a *debian.Archive, p image.Package, name string) bool {
	t.Helper()
	data, err := a.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	found := false
	files := tar.NewReader(data)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found = found || h.Name == name
	}
}
