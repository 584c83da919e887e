package debian

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/xi2/xz"

	"platen/internal/image"
	"platen/internal/report"
)

// maxControl is how much of a control.tar is looked through, unpacked: Debian's largest have 8 MB.
const maxControl = 64 << 20

// Open returns the files of a fetched package: its data.tar, decompressed, as a stream. The cached
// .deb must be the pinned one, byte for byte, and its control file must name the same package and
// version. The caller closes the stream.
func (a *Archive) Open(p image.Package) (_ io.ReadCloser, err error) {
	if err := checkPin(p); err != nil {
		return nil, err
	}
	f, err := os.Open(a.path(p))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open %s %s: it was not fetched: %w", p.Name, p.Version, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s %s: %w", p.Name, p.Version, err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := a.verifyFile(f, p); err != nil {
		return nil, report.Hint(fmt.Errorf("open %s %s: %w", p.Name, p.Version, err),
			"remove %s and run it again: it will be fetched anew", a.path(p))
	}
	defer func() {
		if err != nil {
			err = broken(p, err)
		}
	}()
	members, err := newAr(bufio.NewReaderSize(f, 1<<18))
	if err != nil {
		return nil, err
	}
	var control stanza
	for {
		name, member, err := members.next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it has no data.tar")
		}
		if err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(name, "control.tar"):
			if control, err = readControl(name, member); err != nil {
				return nil, err
			}
		case strings.HasPrefix(name, "data.tar"):
			if control["package"] != p.Name || control["version"] != p.Version {
				return nil, fmt.Errorf("its control file says %q %q", control["package"], control["version"])
			}
			data, err := decompress(name, member)
			if err != nil {
				return nil, err
			}
			return &dataTar{data, f, p}, nil
		}
	}
}

// broken is a .deb that cannot be read although it is the pinned one, byte for byte.
func broken(p image.Package, err error) error {
	return report.Hint(fmt.Errorf("open %s %s: %w", p.Name, p.Version, err),
		"the file has the pinned SHA256, so the archive itself has it like this, and fetching it again changes nothing: run platen image update to pin another version, name another mirror with image.mirror, or take it out of image.packages")
}

type dataTar struct {
	io.ReadCloser
	f *os.File
	p image.Package
}

// Read tells whose content ends too early, or is packed wrongly.
func (d *dataTar) Read(b []byte) (int, error) {
	n, err := d.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = broken(d.p, err)
	}
	return n, err
}

func (d *dataTar) Close() error { return errors.Join(d.ReadCloser.Close(), d.f.Close()) }

func readControl(name string, member io.Reader) (stanza, error) {
	plain, err := decompress(name, member)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	files := tar.NewReader(io.LimitReader(plain, maxControl))
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s has no control file", name)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if path.Clean(h.Name) != "control" {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(files, 1<<20))
		if err != nil {
			return nil, fmt.Errorf("read control: %w", err)
		}
		stanzas := parseStanzas(string(text))
		if len(stanzas) != 1 {
			return nil, fmt.Errorf("its control file has %d paragraphs, want 1", len(stanzas))
		}
		return stanzas[0], nil
	}
}

// decompress chooses by the ending of name, as dpkg does.
func decompress(name string, r io.Reader) (io.ReadCloser, error) {
	switch ext := path.Ext(name); ext {
	case ".tar", "":
		return io.NopCloser(r), nil
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", name, err)
		}
		return z, nil
	case ".xz":
		// A third faster than the alternatives in Go; .debs are almost all xz.
		z, err := xz.NewReader(r, xz.DefaultDictMax)
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", name, err)
		}
		return io.NopCloser(z), nil
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", name, err)
		}
		return z.IOReadCloser(), nil
	default:
		return nil, fmt.Errorf("unpack %s: no decompressor for %s", name, ext)
	}
}

// arReader reads the outer format of a .deb: an eight-byte magic, then members of a 60-byte header
// and data, padded to even lengths.
type arReader struct {
	r      io.Reader
	member *arMember
	pad    int64
}

// arMember is the data of a member. A file that ends within it is an error: some tars would seem to
// end there.
type arMember struct{ io.LimitedReader }

func (m *arMember) Read(b []byte) (int, error) {
	n, err := m.LimitedReader.Read(b)
	if errors.Is(err, io.EOF) && m.N > 0 {
		err = fmt.Errorf("the file ends %d bytes before its member does: %w", m.N, io.ErrUnexpectedEOF)
	}
	return n, err
}

func newAr(r io.Reader) (*arReader, error) {
	magic := make([]byte, 8)
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != "!<arch>\n" {
		return nil, errors.New("it is not a Debian package")
	}
	return &arReader{r: r}, nil
}

func (a *arReader) next() (string, io.Reader, error) {
	if a.member != nil {
		if _, err := io.CopyN(io.Discard, a.r, a.member.N+a.pad); err != nil && !errors.Is(err, io.EOF) {
			return "", nil, err
		}
	}
	header := make([]byte, 60)
	if _, err := io.ReadFull(a.r, header); err != nil {
		if errors.Is(err, io.EOF) {
			return "", nil, io.EOF
		}
		return "", nil, fmt.Errorf("read ar header: %w", err)
	}
	size, err := strconv.ParseInt(string(bytes.TrimSpace(header[48:58])), 10, 64)
	if err != nil || size < 0 || string(header[58:]) != "`\n" {
		return "", nil, errors.New("broken ar header")
	}
	name := strings.TrimRight(string(header[:16]), " ")
	a.member, a.pad = &arMember{io.LimitedReader{R: a.r, N: size}}, size%2
	return strings.TrimSuffix(name, "/"), a.member, nil
}
