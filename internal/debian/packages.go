package debian

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// entry is one package of an index. Its strings share the index's text.
type entry struct {
	name, version, arch string
	preDepends, depends string
	provides, priority  string
	source              string // the source package, "" when it has the same name
	sha256, filename    string
	size                int64
	part                string // main, updates, security
}

// The fields of an index that are read; the rest, nine tenths of it, is dropped while unpacking.
var keptFields = [][]byte{
	[]byte("Package:"), []byte("Version:"), []byte("Architecture:"),
	[]byte("Depends:"), []byte("Pre-Depends:"), []byte("Provides:"), []byte("Priority:"),
	[]byte("Source:"), []byte("SHA256:"), []byte("Size:"), []byte("Filename:"),
}

func kept(line []byte) bool {
	for _, f := range keptFields {
		if line[0] == f[0] && bytes.HasPrefix(line, f) {
			return true
		}
	}
	return false
}

// slim copies a Packages file with the kept fields only, one line each. The result is a Packages
// file again, a quarter of the size: what the cache holds.
func slim(out *strings.Builder, packages io.Reader) error {
	in := bufio.NewReaderSize(packages, 1<<20)
	keeping, any := false, false // keeping: the last field is copied, its line not yet ended
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return errors.New("a line is longer than 1 MiB")
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0:
			if keeping {
				out.WriteByte('\n')
			}
			if any {
				out.WriteByte('\n')
			}
			keeping, any = false, false
		case line[0] == ' ' || line[0] == '\t':
			if keeping {
				out.WriteByte(' ')
				out.Write(bytes.TrimSpace(line))
			}
		default:
			if keeping {
				out.WriteByte('\n')
			}
			if keeping = kept(line); keeping {
				any = true
				out.Write(line)
			}
		}
		if err != nil { // the end
			if keeping {
				out.WriteByte('\n')
			}
			return nil
		}
	}
}

// parsePackages reads what slim wrote.
func parsePackages(text, part string) ([]entry, error) {
	all := make([]entry, 0, len(text)/400) // trixie: 420 bytes an entry
	var e entry
	open := false
	end := func() error {
		if !open {
			return nil
		}
		if e.name == "" || e.version == "" || e.arch == "" || e.filename == "" || e.size <= 0 || !isSHA256(e.sha256) {
			return fmt.Errorf("the entry of package %q (number %d) lacks a field", e.name, len(all)+1)
		}
		all = append(all, e)
		e, open = entry{}, false
		return nil
	}
	for len(text) > 0 {
		var line string
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			line, text = text, ""
		}
		if line == "" {
			if err := end(); err != nil {
				return nil, err
			}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		open, e.part = true, part
		switch field {
		case "Package":
			e.name = value
		case "Version":
			e.version = value
		case "Architecture":
			e.arch = value
		case "Depends":
			e.depends = value
		case "Pre-Depends":
			e.preDepends = value
		case "Provides":
			e.provides = value
		case "Priority":
			e.priority = value
		case "Source":
			e.source = value
		case "SHA256":
			e.sha256 = value
		case "Filename":
			e.filename = value
		case "Size":
			size, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("size of %s: %w", e.name, err)
			}
			e.size = size
		}
	}
	return all, end()
}
