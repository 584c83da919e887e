package image_test

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"platen/internal/image"
)

// What a site brings was never looked at: a library for another processor came as far as PHP.
func TestProgramsOfTheSiteCanRun(t *testing.T) {
	other := func(text string) string { return strings.Replace(text, "\x3e", "\xb7", 1) }
	for name, c := range map[string]struct {
		file string // of a plugin, and of image.files
		want string // "" = built
	}{
		"good":                   {program(t, "libc.so.6", "libxml.so.2"), ""},
		"static":                 {program(t), ""},
		"another processor":      {other(program(t)), "is a program for EM_AARCH64, which amd64 does not run"},
		"a library is missing":   {program(t, "libc.so.6", "libmagic.so.1"), "needs libmagic.so.1, which the image does not have"},
		"damaged":                {program(t)[:80], "read as a program"},
		"no program":             {strings.Repeat("text ", 100), ""},
		"begins like one, short": {"\x7fELF", ""},
	} {
		for where, at := range map[string]string{"plugin": "/usr/share/press/content/plugins/fast/lib/fast.so", "image.files": "/opt/fast.so"} {
			t.Run(name+" in "+where, func(t *testing.T) {
				l := newLab(t)
				l.web.Recipe.Files = []string{"**"}
				if where == "plugin" {
					l.web.Site = []image.Tree{{Kind: "plugins", Name: "fast", Files: tree(fstest.MapFS{"lib/fast.so": {Data: []byte(c.file)}})}}
				} else {
					l.web.Files = []image.Placed{{To: "opt/fast.so", Files: fstest.MapFS{"x": {Data: []byte(c.file)}}, From: "x"}}
				}
				_, err := l.builder().Build(context.Background(), l.web)
				if c.want == "" && err != nil {
					t.Error(err)
				}
				if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), at)) {
					t.Errorf("err = %v, want %s of %s", err, c.want, at)
				}
				// Where it is only served it may be of any kind.
				l.web.Recipe.Static = true
				if _, err := l.builder().Build(context.Background(), l.web); err != nil {
					t.Errorf("served: %v", err)
				}
			})
		}
	}
}

// A plugin's library may come with the library that it needs.
func TestProgramsFindLibrariesBesideThem(t *testing.T) {
	l := newLab(t)
	l.web.Recipe.Files = []string{"**"}
	l.web.Files = []image.Placed{{To: "usr/local", From: ".", Files: fstest.MapFS{
		"bin/tool": {Data: []byte(program(t, "libz.so.1"))},
	}}}
	if _, err := l.builder().Build(context.Background(), l.web); err == nil || !strings.Contains(err.Error(), "libz.so.1") {
		t.Errorf("err = %v, want libz.so.1", err)
	}
	l.web.Files = append(l.web.Files, image.Placed{To: "usr/lib/libz.so.1", From: "z", Files: fstest.MapFS{"z": {Data: []byte(program(t))}}})
	if _, err := l.builder().Build(context.Background(), l.web); err != nil {
		t.Error(err)
	}
}
