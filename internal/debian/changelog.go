package debian

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"platen/internal/image"
)

var (
	// changelogHead begins an entry: source (version) suites; urgency=level. (Debian Policy 4.4)
	changelogHead = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+ \(([^ )]+)\) ([a-zA-Z0-9 ~+.-]+);`)
	// reference is what Debian's security tracker knows a flaw or an advisory by.
	reference = regexp.MustCompile(`\b(CVE-\d{4}-\d{4,}|D[SL]A-\d+(-\d+)?|GHSA(-[0-9a-z]{4}){3})\b`)
)

// maxChangelog is how much of a changelog is read; its newest entries come first.
const maxChangelog = 4 << 20

// Notes reads what the changelog of a fetched package says of the versions after since. ok is false
// when the package has none: its documentation is then another package's of the same source.
func (a *Archive) Notes(p image.Package, since string) (notes image.Notes, ok bool, err error) {
	data, err := a.Open(p)
	if err != nil {
		return notes, false, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	for files := tar.NewReader(io.LimitReader(data, image.DefaultLimits.Bytes)); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return notes, false, nil
		}
		if err != nil {
			return notes, false, fmt.Errorf("read the changelog of %s %s: %w", p.Name, p.Version, err)
		}
		dir, name := path.Split(path.Clean("/" + h.Name))
		// Debian's own is changelog.Debian.gz; of what was made for Debian, changelog.gz.
		if h.Typeflag != tar.TypeReg || dir != "/usr/share/doc/"+p.Name+"/" || (name != "changelog.Debian.gz" && name != "changelog.gz") {
			continue
		}
		plain, err := gzip.NewReader(files)
		if err != nil {
			return notes, false, fmt.Errorf("read the changelog of %s %s: %w", p.Name, p.Version, err)
		}
		if notes, ok, err = readChangelog(io.LimitReader(plain, maxChangelog), since); err != nil {
			return notes, false, fmt.Errorf("read the changelog of %s %s: %w", p.Name, p.Version, err)
		}
		if ok || name == "changelog.Debian.gz" {
			return notes, ok, nil
		}
		// The changelog of the project itself, in a form of its own: Debian's comes after it or not at all.
	}
}

// readChangelog reads entries until the first that is not newer than since. ok is false when the text
// is no changelog of Debian's.
func readChangelog(text io.Reader, since string) (notes image.Notes, ok bool, err error) {
	lines := bufio.NewScanner(text)
	lines.Buffer(make([]byte, 0, 1<<16), 1<<20)
	seen := map[string]bool{}
	for lines.Scan() {
		line := lines.Text()
		if head := changelogHead.FindStringSubmatch(line); head != nil {
			if ok = true; !newer(head[1], since) {
				break
			}
			notes.Security = notes.Security || strings.Contains(head[2], "security")
			continue
		}
		if !ok {
			if strings.TrimSpace(line) != "" {
				return notes, false, nil
			}
			continue
		}
		for _, r := range reference.FindAllString(line, -1) {
			if !seen[r] {
				seen[r] = true
				notes.References = append(notes.References, r)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return notes, ok, err
	}
	slices.Sort(notes.References)
	notes.Security = notes.Security || len(notes.References) > 0
	return notes, ok, nil
}
