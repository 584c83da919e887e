package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"platen/internal/image"
)

// folder is a whole WordPress in a folder of the site's own.
type folder struct {
	files   fs.FS
	entries []Entry
	sums    map[string][sha256.Size]byte
	size    int64
	// ignored are parts of wp-content that are there and go into no image: must-use plugins and
	// drop-ins are Platen's, media belong to the share.
	ignored []string
}

// OpenFolder looks through a whole WordPress in a folder, as os.DirFS gives it, and reads every
// file once. The package's SHA256 is that of all files together; a file that is no longer what it
// was then ends Core.Open's stream with an error. Version control's own folders are passed over.
func OpenFolder(files fs.FS, limits Limits) (core image.Core, err error) {
	f := &folder{files: files, sums: map[string][sha256.Size]byte{}}
	list := newListing(limits)
	err = fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		if base := path.Base(p); base == ".git" || base == ".svn" || base == ".DS_Store" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if unused(p) {
			f.ignored = append(f.ignored, p)
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return f.take(list, p, d)
	})
	if err != nil {
		return core, err
	}
	slices.SortFunc(f.entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	for _, must := range []string{"wp-admin", "wp-includes"} {
		if list.nodes[must].kind != fs.ModeDir {
			return core, fmt.Errorf("it holds no %s: the folder must be the whole of WordPress", must)
		}
	}
	whole := sha256.New()
	var version []byte
	for _, e := range f.entries {
		sum := f.sums[e.Path]
		fmt.Fprintf(whole, "%q %d %q %d %x\n", e.Path, e.Kind, e.Link, e.Size, sum)
		f.size += e.Size
		if e.Path == versionFile {
			if version, err = fs.ReadFile(files, e.Path); err != nil {
				return core, err
			}
		}
	}
	found := versionLine.FindSubmatch(version)
	if found == nil {
		return core, fmt.Errorf("%s names no version of WordPress", versionFile)
	}
	return image.Core{
		Package: image.Package{
			Name: "wordpress", Version: string(found[1]), Architecture: "all",
			SHA256: hex.EncodeToString(whole.Sum(nil)), Size: f.size, Archive: image.FromFolder,
		},
		Open:    f.open,
		Ignored: f.ignored,
	}, nil
}

// take lists an entry and, of a file, its hash.
func (f *folder) take(list *listing, p string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	e := Entry{Kind: info.Mode().Type()}
	switch e.Kind {
	case fs.ModeSymlink:
		if e.Link, err = fs.ReadLink(f.files, p); err != nil {
			return err
		}
	case 0:
		e.Size = info.Size()
	}
	if e.Path, err = list.add(p, info.Mode(), e.Link, e.Size); err != nil || e.Kind == fs.ModeDir {
		return err
	}
	if e.Kind == 0 {
		in, err := f.files.Open(p)
		if err != nil {
			return err
		}
		h := sha256.New()
		n, err := io.Copy(h, in)
		if err = errors.Join(err, in.Close()); err == nil && n != e.Size {
			err = errChanged
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		f.sums[e.Path] = [sha256.Size]byte(h.Sum(nil))
	}
	f.entries = append(f.entries, e)
	return nil
}

func (f *folder) open() (io.ReadCloser, error) {
	return stream(func(w io.Writer) error {
		out := newCoreWriter(w)
		for _, e := range f.entries {
			if err := f.write(out, e); err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
		}
		return out.close("")
	}), nil
}

func (f *folder) write(out *coreWriter, e Entry) (err error) {
	if e.Kind != 0 {
		return out.add(e, nil)
	}
	in, err := f.files.Open(e.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	h := sha256.New()
	if err := out.add(e, io.TeeReader(in, h)); err != nil {
		return err
	}
	if [sha256.Size]byte(h.Sum(nil)) != f.sums[e.Path] {
		return errChanged
	}
	return nil
}
