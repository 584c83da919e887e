package source_test

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"

	"platen/internal/source"
)

// seed gives a fuzzer sound archives and one of each hostile kind; what it found before is in
// testdata/fuzz.
func seed(f *testing.F, pack func(testing.TB, ...packed) []byte) {
	f.Add(pack(f, packed{name: "a/", mode: fs.ModeDir}, packed{name: "a/b.php", text: "<?php"}, packed{name: "a/c", mode: fs.ModeSymlink, link: "b.php"}))
	for _, c := range hostile {
		if len(c.entries) < 5 {
			f.Add(pack(f, c.entries...))
		}
	}
}

// safe fails when a path or a link can leave the folder that it is unpacked to.
func safe(t *testing.T, p, link string) {
	t.Helper()
	if !fs.ValidPath(p) || strings.ContainsAny(p, "\\\x00\n") {
		t.Fatalf("%q came through", p)
	}
	if to := path.Join(path.Dir(p), link); link != "" && (path.IsAbs(link) || !fs.ValidPath(to)) {
		t.Fatalf("%q, a link to %q, came through", p, link)
	}
}

func FuzzZip(f *testing.F) {
	seed(f, zipOf)
	f.Fuzz(func(t *testing.T, data []byte) {
		name, files, err := source.ReadZip(bytes.NewReader(data), int64(len(data)), small)
		if err != nil {
			return
		}
		safe(t, name, "")
		var total int64
		err = fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if d.Type() == fs.ModeSymlink {
				link, err := fs.ReadLink(files, p)
				safe(t, p, link)
				return err
			}
			safe(t, p, "")
			in, err := files.Open(p)
			if err != nil {
				return nil //nolint:nilerr // a broken file is told when it is read
			}
			n, _ := io.Copy(io.Discard, in)
			total += n
			_ = in.Close() // it repeats what reading said
			return nil
		})
		if err != nil {
			t.Fatalf("what was listed cannot be walked: %v", err)
		}
		if total > small.Total {
			t.Fatalf("%d bytes were unpacked", total)
		}
	})
}

func FuzzTar(f *testing.F) {
	seed(f, tarOf)
	f.Fuzz(func(t *testing.T, data []byte) {
		var total int64
		entries := 0
		_ = source.ReadTar(bytes.NewReader(data), small, func(e source.Entry, content io.Reader) error {
			entries++
			safe(t, e.Path, e.Link)
			if content == nil {
				return nil
			}
			n, err := io.Copy(io.Discard, content)
			total += n
			return err
		})
		if total > small.Total || entries > small.Entries {
			t.Fatalf("%d entries with %d bytes were unpacked", entries, total)
		}
	})
}

// FuzzPlainTar is FuzzTar behind gzip, which a fuzzer's changes rarely survive.
func FuzzPlainTar(f *testing.F) {
	seed(f, func(t testing.TB, entries ...packed) []byte {
		plain, err := gunzip(tarOf(t, entries...))
		if err != nil {
			t.Fatal(err)
		}
		return plain
	})
	f.Fuzz(func(t *testing.T, plain []byte) {
		all := map[string]bool{}
		_ = source.ReadTar(bytes.NewReader(zipped(t, plain)), small, func(e source.Entry, content io.Reader) error {
			safe(t, e.Path, e.Link)
			if all[e.Path] && e.Kind != fs.ModeDir {
				t.Fatalf("%q came twice", e.Path)
			}
			all[e.Path] = true
			return nil
		})
	})
}

// FuzzPackage goes the whole way from an official archive to what the images read: a tar that any
// reader takes, with nothing outside of WordPress' folder.
func FuzzPackage(f *testing.F) {
	plain, err := gunzip(release(f, "6.8.3"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Fuzz(func(t *testing.T, plain []byte) {
		in := source.Package(bytes.NewReader(zipped(t, plain)), "6.8.3", small)
		defer in.Close()
		for r := tar.NewReader(in); ; {
			h, err := r.Next()
			if err != nil {
				return
			}
			if !strings.HasPrefix(h.Name, "usr/share/wordpress/") && h.Name != "usr/share/doc/wordpress/copyright" {
				t.Fatalf("%q came through", h.Name)
			}
		}
	})
}
