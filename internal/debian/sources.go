package debian

import (
	"io/fs"
	"path"
	"sort"
	"strings"
)

// aptSource is one URI and suite of the host's apt configuration.
type aptSource struct {
	URI        string // http or https, no slash at the end
	Suite      string
	Components []string
	SignedBy   string // a path, or a key's text; "" = apt's global keyring
	File       string // without the leading slash
}

// aptSources reads /etc/apt/sources.list and sources.list.d in apt's order. What cannot be read or is
// not understood is left out: this is a search, and apt itself complains of its own files.
func aptSources(root fs.FS) []aptSource {
	files := []string{"etc/apt/sources.list"}
	if entries, err := fs.ReadDir(root, "etc/apt/sources.list.d"); err == nil {
		var more []string
		for _, e := range entries {
			if ext := path.Ext(e.Name()); ext == ".list" || ext == ".sources" {
				more = append(more, "etc/apt/sources.list.d/"+e.Name())
			}
		}
		sort.Strings(more)
		files = append(files, more...)
	}
	var found []aptSource
	for _, file := range files {
		data, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		var sources []aptSource
		if path.Ext(file) == ".sources" {
			sources = deb822Sources(string(data))
		} else {
			sources = oneLineSources(string(data))
		}
		for _, s := range sources {
			s.File = file
			s.URI = webURI(root, s.URI)
			if s.URI != "" {
				found = append(found, s)
			}
		}
	}
	return found
}

// oneLineSources parses lines such as
//
//	deb [signed-by=/usr/share/keyrings/x.gpg arch=amd64] https://HOST/debian trixie main contrib
func oneLineSources(text string) []aptSource {
	var found []aptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || (rest[0] != ' ' && rest[0] != '\t' && rest[0] != '[') {
			continue // deb-src, or something else
		}
		var s aptSource
		rest = strings.TrimSpace(rest)
		if options, ok := strings.CutPrefix(rest, "["); ok {
			options, rest, ok = strings.Cut(options, "]")
			if !ok {
				continue
			}
			for _, option := range strings.Fields(options) {
				if key, value, _ := strings.Cut(option, "="); strings.EqualFold(key, "signed-by") {
					s.SignedBy = value
				}
			}
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		s.URI, s.Suite, s.Components = fields[0], fields[1], fields[2:]
		found = append(found, s)
	}
	return found
}

func deb822Sources(text string) []aptSource {
	var found []aptSource
	for _, stanza := range parseStanzas(text) {
		enabled := strings.ToLower(stanza["enabled"])
		if enabled == "no" || enabled == "false" || enabled == "0" {
			continue
		}
		if !hasWord(stanza["types"], "deb") {
			continue
		}
		for _, uri := range strings.Fields(stanza["uris"]) {
			for _, suite := range strings.Fields(stanza["suites"]) {
				found = append(found, aptSource{
					URI: uri, Suite: suite,
					Components: strings.Fields(stanza["components"]),
					SignedBy:   stanza["signed-by"],
				})
			}
		}
	}
	return found
}

// webURI returns the http(s) URI that uri stands for, or "". Debian's cloud images name a list of
// mirrors in a file (mirror+file:/etc/apt/mirrors/debian.list): its first line is the mirror.
func webURI(root fs.FS, uri string) string {
	if file, ok := strings.CutPrefix(uri, "mirror+file:"); ok {
		data, err := fs.ReadFile(root, strings.TrimLeft(file, "/"))
		if err != nil {
			return ""
		}
		uri = ""
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
				uri = fields[0]
				break
			}
		}
	}
	if !strings.HasPrefix(uri, "http://") && !strings.HasPrefix(uri, "https://") {
		return ""
	}
	return strings.TrimRight(uri, "/")
}

func hasWord(text, word string) bool {
	for _, w := range strings.Fields(text) {
		if w == word {
			return true
		}
	}
	return false
}
