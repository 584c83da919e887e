package debian

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"platen/internal/debian/debiantest"
)

// FuzzDeb reads a .deb's outer archive, its control file and the beginning of its data, as Open
// does with a file whose hash was verified: nothing of it may hang, panic or read without end.
func FuzzDeb(f *testing.F) {
	sound := debiantest.Package{Name: "nginx"}.Deb(f)
	f.Add(sound)
	f.Add(sound[:len(sound)/2])
	f.Add([]byte("!<arch>\n"))
	f.Add(append([]byte("!<arch>\n"), bytes.Repeat([]byte{' '}, 60)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := newAr(bytes.NewReader(data))
		if err != nil {
			return
		}
		for n := 0; ; n++ {
			name, member, err := members.next()
			if err != nil {
				if errors.Is(err, io.EOF) && n > len(data)/60 {
					t.Fatalf("%d members in %d bytes", n, len(data))
				}
				return
			}
			switch {
			case strings.HasPrefix(name, "control.tar"):
				_, _ = readControl(name, member)
			case strings.HasPrefix(name, "data.tar"):
				if plain, err := decompress(name, member); err == nil {
					_, _ = io.CopyN(io.Discard, plain, 1<<16)
					_ = plain.Close()
				}
			}
		}
	})
}

// FuzzControl: the format of control files, of InRelease and of an index.
func FuzzControl(f *testing.F) {
	f.Add("Package: nginx\nVersion: 1.26.3-3\nDepends: libc6 (>= 2.38), a | b:any [amd64]\n folded\n\nPackage: b\n")
	f.Add("Package: x\nVersion: 1\nArchitecture: all\nFilename: pool/x.deb\nSize: 1\nSHA256: " + strings.Repeat("0", 64) + "\n\n")
	f.Add(":\n :\n\n#\n\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseStanzas(text) {
			for key, value := range s {
				if key != strings.ToLower(key) || strings.Contains(key, ":") {
					t.Fatalf("field %q: %q", key, value)
				}
			}
			_, _ = parseRelations(s["depends"])
		}
		_, _ = parseRelease(text)
		var slimmed strings.Builder
		if slim(&slimmed, strings.NewReader(text)) != nil {
			return
		}
		entries, err := parsePackages(slimmed.String(), "main")
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.name == "" || e.size < 0 {
				t.Fatalf("%+v came through", e)
			}
		}
	})
}
