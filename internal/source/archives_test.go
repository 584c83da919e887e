package source_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"testing"

	"platen/internal/source"
)

// packed is one entry of an archive made in a test.
type packed struct {
	name string
	text string
	mode fs.FileMode // 0 = a file of 0644
	link string
	kind byte // of a tar; 0 = by mode
}

func zipOf(t testing.TB, entries ...packed) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode == 0 {
			e.mode = 0o644
		}
		h.SetMode(e.mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, e.text+e.link); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarOf(t testing.TB, entries ...packed) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.text)), Uname: "builder"}
		switch {
		case e.kind != 0:
			h.Typeflag = e.kind
		case e.mode.IsDir():
			h.Typeflag = tar.TypeDir
		case e.mode&fs.ModeSymlink != 0:
			h.Typeflag = tar.TypeSymlink
		}
		if e.mode&fs.ModeSetuid != 0 {
			h.Mode |= 0o4000
		}
		if e.mode&fs.ModeSetgid != 0 {
			h.Mode |= 0o2000
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, e.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readZip(data []byte, limits source.Limits) (string, map[string]string, error) {
	name, content, err := source.ReadZip(bytes.NewReader(data), int64(len(data)), limits)
	if err != nil {
		return name, nil, err
	}
	all, err := texts(content)
	return name, all, err
}

// texts reads a whole tree: path → text, "-> target" for a link.
func texts(files fs.FS) (map[string]string, error) {
	all := map[string]string{}
	err := fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			target, err := fs.ReadLink(files, p)
			all[p] = "-> " + target
			return err
		}
		data, err := fs.ReadFile(files, p)
		all[p] = string(data)
		return err
	})
	return all, err
}

func readTar(data []byte, limits source.Limits) (map[string]string, error) {
	all := map[string]string{}
	err := source.ReadTar(bytes.NewReader(data), limits, func(e source.Entry, content io.Reader) error {
		switch {
		case e.Kind == fs.ModeSymlink:
			all[e.Path] = "-> " + e.Link
		case content != nil:
			text, err := io.ReadAll(content)
			all[e.Path] = string(text)
			return err
		}
		return nil
	})
	return all, err
}
