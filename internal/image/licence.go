package image

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// spdx are the identifiers of SPDX for the short names of Debian's machine-readable copyright files,
// where they mean the same licence. (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/)
var spdx = func() map[string]string {
	names := map[string]string{
		"expat": "MIT", "mit": "MIT", "isc": "ISC", "zlib": "Zlib", "curl": "curl", "x11": "X11", "ftl": "FTL",
		"apache-2.0": "Apache-2.0", "apache-2": "Apache-2.0", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause",
		"bsd-4-clause": "BSD-4-Clause", "0bsd": "0BSD", "cc0-1.0": "CC0-1.0", "cc0": "CC0-1.0", "cc-by-3.0": "CC-BY-3.0", "cc-by-4.0": "CC-BY-4.0",
		"cc-by-sa-3.0": "CC-BY-SA-3.0", "cc-by-sa-4.0": "CC-BY-SA-4.0", "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "openssl": "OpenSSL",
		"php-3.01": "PHP-3.01", "php-3.0": "PHP-3.0", "ofl-1.1": "OFL-1.1", "sil-1.1": "OFL-1.1", "bsl-1.0": "BSL-1.0", "boost-1.0": "BSL-1.0",
		"wtfpl": "WTFPL", "unlicense": "Unlicense", "unicode-dfs-2016": "Unicode-DFS-2016", "artistic-2.0": "Artistic-2.0",
	}
	for short, id := range map[string][]string{
		"gpl": {"1", "2", "3"}, "lgpl": {"2", "2.1", "3"}, "agpl": {"3"}, "gfdl": {"1.2", "1.3"},
	} {
		for _, version := range id {
			full := version
			if !strings.Contains(full, ".") {
				full += ".0"
			}
			for _, spelled := range []string{version, full} {
				names[short+"-"+spelled] = strings.ToUpper(short) + "-" + full + "-only"
				names[short+"-"+spelled+"+"] = strings.ToUpper(short) + "-" + full + "-or-later"
			}
		}
	}
	return names
}()

// between parts a synopsis into single licences.
var between = regexp.MustCompile(`(?i)\s+(?:or|and)\s+|\s*,\s*(?:(?:or|and)\s+)?`)

// licences reads the short names of a machine-readable copyright file, as SPDX has them where it has
// the same; nil for a file in prose.
func licences(copyright io.Reader) ([]string, error) {
	lines := bufio.NewScanner(copyright)
	lines.Buffer(make([]byte, 0, 1<<16), 1<<20)
	found := map[string]bool{}
	machine, first := false, true
	for lines.Scan() {
		line := lines.Text()
		if first && strings.TrimSpace(line) == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		key = strings.ToLower(strings.TrimSpace(key))
		if first {
			if first = false; !ok || (key != "format" && key != "format-specification") {
				return nil, nil
			}
			machine = true
			continue
		}
		if !ok || key != "license" || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		for _, name := range between.Split(strings.TrimSpace(value), -1) {
			if id := spdx[strings.ToLower(name)]; id != "" {
				name = id
			}
			if name != "" {
				found[name] = true
			}
		}
	}
	if err := lines.Err(); err != nil || !machine {
		return nil, err
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// isSPDX reports whether a name is an identifier of SPDX, as licences returns it.
var isSPDX = func() func(string) bool {
	ids := map[string]bool{}
	for _, id := range spdx {
		ids[id] = true
	}
	return func(name string) bool { return ids[name] }
}()

// licences reads the copyright files that the layers have.
func (b *Builder) licences(s *selection) (map[string][]string, error) {
	found := map[string][]string{}
	for _, l := range s.layers {
		for p, e := range l {
			if path.Base(p) != "copyright" || path.Dir(path.Dir(p)) != "usr/share/doc" {
				continue
			}
			content, err := b.content(e)
			if err != nil {
				return nil, err
			}
			names, err := licences(content)
			if err = errors.Join(err, content.Close()); err != nil {
				return nil, fmt.Errorf("read /%s: %w", p, err)
			}
			if len(names) > 0 {
				found[e.pkg] = names
			}
		}
	}
	return found, nil
}
