package image

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"sync/atomic"
)

// entry is one path of a package or of the image.
type entry struct {
	path   string // clean, relative, below the merged /usr
	kind   byte   // tar.TypeReg, TypeSymlink or TypeDir
	mode   int64
	uid    int
	link   string // a symbolic link's target
	size   int64
	time   int64  // Unix seconds
	offset int64  // of the content in the scratch, when data is nil
	data   []byte // of generated files
	parts  []entry
	file   func() (io.ReadCloser, error) // of files that no package holds
	binary *binary
	pkg    string // "" for what no package holds
}

// binary is what an ELF file asks of its surroundings.
type binary struct {
	machine elf.Machine
	needed  []string
	search  []string // run path, $ORIGIN replaced
	loader  string
}

// unpacker reads every package once, whatever number of images takes files from it.
type unpacker struct {
	source  Source
	blobs   Blobs
	end     atomic.Int64
	mu      sync.Mutex
	scratch Scratch
	read    map[string]func() (*contents, error) // by the package's SHA-256
}

// contents are the paths of one package.
type contents struct {
	entries map[string]entry
	order   []string
}

func newUnpacker(source Source, blobs Blobs) *unpacker {
	return &unpacker{source: source, blobs: blobs, read: map[string]func() (*contents, error){}}
}

func (u *unpacker) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.scratch == nil {
		return nil
	}
	return u.scratch.Close()
}

// ReadAt reads what was unpacked.
func (u *unpacker) ReadAt(p []byte, off int64) (int, error) { return u.scratch.ReadAt(p, off) }

// unpack returns the contents of a package. Files that no image keeps (manuals, translations,
// headers) are not stored.
func (u *unpacker) unpack(ctx context.Context, p Package) (*contents, error) {
	u.mu.Lock()
	if u.scratch == nil {
		s, err := u.blobs.Scratch()
		if err != nil {
			u.mu.Unlock()
			return nil, err
		}
		u.scratch = s
	}
	read, ok := u.read[p.SHA256]
	if !ok {
		read = sync.OnceValues(func() (*contents, error) { return u.contents(ctx, p) })
		u.read[p.SHA256] = read
	}
	u.mu.Unlock()
	c, err := read()
	if err != nil {
		return nil, fmt.Errorf("unpack %s %s: %w", p.Name, p.Version, err)
	}
	return c, nil
}

func (u *unpacker) contents(ctx context.Context, p Package) (_ *contents, err error) {
	data, err := u.source.Open(p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	c := &contents{entries: map[string]entry{}}
	for in := tar.NewReader(data); ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		e := entry{path: merged(h.Name), kind: h.Typeflag, mode: h.Mode, time: h.ModTime.Unix(), pkg: p.Name}
		if e.path == "." || useless(e.path) {
			continue
		}
		switch h.Typeflag {
		case tar.TypeDir:
		case tar.TypeSymlink:
			e.link = h.Linkname
		case tar.TypeLink:
			// A hard link is a file of its own in the image: its target may not be kept.
			first, ok := c.entries[merged(h.Linkname)]
			if !ok {
				return nil, fmt.Errorf("%s is a hard link to %s, which is not in the package before it", h.Name, h.Linkname)
			}
			first.path = e.path
			e = first
		case tar.TypeReg:
			if err := u.store(in, h.Size, &e); err != nil {
				return nil, fmt.Errorf("%s: %w", h.Name, err)
			}
		default:
			return nil, fmt.Errorf("%s: neither file, folder nor link (type %q)", h.Name, h.Typeflag)
		}
		if _, twice := c.entries[e.path]; !twice {
			c.order = append(c.order, e.path)
		}
		c.entries[e.path] = e
	}
}

// store puts a file's content into the scratch and looks whether it is a program.
func (u *unpacker) store(in io.Reader, size int64, e *entry) error {
	e.size = size
	e.offset = u.end.Add(size) - size
	n, err := io.Copy(io.NewOffsetWriter(u.scratch, e.offset), in)
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%d bytes instead of %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	if size < 64 {
		return nil
	}
	content := io.NewSectionReader(u.scratch, e.offset, size)
	magic := make([]byte, 4)
	if _, err := content.ReadAt(magic, 0); err != nil {
		return err
	}
	if !bytes.Equal(magic, []byte(elf.ELFMAG)) {
		return nil
	}
	e.binary, err = readBinary(content, e.path)
	return err
}

// merged is the path of a file after the usr-merge, which Debian does in a maintainer script.
func merged(name string) string {
	p := strings.TrimPrefix(path.Clean("/"+name), "/")
	if p == "" {
		return "."
	}
	top, _, _ := strings.Cut(p, "/")
	switch top {
	case "bin", "sbin", "lib", "lib64":
		return "usr/" + p
	}
	return p
}

// useless are folders that nothing in a container reads.
func useless(p string) bool {
	for _, dir := range []string{"usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/",
		"usr/share/bug/", "usr/include/", "usr/share/perl/", "usr/share/perl5/", "usr/lib/systemd/", "usr/share/bash-completion/"} {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	return strings.HasPrefix(p, "usr/share/doc/") && strings.Count(p, "/") > 3 && path.Base(p) != "copyright"
}
