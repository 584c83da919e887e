package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/sync/errgroup"
)

// selection works out which path is in which layer.
type selection struct {
	arch   string
	recipe Recipe
	extra  []string         // packages the site asks for
	all    map[string]entry // every file and link of the packages
	owner  map[string]int   // path → layer; -1: in the base
	dirs   map[string]Dir   // folders that are more than 755 root, the base's too
	layers []map[string]entry
}

// choose unpacks the packages and sorts their files into the recipe's layers.
func (b *Builder) choose(ctx context.Context, r Recipe, base *Image, packages []Package, extra []string) (*selection, error) {
	s := &selection{arch: b.Arch, recipe: r, extra: extra, all: map[string]entry{}, owner: map[string]int{}, dirs: map[string]Dir{}}
	if base != nil {
		for _, p := range base.files {
			s.owner[p] = -1
		}
		for _, d := range base.dirs {
			s.dirs[d.Path] = d
		}
	}
	if err := s.gather(ctx, b.unpacker, packages); err != nil {
		return nil, err
	}
	var errs []error
	for i, l := range r.Layers {
		s.layers = append(s.layers, map[string]entry{})
		errs = append(errs, s.keep(i, l.expand(b.Arch)))
	}
	if base == nil {
		s.foundation()
	}
	for i, l := range r.Layers {
		errs = append(errs, s.generate(i, l.expand(b.Arch)))
	}
	errs = append(errs, s.close(), s.dangling(), s.copyright())
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("image %s: %w", r.Name, err)
	}
	return s, nil
}

