package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const siteLayer = "site"

// Tree is one plugin or theme of the site, as a folder.
type Tree struct {
	Kind string // plugins | themes
	Name string // of its folder below Kind
	// From is the zip that it came in, when that was fetched by its address.
	From Download
	// Files must also say where links lead (fs.ReadLinkFS), as os.DirFS does.
	Files fs.FS
}

// site makes the layers of the site's plugins and themes: one for each, more for large ones.
func (b *Builder) site(ctx context.Context, in Input, below *Image) (note, error) {
	where, ok := in.Recipe.Site[in.Content]
	if !ok || len(in.Site) == 0 {
		return note{}, nil
	}
	var groups []bucket
	var errs []error
	seen := map[string]string{}
	for _, t := range in.Site {
		at := path.Join(t.Kind, t.Name)
		if other, twice := seen[at]; twice {
			errs = append(errs, fmt.Errorf("%s: there are two of this name (%s)", at, other))
			continue
		}
		seen[at] = at
		found, err := t.entries(where)
		found = in.Recipe.mark(found)
		if err != nil {
			errs = append(errs, err)
		}
		if len(found) > 0 {
			groups = append(groups, newBucket(siteLayer+" "+at, found))
			if t.From.URL != "" {
				t.From.Name = at
				below.addons = append(below.addons, t.From)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return note{}, err
	}
	var all []entry
	for _, g := range groups {
		all = append(all, g.entries...)
	}
	if err := b.programs(in.Recipe, all, below); err != nil {
		return note{}, err
	}
	slices.SortFunc(below.addons, func(x, y Download) int { return strings.Compare(x.Name, y.Name) })
	slices.SortFunc(groups, func(x, y bucket) int { return strings.Compare(x.name, y.name) })
	var site note
	for _, g := range split(groups, mostSiteLayers) {
		made, err := b.layer(ctx, g.name, g.entries, below)
		if err != nil {
			return note{}, err
		}
		site.Parts, site.Files = append(site.Parts, made.Parts...), append(site.Files, made.Files...)
	}
	return site, nil
}

// entries are the tree's files and links.
func (t Tree) entries(where SiteRecipe) ([]entry, error) {
	if t.Name == "" || t.Name == "." || t.Name == ".." || strings.ContainsAny(t.Name, `/\`) {
		return nil, fmt.Errorf("%s: %q cannot be a folder's name", t.Kind, t.Name)
	}
	label := t.Kind + "/" + t.Name
	drop := compile(where.Drop)
	all, err := walk(label, t.Files, ".", path.Join(where.To, t.Kind, t.Name))
	return slices.DeleteFunc(all, func(e entry) bool {
		return drop.match(strings.TrimPrefix(e.path, where.To+"/"))
	}), err
}

// Placed is a file or a folder of the site's own and where it goes.
type Placed struct {
	To    string // in the image, without a leading slash
	Files fs.FS  // see Tree.Files
	From  string // in Files: a file, or "." for all
}

// placed makes the layer of the site's further files.
func (b *Builder) placed(ctx context.Context, in Input, img *Image) (note, error) {
	wanted := compile(in.Recipe.Files)
	if len(wanted) == 0 || len(in.Files) == 0 {
		return note{}, nil
	}
	there := map[string]bool{}
	for _, p := range img.files {
		there[p] = true
	}
	var entries []entry
	var errs []error
	for _, f := range in.Files {
		all, err := walk("/"+f.To, f.Files, f.From, f.To)
		if err != nil {
			errs = append(errs, err)
		}
		for _, e := range all {
			if !wanted.match(e.path) {
				continue
			}
			if there[e.path] {
				errs = append(errs, fmt.Errorf("/%s is in the image %s already", e.path, in.Recipe.Name))
			}
			there[e.path] = true
			entries = append(entries, e)
		}
	}
	if err := errors.Join(append(errs, b.programs(in.Recipe, entries, img))...); err != nil {
		return note{}, fmt.Errorf("image.files: %w", err)
	}
	return b.layer(ctx, "files", in.Recipe.mark(entries), img)
}

// walk returns the files and links of a folder, below to. What cannot be the same everywhere, or
// could leave the folder, is refused; version control's own folders are left out.
func walk(label string, files fs.FS, from, to string) ([]entry, error) {
	var out []entry
	var errs []error
	bad := func(p, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s: %s", label, p, fmt.Sprintf(format, args...)))
	}
	folded := map[string]string{}
	err := fs.WalkDir(files, from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p == "." {
			return nil
		}
		if base := path.Base(p); base == ".git" || base == ".svn" || base == ".DS_Store" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		fold := strings.ToLower(p)
		if other, same := folded[fold]; same {
			bad(p, "differs from %s only in upper and lower case, which some file systems cannot hold", other)
		}
		folded[fold] = p
		if strings.ContainsAny(p, "\\\x00\r\n") {
			bad(p, "a name with a backslash or a line break")
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode(); mode&fs.ModeSetuid != 0 || mode&fs.ModeSetgid != 0 && !d.IsDir() { // of a folder it only says who inherits
			bad(p, "is set-user-id or set-group-id")
		}
		at := path.Join(to, p)
		if p == from {
			at = to
		}
		e := generated(at, "")
		switch info.Mode().Type() {
		case fs.ModeDir:
			return nil
		case fs.ModeSymlink:
			target, err := fs.ReadLink(files, p)
			if err != nil {
				return err
			}
			inside := path.Join(path.Dir(p), target)
			if path.IsAbs(target) || inside == ".." || strings.HasPrefix(inside, "../") {
				bad(p, "a link that leaves the folder (%s)", target)
				return nil
			}
			if path.Clean(target) != strings.TrimSuffix(target, "/") { // a/../..: a may be a link itself
				bad(p, "a link whose target turns back on its way (%s)", target)
				return nil
			}
			e.kind, e.link = tar.TypeSymlink, target
		case 0:
			e.data, e.size = nil, info.Size()
			e.file = func() (io.ReadCloser, error) { return files.Open(p) }
		default:
			bad(p, "neither file, folder nor link (%s)", info.Mode().Type())
			return nil
		}
		out = append(out, e)
		return nil
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", label, err))
	}
	return out, errors.Join(errs...)
}
