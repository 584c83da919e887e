package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"platen/internal/image"
)

// raw is a package whose data.tar is as the test has it.
func (s *shelf) raw(t *testing.T, name string, cut int, headers ...tar.Header) image.Package {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Format = tar.FormatGNU
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, io.LimitReader(zeros{}, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := out.Bytes()
	if s.packages == nil {
		s.packages = map[string][]byte{}
	}
	s.packages[name] = data[:len(data)-cut]
	sum := sha256.Sum256(data)
	return image.Package{Name: name, Version: "1", SHA256: hex.EncodeToString(sum[:]), Archive: "main"}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A private mirror signs what it likes: its packages are trusted with what they hold, and with
// nothing outside.
func TestHostilePackagesAreRefused(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Mode: 0o644} }
	many := make([]tar.Header, 12)
	for i := range many {
		many[i] = file("usr/share/man/" + strings.Repeat("m", i+1)) // passed over, and counted
	}
	for name, c := range map[string]struct {
		headers []tar.Header
		cut     int
		want    string
	}{
		"a character device":            {headers: []tar.Header{{Name: "dev/mem", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 1}}, want: "dev/mem: neither file, folder nor link"},
		"a block device":                {headers: []tar.Header{{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8}}, want: "dev/sda: neither file, folder nor link"},
		"a pipe":                        {headers: []tar.Header{{Name: "run/pipe", Typeflag: tar.TypeFifo}}, want: "run/pipe: neither file, folder nor link"},
		"a device where nobody looks":   {headers: []tar.Header{{Name: "usr/share/man/mem", Typeflag: tar.TypeChar}}, want: "usr/share/man/mem: neither file"},
		"a path upwards":                {headers: []tar.Header{file("../etc/cron.d/x")}, want: `"../etc/cron.d/x" leaves the package's tree`},
		"a path that turns upwards":     {headers: []tar.Header{file("./usr/../../etc/x")}, want: "leaves the package's tree"},
		"an absolute path":              {headers: []tar.Header{file("/etc/passwd")}, want: `"/etc/passwd" leaves the package's tree`},
		"a hard link upwards":           {headers: []tar.Header{file("etc/shadow"), {Name: "usr/share/x", Typeflag: tar.TypeLink, Linkname: "../../etc/shadow"}}, want: `a hard link to "../../etc/shadow", leaves the package's tree`},
		"a hard link to the host":       {headers: []tar.Header{file("etc/shadow"), {Name: "usr/share/x", Typeflag: tar.TypeLink, Linkname: "/etc/shadow"}}, want: `a hard link to "/etc/shadow", leaves the package's tree`},
		"a hard link to nothing":        {headers: []tar.Header{{Name: "usr/share/x", Typeflag: tar.TypeLink, Linkname: "./etc/shadow"}}, want: "is a hard link to ./etc/shadow, which is not in the package"},
		"too many entries":              {headers: many, want: "more than 10 files, folders and links"},
		"too large a file":              {headers: []tar.Header{{Name: "usr/share/x", Size: 1 << 20}}, want: "unpacks to more than 100000 bytes"},
		"too large together":            {headers: []tar.Header{{Name: "usr/share/x", Size: 60_000}, {Name: "usr/share/y", Size: 60_000}}, want: "unpacks to more than 100000 bytes"},
		"too large where nobody looks":  {headers: []tar.Header{{Name: "usr/share/man/x", Size: 60_000}, {Name: "usr/share/man/y", Size: 60_000}}, want: "unpacks to more than 100000 bytes"},
		"a file that ends too early":    {headers: []tar.Header{{Name: "usr/share/x", Size: 5000}}, cut: 1024 + 512, want: "usr/share/x: unexpected EOF"},
		"a header that ends too early":  {headers: []tar.Header{file("usr/share/x"), file("usr/share/y")}, cut: 1024 + 100, want: "unexpected EOF"},
		"what could not be taken apart": {headers: []tar.Header{file("usr/share/x")}, cut: 1024 + 512 - 3, want: "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			b := l.builder()
			b.Limits = image.Limits{Entries: 10, Bytes: 100_000}
			l.web.Packages = append(l.web.Packages, l.shelf.raw(t, "evil", c.cut, c.headers...))
			_, err := b.Build(context.Background(), l.web)
			if err == nil || !strings.Contains(err.Error(), "unpack evil 1: ") || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want something of %q", err, c.want)
			}
			if hint := hintOf(err); !strings.Contains(hint, "nothing of it was used") || !strings.Contains(hint, "image update") {
				t.Errorf("%v: the hint is %q", err, hint)
			}
		})
	}
}

// A tar may be padded, and nothing more.
func TestWhatFollowsATarIsNotReadWithoutEnd(t *testing.T) {
	l := newLab(t)
	padded := l.shelf.raw(t, "evil", 0, tar.Header{Name: "usr/share/doc/evil/copyright"})
	l.web.Packages = append(l.web.Packages, padded)
	whole := l.shelf.packages["evil"]
	l.shelf.packages["evil"] = append(whole, make([]byte, 10240)...)
	build(t, l.builder(), l.web)
	l = newLab(t)
	l.web.Packages = append(l.web.Packages, padded)
	l.shelf.packages["evil"] = append(whole, make([]byte, 2<<20)...)
	if _, err := l.builder().Build(context.Background(), l.web); err == nil || !strings.Contains(err.Error(), "goes on behind its end") {
		t.Errorf("got %v", err)
	}
}

// A full disk is no fault of the package.
func TestADiskThatIsFullIsNotThePackagesFault(t *testing.T) {
	l := newLab(t)
	b := l.builder()
	b.Blobs = fullDisk{newMemory()}
	if _, err := b.Build(context.Background(), l.web); err == nil || !strings.Contains(err.Error(), "disk full") || hintOf(err) != "" {
		t.Errorf("got %v (%s)", err, hintOf(err))
	}
}

// fullDisk takes nothing.
type fullDisk struct{ *memory }

func (fullDisk) Scratch() (image.Scratch, error) { return fullScratch{&memoryScratch{}}, nil }

type fullScratch struct{ image.Scratch }

func (fullScratch) WriteAt([]byte, int64) (int, error) { return 0, errors.New("disk full") }

// hintOf is report.HintOf, which the core does not import.
func hintOf(err error) string {
	if h := interface{ Hint() string }(nil); errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
