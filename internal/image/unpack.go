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
	"slices"
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
	packs  bool   // gets twins, see twins.go
	pkg    string // "" for what no package holds
}

// binary is what an ELF file asks of its surroundings.
type binary struct {
	machine elf.Machine
	needed  []string
	search  []string // run path, $ORIGIN replaced
	loader  string
}

// Limits bound what a package may unpack to. They lie far above Debian's largest packages, and far
// below what would fill a disk: a private mirror is trusted with what is in a package, not with how
// much of it there is.
type Limits struct {
	Entries int   // files, folders and links
	Bytes   int64 // of all files
}

// DefaultLimits hold for every package.
var DefaultLimits = Limits{Entries: 250_000, Bytes: 4 << 30}

// maxTrailer is how much may follow the end of a tar: padding.
const maxTrailer = 1 << 20

// badPackage is a package that was verified and still is not to be used.
type badPackage struct{ error }

func (e *badPackage) Unwrap() error { return e.error }

// Hint implements what report.HintOf looks for.
func (*badPackage) Hint() string {
	return "the package has the pinned SHA-256, so its archive has it like this, and nothing of it was used: run platen image update to pin another version, name another mirror with image.mirror, or take it out of image.packages"
}

// unpacker reads every package once, whatever number of images takes files from it.
type unpacker struct {
	source  Source
	blobs   Blobs
	limits  Limits
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

func newUnpacker(source Source, blobs Blobs, limits Limits) *unpacker {
	if limits == (Limits{}) {
		limits = DefaultLimits
	}
	return &unpacker{source: source, blobs: blobs, limits: limits, read: map[string]func() (*contents, error){}}
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
	bad := func(err error) error {
		var advised interface{ Hint() string }
		if errors.As(err, &advised) || p.Archive == FromRelease || p.Archive == FromFolder {
			return err
		}
		return &badPackage{err}
	}
	c := &contents{entries: map[string]entry{}}
	count, size := 0, int64(0)
	for in := tar.NewReader(data); ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			// What packs the tar has its own end and checksum.
			n, err := io.Copy(io.Discard, io.LimitReader(data, maxTrailer+1))
			if err == nil && n > maxTrailer {
				err = errors.New("its tar goes on behind its end")
			}
			if err != nil {
				return nil, bad(err)
			}
			return c, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // names are ours to judge
			return nil, bad(err)
		}
		// Also of what is passed over: it has to be unpacked to get behind it.
		count++
		size += h.Size
		switch {
		case count > u.limits.Entries:
			return nil, bad(fmt.Errorf("it has more than %d files, folders and links", u.limits.Entries))
		case size > u.limits.Bytes:
			return nil, bad(fmt.Errorf("it unpacks to more than %d bytes", u.limits.Bytes))
		case leaves(h.Name):
			return nil, bad(fmt.Errorf("%q leaves the package's tree", h.Name))
		case h.Typeflag == tar.TypeLink && leaves(h.Linkname):
			return nil, bad(fmt.Errorf("%q, a hard link to %q, leaves the package's tree", h.Name, h.Linkname))
		}
		e := entry{path: merged(h.Name), kind: h.Typeflag, mode: h.Mode, time: h.ModTime.Unix(), pkg: p.Name}
		switch h.Typeflag {
		case tar.TypeDir, tar.TypeReg:
		case tar.TypeSymlink:
			e.link = h.Linkname
		case tar.TypeLink:
			if useless(e.path) {
				continue
			}
			// A hard link is a file of its own in the image: its target may not be kept.
			first, ok := c.entries[merged(h.Linkname)]
			if !ok {
				return nil, bad(fmt.Errorf("%s is a hard link to %s, which is not in the package before it", h.Name, h.Linkname))
			}
			first.path = e.path
			e = first
		default:
			return nil, bad(fmt.Errorf("%s: neither file, folder nor link (type %q)", h.Name, h.Typeflag))
		}
		if e.path == "." || useless(e.path) {
			continue
		}
		if h.Typeflag == tar.TypeReg {
			content := &watched{r: in}
			if err := u.store(content, h.Size, &e); err != nil {
				err = fmt.Errorf("%s: %w", h.Name, err)
				if content.failed {
					err = bad(err)
				}
				return nil, err
			}
		}
		if _, twice := c.entries[e.path]; !twice {
			c.order = append(c.order, e.path)
		}
		c.entries[e.path] = e
	}
}

// leaves reports names that a program which does not clean them would follow out of the folder. No
// package of Debian's has one.
func leaves(name string) bool {
	return path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..")
}

// watched tells a package that cannot be read from a disk that cannot be written.
type watched struct {
	r      io.Reader
	failed bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.failed = w.failed || err != nil && !errors.Is(err, io.EOF)
	return n, err
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
