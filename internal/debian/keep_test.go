package debian_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"slices"
	"strings"
	"testing"

	"platen/internal/debian/debiantest"
	"platen/internal/image"
	"platen/internal/report"
)

// Two sites of an archive that moves on: what was pinned on the first day is asked for again on the
// second, with one package more.
func TestPinnedPackagesStayWhereTheyCan(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  []pkg
		pinned string
		second []pkg
		roots  string
		want   string
		drop   string // a package that nobody has any more
	}{
		{
			name:   "a newer version is not taken",
			first:  []pkg{{Name: "web", Depends: "lib"}, {Name: "lib"}, {Name: "more"}},
			pinned: "web", second: []pkg{{Name: "lib", Version: "2"}, {Name: "web", Version: "2", Depends: "lib"}},
			roots: "web more", want: "lib=1.0-1 more=1.0-1 web=1.0-1",
		},
		{
			name:   "a new one that needs a newer one moves that alone",
			first:  []pkg{{Name: "web", Depends: "lib, other"}, {Name: "lib"}, {Name: "other"}},
			pinned: "web", second: []pkg{{Name: "lib", Version: "2"}, {Name: "other", Version: "2"}, {Name: "more", Depends: "lib (>= 2)"}},
			roots: "web more", want: "lib=2 more=1.0-1 other=1.0-1 web=1.0-1",
		},
		{
			name: "what is of one source moves together",
			first: []pkg{{Name: "fpm", Source: "php", Depends: "common (= 1.0-1)"}, {Name: "common", Source: "php"},
				{Name: "soap", Source: "php", Depends: "common (= 1.0-1)"}, {Name: "lib"}, {Name: "web", Depends: "fpm, lib"}},
			pinned: "web",
			second: []pkg{{Name: "fpm", Source: "php", Version: "2", Depends: "common (= 2)"}, {Name: "common", Source: "php", Version: "2"},
				{Name: "soap", Source: "php", Version: "2", Depends: "common (= 2)"}, {Name: "lib", Version: "2"}},
			roots: "web soap", want: "common=2 fpm=2 lib=1.0-1 soap=2 web=1.0-1",
		},
		{
			name:   "what the old version needs stays, what only the new one needs is not taken",
			first:  []pkg{{Name: "web", Depends: "lib1"}, {Name: "lib1"}, {Name: "more"}},
			pinned: "web", second: []pkg{{Name: "web", Version: "2", Depends: "lib2"}, {Name: "lib2"}},
			roots: "web more", want: "lib1=1.0-1 more=1.0-1 web=1.0-1",
		},
		{
			name:   "what nobody has any more is taken as it is today",
			first:  []pkg{{Name: "web", Depends: "lib"}, {Name: "lib"}, {Name: "more"}},
			pinned: "web", second: []pkg{{Name: "lib", Version: "2"}, {Name: "web", Version: "2", Depends: "lib"}},
			roots: "web more", want: "lib=1.0-1 more=1.0-1 web=2", drop: "web",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := debiantest.New(t, tt.first...)
			_, old := pinned(t, from, strings.Fields(tt.pinned))
			from.Add(tt.second...)
			for _, p := range tt.second {
				if tt.drop != "" {
					from.Drop(p.Name, "1.0-1")
				}
			}
			if tt.drop != "" {
				// The library is in the cache of this machine; the program is nowhere.
				a := open(t, from)
				old = slices.DeleteFunc(old, func(p image.Package) bool {
					return p.Name == "lib" && a.Fetch(context.Background(), []image.Package{p}, nil) != nil
				})
				i := slices.IndexFunc(old, func(p image.Package) bool { return p.Name == tt.drop })
				old[i].SHA256 = strings.Repeat("ab", 32)
				check(t, a, tt.roots, old, tt.want)
				return
			}
			check(t, open(t, from), tt.roots, old, tt.want)
		})
	}
}

