package source

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// listing is what an archive's entries add up to. It refuses what could leave the archive's folder,
// what cannot be the same on every file system, and what is larger than the limits.
type listing struct {
	limits Limits
	nodes  map[string]node   // by clean path; parents are there, "." is not
	folded map[string]string // the path in small letters → as it is spelled
	count  int
	total  int64
}

// node is one path. Modes are not kept: in an image a file is 0644 and a folder 0755.
type node struct {
	kind fs.FileMode // 0, fs.ModeDir or fs.ModeSymlink
	link string      // a symbolic link's target
	size int64       // of a file
	made bool        // the folder was made for what is below it: the archive may still name it
}

func newListing(l Limits) *listing {
	return &listing{limits: l, nodes: map[string]node{}, folded: map[string]string{}}
}

// add takes an entry under its name as the archive has it, and returns its clean path; "" for
// the archive's own top ("./"), which is no entry.
func (l *listing) add(raw string, mode fs.FileMode, link string, size int64) (string, error) {
	if l.count++; l.count > l.limits.Entries {
		return "", fmt.Errorf("more than %d entries", l.limits.Entries)
	}
	p, err := l.clean(raw)
	if err != nil {
		return "", fmt.Errorf("%s: %w", quote(raw), err)
	}
	if p == "" {
		return "", nil
	}
	n := node{kind: mode.Type(), link: link}
	switch {
	case mode&fs.ModeSetuid != 0, mode&fs.ModeSetgid != 0 && n.kind != fs.ModeDir: // of a folder it only says who inherits
		err = errors.New("is set-user-id or set-group-id")
	case n.kind == 0:
		n.size = size
		err = l.weigh(size)
	case n.kind == fs.ModeSymlink:
		err = inside(p, link)
	case n.kind != fs.ModeDir:
		err = fmt.Errorf("neither file, folder nor link (%s)", n.kind)
	}
	if err == nil {
		err = l.place(p, n)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", quote(raw), err)
	}
	return p, nil
}

// clean checks a name. A path that needs cleaning is refused, not repaired: two programs that
// repair it differently would see two archives.
func (l *listing) clean(raw string) (string, error) {
	p := strings.TrimSuffix(strings.TrimPrefix(raw, "./"), "/")
	switch {
	case p == "" || p == ".":
		if raw == "" || raw == "/" {
			return "", errors.New("has no name")
		}
		return "", nil
	case len(p) > l.limits.Path:
		return "", fmt.Errorf("a path of %d bytes: at most %d are taken", len(p), l.limits.Path)
	case !utf8.ValidString(p):
		return "", errors.New("a name that is not UTF-8")
	case strings.Contains(p, `\`):
		return "", errors.New("a name with a backslash: pack it with a program that writes /")
	case strings.ContainsFunc(p, unicode.IsControl):
		return "", errors.New("a name with a control character")
	case path.IsAbs(p), len(p) > 1 && p[1] == ':':
		return "", errors.New("an absolute path")
	}
	for name := range strings.SplitSeq(p, "/") {
		switch {
		case name == "..":
			return "", errors.New("leaves the archive's folder")
		case name == "" || name == ".":
			return "", errors.New("a path with an empty name or a dot in it")
		case len(name) > l.limits.Name:
			return "", fmt.Errorf("a name of %d bytes: at most %d are taken", len(name), l.limits.Name)
		}
	}
	return p, nil
}

// weigh adds a file's size.
func (l *listing) weigh(size int64) error {
	if size < 0 || size > l.limits.File {
		return fmt.Errorf("%d bytes: at most %d are taken of one file", size, l.limits.File)
	}
	if l.total += size; l.total > l.limits.Total {
		return fmt.Errorf("more than %d bytes unpacked", l.limits.Total)
	}
	return nil
}

// dense reports a bomb: much more unpacked than packed.
func (l *listing) dense(unpacked, packed int64) error {
	if unpacked > l.limits.Slack && unpacked/max(packed, 1) > l.limits.Ratio {
		return fmt.Errorf("unpacks to more than %d times its size", l.limits.Ratio)
	}
	return nil
}

// inside checks a link's target. It may only go up at its beginning: then all links together
// cannot leave the folder either, wherever they point.
func inside(p, target string) error {
	lands := path.Join(path.Dir(p), target)
	switch {
	case target == "" || len(target) > 1024 || !utf8.ValidString(target) || strings.ContainsFunc(target, unicode.IsControl):
		return errors.New("a link without a sound target")
	case strings.Contains(target, `\`):
		return fmt.Errorf("a link to %s: with a backslash", quote(target))
	case path.IsAbs(target), lands == "..", strings.HasPrefix(lands, "../"):
		return fmt.Errorf("a link that leaves the folder (%s)", quote(target))
	case path.Clean(target) != strings.TrimSuffix(target, "/"):
		return fmt.Errorf("a link whose target turns back on its way (%s)", quote(target))
	}
	return nil
}

// place puts a node at its path, and folders above it.
func (l *listing) place(p string, n node) error {
	for up := path.Dir(p); up != "."; up = path.Dir(up) {
		above, ok := l.nodes[up]
		if ok && above.kind != fs.ModeDir {
			return fmt.Errorf("lies below %s, which is no folder", quote(up))
		}
		if ok {
			break
		}
		if err := l.spell(up); err != nil {
			return err
		}
		l.nodes[up] = node{kind: fs.ModeDir, made: true}
	}
	if other, ok := l.nodes[p]; ok {
		if n.kind != fs.ModeDir || other.kind != fs.ModeDir {
			return errors.New("is there twice")
		}
		l.nodes[p] = n
		return nil
	}
	if err := l.spell(p); err != nil {
		return err
	}
	l.nodes[p] = n
	return nil
}

// spell refuses two paths that only differ in case.
func (l *listing) spell(p string) error {
	fold := strings.ToLower(p)
	if other, same := l.folded[fold]; same && other != p {
		return fmt.Errorf("differs from %s only in upper and lower case, which some file systems cannot hold", quote(other))
	}
	l.folded[fold] = p
	return nil
}

// quote makes a name out of an archive fit for a line on a terminal.
func quote(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		s = string(runes[:80]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
