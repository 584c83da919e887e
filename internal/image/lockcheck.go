package image

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// What names and versions of packages consist of (Debian Policy 5.6.7 and 5.6.12). They become parts
// of addresses and paths.
var (
	packageName    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	packageVersion = regexp.MustCompile(`^([0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+~:-]*$`)
	rootsForm      = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// maxPackage is larger than any package of Debian's: 2 GiB.
const maxPackage = 2 << 30

// check looks for what a hand or a merge broke, all of it at once, each with its line.
func (l Lock) check(data []byte) error {
	where := locator(data)
	var errs []error
	for i, d := range l.Archives {
		for _, c := range []struct {
			key string
			ok  bool
			why string
		}{
			{"name", d.Name != "", "has no name"},
			{"url", strings.HasPrefix(d.URL, "https://") || strings.HasPrefix(d.URL, "http://"), "has no address: https://… or http://…"},
			{"sha256", isSHA256(d.SHA256), fmt.Sprintf("%q is not a SHA-256: 64 hexadecimal digits", d.SHA256)},
			{"size", d.Size > 0 && d.Size <= maxPackage, fmt.Sprintf("cannot be %d bytes long", d.Size)},
		} {
			if !c.ok {
				errs = append(errs, fmt.Errorf("%sarchive %q %s", where(fmt.Sprintf("$.archives[%d].%s", i, c.key)), d.Name, c.why))
			}
		}
	}
	for _, arch := range slices.Sorted(maps.Keys(l.Architectures)) {
		a := l.Architectures[arch]
		at := "$.architectures." + arch
		bad := func(at, format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s%s: %s", where(at), arch, fmt.Sprintf(format, args...)))
		}
		if Triplet(arch) == "" {
			bad(at, "not an architecture that is built: amd64 and arm64 are")
			continue
		}
		if a == nil {
			bad(at, "architecture is empty")
			continue
		}
		for _, image := range slices.Sorted(maps.Keys(a.Roots)) {
			if !rootsForm.MatchString(a.Roots[image]) {
				bad(at+".roots."+image, "roots of %s: %q is not a digest of 16 hexadecimal digits", image, a.Roots[image])
			}
		}
		for _, image := range slices.Sorted(maps.Keys(a.Closures)) {
			if !rootsForm.MatchString(a.Closures[image]) {
				bad(at+".closures."+image, "closure of %s: %q is not a digest of 16 hexadecimal digits", image, a.Closures[image])
			}
		}
		seen := map[string]bool{}
		for i, p := range a.Packages {
			entry := fmt.Sprintf("%s.packages[%d]", at, i)
			for _, c := range []struct {
				key string
				ok  bool
				why string
			}{
				{"name", packageName.MatchString(p.Name), "is not a name of a package"},
				{"name", !seen[p.Name], "is pinned twice"},
				{"version", packageVersion.MatchString(p.Version), fmt.Sprintf("%q is not a version", p.Version)},
				{"arch", p.Architecture == arch || p.Architecture == "all", fmt.Sprintf("is for %q: it must be for %s or all", p.Architecture, arch)},
				{"sha256", isSHA256(p.SHA256), fmt.Sprintf("%q is not a SHA-256: 64 hexadecimal digits", p.SHA256)},
				{"size", p.Size > 0 && p.Size <= maxPackage, fmt.Sprintf("cannot be %d bytes long", p.Size)},
				{"file", strings.HasPrefix(p.Filename, "pool/") && path.Clean(p.Filename) == p.Filename && !strings.ContainsAny(p.Filename, "?#\\%"), fmt.Sprintf("file %q is not below the archive's pool/", p.Filename)},
				{"from", slices.Contains([]string{"main", "updates", "security"}, p.Archive), fmt.Sprintf("is from %q: there are main, updates and security", p.Archive)},
			} {
				if !c.ok {
					bad(entry+"."+c.key, "package %q %s", p.Name, c.why)
				}
			}
			seen[p.Name] = true
		}
	}
	return errors.Join(errs...)
}

// locator returns a function from a path to the line that it is on, as "line 12: ", or "" when there
// is no such place. The file is parsed again only when there is something to report.
func locator(data []byte) func(at string) string {
	var file *ast.File
	return func(at string) string {
		if file == nil {
			var err error
			if file, err = parser.ParseBytes(data, 0); err != nil {
				return ""
			}
		}
		for at != "$" {
			if p, err := yaml.PathString(at); err == nil {
				if node, err := p.FilterFile(file); err == nil && node != nil {
					return fmt.Sprintf("line %d: ", node.GetToken().Position.Line)
				}
			}
			at = at[:max(strings.LastIndexByte(at, '.'), 1)] // a key that is missing: where it should be
		}
		return ""
	}
}