// A line that is down says nothing of what is still to be had.
func TestPinnedPackagesDoNotMoveBecauseALineIsDown(t *testing.T) {
	from := debiantest.New(t, pkg{Name: "web"}, pkg{Name: "more"})
	_, old := pinned(t, from, []string{"web"})
	from.Add(pkg{Name: "web", Version: "2"})
	from.Drop("web", "1.0-1")
	a := open(t, from)
	from.Fault(debiantest.Fault{Path: "/snapshot/", Status: 503})
	_, err := a.Resolve(context.Background(), "amd64", []string{"web", "more"}, nil, old, nil)
	mustSay(t, err, "keep web at its pinned version", "web 1.0-1", "answered 404", "answered 503", "try again", "platen image update")
	from.Heal()
	check(t, a, "web more", old, "more=1.0-1 web=1.0-1")
	from.Forget()
	check(t, open(t, from), "web more", old, "more=1.0-1 web=2")
}

type resolver interface {
	Resolve(ctx context.Context, arch string, roots, exclude []string, keep []image.Package, sink report.Sink) ([]image.Package, error)
}

func check(t *testing.T, a resolver, roots string, keep []image.Package, want string) {
	t.Helper()
	got, err := a.Resolve(context.Background(), "amd64", strings.Fields(roots), nil, keep, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, p := range got {
		text = append(text, p.Name+"="+p.Version)
	}
	if s := strings.Join(text, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

const changelog = `openssl (3.5.1-1+deb13u2) trixie-security; urgency=medium

  * CVE-2025-9230 (Out-of-bounds read & write in RFC 3211 KEK Unwrap)
  * CVE-2025-9231, see also DSA-6015-1.

 -- A Maintainer <a@example.org>  Tue, 30 Sep 2025 12:00:00 +0000

openssl (3.5.1-1+deb13u1) trixie; urgency=medium

  * Fix CVE-2025-4575 (Closes: #123)

 -- A Maintainer <a@example.org>  Tue, 30 Jul 2025 12:00:00 +0000

openssl (3.5.1-1) unstable; urgency=medium

  * New version: CVE-2024-0001

 -- A Maintainer <a@example.org>  Tue, 1 Jul 2025 12:00:00 +0000
`

func TestNotesAreOfTheVersionsThatAreNew(t *testing.T) {
	pack := func(text string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	doc := func(name, file, text string) pkg {
		return pkg{Name: name, Files: []debiantest.File{{Path: "usr/share/doc/" + name + "/" + file, Content: text}}}
	}
	a, packages := pinned(t, debiantest.New(t,
		doc("openssl", "changelog.Debian.gz", pack(changelog)),
		doc("native", "changelog.gz", pack(strings.ReplaceAll(changelog, "-security", ""))),
		doc("upstream", "changelog.gz", pack("2.0: CVE-2020-1111 fixed\n")),
		doc("silent", "copyright", "©"),
		doc("broken", "changelog.Debian.gz", "not gzip"),
	), []string{"openssl", "native", "upstream", "silent", "broken"})
	if err := a.Fetch(context.Background(), packages, nil); err != nil {
		t.Fatal(err)
	}
	byName := map[string]image.Package{}
	for _, p := range packages {
		byName[p.Name] = p
	}
	for _, tt := range []struct {
		name, since string
		ok, secure  bool
		references  string
	}{
		{"openssl", "3.5.1-1", true, true, "CVE-2025-4575 CVE-2025-9230 CVE-2025-9231 DSA-6015-1"},
		{"openssl", "3.5.1-1+deb13u1", true, true, "CVE-2025-9230 CVE-2025-9231 DSA-6015-1"},
		{"openssl", "3.5.1-1+deb13u2", true, false, ""},
		{"native", "3.5.1-1+deb13u1", true, true, "CVE-2025-9230 CVE-2025-9231 DSA-6015-1"},
		{"upstream", "1", false, false, ""},
		{"silent", "1", false, false, ""},
	} {
		notes, ok, err := a.Notes(byName[tt.name], tt.since)
		if err != nil || ok != tt.ok || notes.Security != tt.secure || strings.Join(notes.References, " ") != tt.references {
			t.Errorf("%s since %s: %+v, %v, %v", tt.name, tt.since, notes, ok, err)
		}
	}
	if _, _, err := a.Notes(byName["broken"], "1"); err == nil || !strings.Contains(err.Error(), "changelog of broken") {
		t.Errorf("got %v", err)
	}
}