// gather unpacks in parallel; two packages with the same file cannot be installed together either.
func (s *selection) gather(ctx context.Context, u *unpacker, packages []Package) error {
	found := make([]*contents, len(packages))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, p := range packages {
		g.Go(func() (err error) {
			found[i], err = u.unpack(ctx, p)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, c := range found {
		for _, p := range c.order {
			e := c.entries[p]
			if e.kind == tar.TypeDir {
				continue
			}
			if other, twice := s.all[p]; twice {
				return fmt.Errorf("both %s and %s hold /%s", other.pkg, e.pkg, p)
			}
			s.all[p] = e
		}
	}
	return nil
}

// keep takes what the layer's globs name and no layer below has.
func (s *selection) keep(i int, l LayerRecipe) error {
	keep, drop, real := compile(l.Keep), compile(l.Drop), compile(l.Real)
	minified := compile(l.Minified)
	used := make([]bool, len(keep))
	for _, p := range slices.Sorted(maps.Keys(s.all)) {
		e := s.all[p]
		wanted := l.Extra && slices.Contains(s.extra, e.pkg) && !strings.HasPrefix(p, "usr/share/doc/")
		for n, g := range keep {
			if g.match(p) {
				wanted, used[n] = true, true
			}
		}
		if !wanted || drop.match(p) || (minified.match(p) && s.hasMinified(p)) {
			continue
		}
		if e.kind == tar.TypeSymlink && real.match(p) {
			if err := s.copyTarget(i, p, e, drop); err != nil {
				return err
			}
			continue
		}
		s.put(i, e)
	}
	var errs []error
	for n, g := range keep {
		if !used[n] {
			errs = append(errs, fmt.Errorf("layer %s keeps %s, but no package has such a file", l.Name, g.pattern))
		}
	}
	for _, m := range l.Move {
		for p, e := range s.layers[i] {
			if rest, below := strings.CutPrefix(p, m.From+"/"); below {
				delete(s.layers[i], p)
				delete(s.owner, p)
				e.path = m.To + "/" + rest
				s.put(i, e)
			}
		}
	}
	return errors.Join(errs...)
}

// put makes a path the layer's own unless a lower layer has it.
func (s *selection) put(i int, e entry) {
	if _, taken := s.owner[e.path]; taken {
		return
	}
	s.owner[e.path] = i
	s.layers[i][e.path] = e
}

func (s *selection) hasMinified(p string) bool {
	ext := path.Ext(p)
	if (ext != ".js" && ext != ".css") || strings.HasSuffix(p, ".min"+ext) {
		return false
	}
	_, ok := s.all[strings.TrimSuffix(p, ext)+".min"+ext]
	return ok
}

// copyTarget puts what a link points at, a file or all below a folder, where the link is.
func (s *selection) copyTarget(i int, p string, link entry, drop patterns) error {
	target, _ := s.follow(p)
	if e, ok := s.all[target]; ok {
		e.path = p
		s.put(i, e)
		return nil
	}
	found := false
	for below, e := range s.all {
		if rest, ok := strings.CutPrefix(below, target+"/"); ok && e.kind == tar.TypeReg {
			e.path = p + "/" + rest
			if found = true; !drop.match(e.path) {
				s.put(i, e)
			}
		}
	}
	if !found {
		return fmt.Errorf("/%s of %s points at %s, which no package has", p, link.pkg, link.link)
	}
	return nil
}

// follow returns where a path leads and the links on the way, the way the kernel would.
func (s *selection) follow(p string) (target string, links []string) {
	for range 40 { // as many as Linux follows
		next, done := "", true
		rest := strings.Split(p, "/")
		for n := range rest {
			at := strings.Join(rest[:n+1], "/")
			e, ok := s.lookup(at)
			if !ok || e.kind != tar.TypeSymlink {
				continue
			}
			links = append(links, at)
			to := e.link
			if !path.IsAbs(to) {
				to = path.Join("/", path.Dir(at), to)
			}
			next, done = merged(path.Join(to, strings.Join(rest[n+1:], "/"))), false
			break
		}
		if done {
			return p, links
		}
		p = next
	}
	return p, links
}

// lookup finds a path among what is chosen, else among what could be.
func (s *selection) lookup(p string) (entry, bool) {
	if i, ok := s.owner[p]; ok && i >= 0 {
		return s.layers[i][p], true
	}
	e, ok := s.all[p]
	return e, ok
}

// foundation is what Debian's base-files would do: the usr-merge, users, and the empty folders
// that a container needs.
func (s *selection) foundation() {
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		s.put(0, entry{path: dir, kind: tar.TypeSymlink, link: "usr/" + dir, time: epoch})
	}
	passwd := "root:x:0:0:root:/root:/nonexistent\n"
	group := "root:x:0:\n"
	users := slices.SortedFunc(slices.Values(s.recipe.Users), func(a, b User) int { return a.UID - b.UID })
	for _, u := range users {
		passwd += fmt.Sprintf("%s:x:%d:%d::%s:/nonexistent\n", u.Name, u.UID, u.UID, u.Home)
		group += fmt.Sprintf("%s:x:%d:\n", u.Name, u.UID)
	}
	for name, text := range map[string]string{
		"etc/passwd":        passwd + "nobody:x:65534:65534::/nonexistent:/nonexistent\n",
		"etc/group":         group + "nogroup:x:65534:\n",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
	} {
		s.put(0, generated(name, text))
	}
	for _, d := range []Dir{{"dev", 0o755, 0}, {"etc", 0o755, 0}, {"proc", 0o555, 0}, {"root", 0o700, 0}, {"run", 0o755, 0}, {"sys", 0o555, 0}, {"tmp", 0o1777, 0}, {"usr/bin", 0o755, 0}, {"usr/sbin", 0o755, 0}, {"usr/lib", 0o755, 0}, {"usr/lib64", 0o755, 0}, {"var", 0o755, 0}} {
		s.makeDir(0, d)
	}
}

func generated(name, text string) entry {
	return entry{path: name, kind: tar.TypeReg, mode: 0o644, data: []byte(text), size: int64(len(text)), time: epoch}
}

func (s *selection) makeDir(i int, d Dir) {
	if d.Mode == 0 {
		d.Mode = 0o755
	}
	s.dirs[d.Path] = d
	s.layers[i][d.Path] = entry{path: d.Path, kind: tar.TypeDir, mode: d.Mode, uid: d.UID, time: epoch}
}

// generate makes the layer's links, folders, bundles and module list.
func (s *selection) generate(i int, l LayerRecipe) error {
	var errs []error
	for _, k := range l.Links {
		s.put(i, entry{path: k.Path, kind: tar.TypeSymlink, link: k.To, time: epoch})
	}
	for _, d := range l.Dirs {
		s.makeDir(i, d)
	}
	for _, bundle := range l.Bundles {
		from := compile([]string{bundle.From})
		e := entry{path: bundle.To, kind: tar.TypeReg, mode: 0o644, time: epoch}
		for _, p := range slices.Sorted(maps.Keys(s.all)) {
			if part := s.all[p]; part.kind == tar.TypeReg && from.match(p) {
				e.parts = append(e.parts, part)
				e.size += part.size
				e.pkg = part.pkg
			}
		}
		if e.parts == nil {
			errs = append(errs, fmt.Errorf("layer %s: no package has files %s for %s", l.Name, bundle.From, bundle.To))
			continue
		}
		s.put(i, e)
	}
	if l.Modules != nil {
		s.put(i, generated(l.Modules.To, s.modules(*l.Modules)))
	}
	return errors.Join(errs...)
}

// modules lists the extensions that the image has, each after what it uses.
func (s *selection) modules(m Modules) string {
	have := map[string]bool{}
	for p := range s.owner {
		if path.Dir(p) == m.Dir && path.Ext(p) == ".so" {
			have[strings.TrimSuffix(path.Base(p), ".so")] = true
		}
	}
	var text strings.Builder
	text.WriteString("; Every extension of this image, each after those that it uses.\n")
	line := func(name string) {
		if !have[name] {
			return
		}
		delete(have, name)
		directive := "extension"
		if slices.Contains(m.Zend, name) {
			directive = "zend_extension"
		}
		fmt.Fprintf(&text, "%s=%s.so\n", directive, name)
	}
	for _, name := range m.First {
		line(name)
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		line(name)
	}
	return text.String()
}

// close adds what programs, libraries and links need to the first layer, which changes least.
// dlopen is not seen: what is loaded by name stands in the recipe.
func (s *selection) close() error {
	var queue []entry
	for _, l := range s.layers {
		for _, p := range slices.Sorted(maps.Keys(l)) {
			queue = append(queue, l[p])
		}
	}
	take := func(p string) bool {
		target, links := s.follow(p)
		for _, p := range append(links, target) {
			if _, taken := s.owner[p]; taken {
				continue
			}
			e, ok := s.all[p]
			if !ok {
				return false
			}
			s.put(0, e)
			queue = append(queue, e)
		}
		return true
	}
	standard := []string{"usr/lib/" + Triplet(s.arch), "usr/lib", "usr/lib64"}
	var errs []error
	for len(queue) > 0 {
		e := queue[0]
		queue = queue[1:]
		if e.kind == tar.TypeSymlink {
			take(e.path) // a link that leads nowhere is dangling's to report
			continue
		}
		if e.binary == nil {
			continue
		}
		if e.binary.machine != machine(s.arch) {
			errs = append(errs, fmt.Errorf("/%s of %s is a program for %s, which %s does not run: drop it in the recipe", e.path, e.pkg, e.binary.machine, s.arch))
			continue
		}
		if e.binary.loader != "" && !take(e.binary.loader) {
			errs = append(errs, gap(e, e.binary.loader))
		}
		for _, library := range e.binary.needed {
			dirs := append(slices.Clone(e.binary.search), standard...)
			if !slices.ContainsFunc(dirs, func(dir string) bool { return s.has(path.Join(dir, library)) && take(path.Join(dir, library)) }) {
				errs = append(errs, gap(e, library))
			}
		}
	}
	return errors.Join(errs...)
}

func gap(e entry, library string) error {
	return fmt.Errorf("/%s of %s needs %s, which none of the image's packages has: add its package to the recipe, or take it off the recipe's leave list", e.path, e.pkg, library)
}

// has reports whether a path leads to a file that the image has or can have.
func (s *selection) has(p string) bool {
	target, _ := s.follow(p)
	if _, ok := s.owner[target]; ok {
		return true
	}
	_, ok := s.all[target]
	return ok
}

// dangling reports links to nowhere; links into what is mounted or made at start are the recipe's
// own (links), and allowed.
func (s *selection) dangling() error {
	var errs []error
	for i, l := range s.layers {
		for _, p := range slices.Sorted(maps.Keys(l)) {
			e := l[p]
			if e.kind != tar.TypeSymlink || e.pkg == "" {
				continue
			}
			target, _ := s.follow(p)
			if _, ok := s.owner[target]; ok || s.isDir(target) {
				continue
			}
			errs = append(errs, fmt.Errorf("layer %s: /%s of %s points at %s, which is not in the image: keep that too, or drop the link", s.recipe.Layers[i].Name, p, e.pkg, e.link))
		}
	}
	return errors.Join(errs...)
}

func (s *selection) isDir(p string) bool {
	if _, ok := s.dirs[p]; ok {
		return true
	}
	for other := range s.owner {
		if strings.HasPrefix(other, p+"/") {
			return true
		}
	}
	return false
}

// copyright adds the licence of each package that the layer has files of.
func (s *selection) copyright() error {
	var errs []error
	for i, l := range s.layers {
		packages := map[string]bool{}
		for _, e := range l {
			packages[e.pkg] = e.pkg != ""
			for _, part := range e.parts {
				packages[part.pkg] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(packages)) {
			if !packages[name] {
				continue
			}
			at := "usr/share/doc/" + name + "/copyright"
			target, _ := s.follow(at)
			e, ok := s.lookup(target)
			if !ok {
				if s.owner[at] == -1 {
					continue
				}
				errs = append(errs, fmt.Errorf("package %s has no copyright file", name))
				continue
			}
			e.path, e.pkg = at, name
			s.put(i, e)
		}
	}
	return errors.Join(errs...)
}

// sources names the packages that the layers have files of.
func (s *selection) sources() map[string]bool {
	used := map[string]bool{}
	for _, l := range s.layers {
		for _, e := range l {
			if e.pkg != "" {
				used[e.pkg] = true
			}
		}
	}
	return used
}

// pattern is a glob with the part before its first wildcard, which rules most paths out.
type pattern struct{ pattern, prefix string }

type patterns []pattern

func compile(globs []string) patterns {
	out := make(patterns, len(globs))
	for i, g := range globs {
		prefix := g
		if n := strings.IndexAny(g, `*?[{\`); n >= 0 {
			prefix = g[:n]
		}
		out[i] = pattern{g, strings.TrimSuffix(prefix, "/")}
	}
	return out
}

func (p pattern) match(name string) bool {
	if !strings.HasPrefix(name, p.prefix) {
		return false
	}
	ok, err := doublestar.Match(p.pattern, name)
	return err == nil && ok
}

func (ps patterns) match(name string) bool {
	return slices.ContainsFunc(ps, func(p pattern) bool { return p.match(name) })
}
