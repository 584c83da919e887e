package source

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Entry is one file, folder or link of a tar, checked.
type Entry struct {
	Path string      // clean, relative
	Kind fs.FileMode // 0, fs.ModeDir or fs.ModeSymlink
	Link string      // a symbolic link's target
	Size int64       // of a file
}

// ReadTar goes through a gzipped tar and hands out its entries in their order; content is that of a
// file, valid during the call, and nil for the others. A hard link is refused: no release has one.
func ReadTar(packed io.Reader, limits Limits, each func(e Entry, content io.Reader) error) error {
	in := &counted{r: packed, most: limits.Packed}
	plain, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("it is no gzip: %w", err)
	}
	list := newListing(limits)
	// A tar is its files and, for each, a header and padding.
	out := &counted{r: plain, most: limits.Total + int64(limits.Entries)*4096}
	out.check = func() error { return list.dense(out.n, in.n) }
	for files := tar.NewReader(out); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if large := (*limitError)(nil); errors.As(err, &large) {
			return large
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // names are ours to judge
			return fmt.Errorf("it is no sound tar, or it is cut off: %w", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		e, err := addTarred(list, h)
		if err != nil {
			return err
		}
		if e.Path == "" {
			continue
		}
		var content io.Reader
		if e.Kind == 0 {
			content = files
		}
		if err := each(e, content); err != nil {
			return err
		}
	}
	// What follows the tar's end is read for the gzip's own checksum.
	if _, err := io.Copy(io.Discard, out); err != nil {
		if large := (*limitError)(nil); errors.As(err, &large) {
			return large
		}
		return fmt.Errorf("it is cut off or broken: %w", err)
	}
	return nil
}

func addTarred(list *listing, h *tar.Header) (Entry, error) {
	e := Entry{}
	mode := h.FileInfo().Mode() & (fs.ModeSetuid | fs.ModeSetgid)
	switch h.Typeflag {
	case tar.TypeReg:
		e.Size = h.Size
	case tar.TypeDir:
		e.Kind = fs.ModeDir
	case tar.TypeSymlink:
		e.Kind, e.Link = fs.ModeSymlink, h.Linkname
	case tar.TypeLink:
		return e, fmt.Errorf("%s: is a hard link (to %s)", quote(h.Name), quote(h.Linkname))
	default:
		return e, fmt.Errorf("%s: neither file, folder nor link (type %q)", quote(h.Name), h.Typeflag)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return e, fmt.Errorf("%s: has holes", quote(h.Name))
		}
	}
	var err error
	e.Path, err = list.add(h.Name, mode|e.Kind, e.Link, e.Size)
	return e, err
}

// counted reads at most a number of bytes.
type counted struct {
	r       io.Reader
	n, most int64
	check   func() error // after each read
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.n > c.most {
		return n, &limitError{fmt.Errorf("more than %d bytes", c.most)}
	}
	if c.check != nil {
		if err := c.check(); err != nil {
			return n, &limitError{err}
		}
	}
	return n, err
}

// limitError ends reading; it is no fault of the format.
type limitError struct{ error }
