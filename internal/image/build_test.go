package image_test

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"platen/internal/image"
)

const web = `
layers:
  - name: system
    packages: [libc]
    bundles: [{from: usr/share/authorities/*.crt, to: etc/ssl/all.crt}]
  - name: php
    packages: [php]
    extra: true
    keep: [usr/sbin/fpm, "usr/lib/php/*.so"]
    modules: {dir: usr/lib/php, to: etc/php.ini, first: [mysqlnd], zend: [opcache]}
    dirs: [{path: run/php, mode: 0700, uid: 33}]
  - name: core
    alone: [press]
    keep: [usr/share/press/**]
    drop: [usr/share/press/config.php]
    minified: [usr/share/press/**]
    real: [usr/share/press/**]
users: [{name: www-data, uid: 33, home: /var/www}]
agent: {binary: platen-agent, to: usr/bin/platen-agent}
site:
  image: {to: usr/share/press/content}
config: {entrypoint: [/usr/bin/platen-agent], user: "33:33"}
`

const jobs = `
base: web
layers:
  - name: tools
    packages: [client]
    keep: [usr/bin/client]
  - name: seed
    alone: [press-theme]
    keep: [usr/share/press/themes/**]
    move: [{from: usr/share/press, to: usr/share/seed}]
site:
  shared: {to: usr/share/seed}
config: {entrypoint: [/usr/bin/client]}
`

// lab is packages, recipes and files of an image and of one on top of it.
type lab struct {
	shelf *shelf
	blobs *memory
	fs    fstest.MapFS
	web   image.Input
	jobs  image.Input
}

func newLab(t *testing.T) *lab {
	l := &lab{shelf: &shelf{}, blobs: newMemory(), fs: fstest.MapFS{
		"agent/bin/platen-agent-linux-amd64.gz": {Data: packed(t, agent)},
		"web/image.yaml":                        {Data: []byte(web)},
		"web/usr/share/press/config.php":        {Data: []byte("<?php // ours")},
		"jobs/image.yaml":                       {Data: []byte(jobs)},
	}}
	libc := l.shelf.add(t, "libc", files{
		"lib/x86_64-linux-gnu/libc.so.6":   program(t),
		"usr/share/authorities/b.crt":      "B\n",
		"usr/share/authorities/a.crt":      "A\n",
		"usr/share/man/man1/libc.1.gz":     "manual",
		"usr/lib/x86_64-linux-gnu/junk.so": program(t),
	})
	xml := l.shelf.add(t, "libxml", files{
		"usr/lib/x86_64-linux-gnu/libxml.so.2":   "-> libxml.so.2.9",
		"usr/lib/x86_64-linux-gnu/libxml.so.2.9": program(t, "libc.so.6"),
	})
	php := l.shelf.add(t, "php", files{
		"usr/sbin/fpm":           program(t, "libxml.so.2", "libc.so.6"),
		"usr/lib/php/mysqli.so":  program(t),
		"usr/lib/php/mysqlnd.so": program(t),
		"usr/lib/php/opcache.so": program(t),
		"bin/sh":                 "shell",
		"usr/bin/su":             "suid:su",
	})
	press := l.shelf.add(t, "press", files{
		"usr/share/press/index.php":        "<?php",
		"usr/share/press/config.php":       "<?php // Debian's",
		"usr/share/press/js/a.js":          "long",
		"usr/share/press/js/a.min.js":      "short",
		"usr/share/press/js/b.js":          "only",
		"usr/share/press/js/lodash":        "-> ../../javascript/lodash",
		"usr/share/press/suid.php":         "suid:<?php",
		"usr/share/javascript/lodash/l.js": "lodash",
	})
	client := l.shelf.add(t, "client", files{"usr/bin/client": program(t, "libxml.so.2", "libz.so.1")})
	z := l.shelf.add(t, "zlib", files{"usr/lib/x86_64-linux-gnu/libz.so.1": program(t)})
	theme := l.shelf.add(t, "press-theme", files{"usr/share/press/themes/five/style.css": "body{}"})
	l.web = image.Input{Recipe: recipe(t, "web", web), Packages: []image.Package{libc, xml, php, press}, Content: "image"}
	l.jobs = image.Input{Recipe: recipe(t, "jobs", jobs), Packages: []image.Package{libc, xml, client, z, theme}, Content: "image"}
	return l
}

func (l *lab) builder() *image.Builder {
	return &image.Builder{Arch: "amd64", Source: l.shelf, Blobs: l.blobs, Rootfs: l.fs}
}

func TestImageHoldsWhatItsRecipeSays(t *testing.T) {
	l := newLab(t)
	img := build(t, l.builder(), l.web)
	got := content(t, img)
	for path, want := range map[string]string{
		"bin":                                  "-> usr/bin",
		"lib64":                                "-> usr/lib64",
		"tmp/":                                 "1777 0 ",
		"run/php/":                             "700 33 ",
		"etc/ssl/all.crt":                      "644 0 A\nB\n",
		"etc/php.ini":                          "644 0 ; Every extension of this image, each after those that it uses.\nextension=mysqlnd.so\nextension=mysqli.so\nzend_extension=opcache.so\n",
		"usr/lib/x86_64-linux-gnu/libxml.so.2": "-> libxml.so.2.9",
		"usr/share/press/js/a.min.js":          "644 0 short",
		"usr/share/press/js/b.js":              "644 0 only",
		"usr/share/press/js/lodash/l.js":       "644 0 lodash",
		"usr/share/press/config.php":           "644 0 <?php // ours",
		"usr/share/press/suid.php":             "755 0 <?php",
		"usr/share/doc/libxml/copyright":       "644 0 All rights of libxml",
		"usr/bin/platen-agent":                 "755 0 " + agent,
	} {
		if got[path] != want {
			t.Errorf("%s is %q, want %q", path, got[path], want)
		}
	}
	if !strings.Contains(got["etc/passwd"], "www-data:x:33:33::/var/www:/nonexistent\n") {
		t.Errorf("etc/passwd is %q", got["etc/passwd"])
	}
	for _, path := range []string{"usr/bin/sh", "usr/bin/su", "usr/share/press/js/a.js", "usr/lib/x86_64-linux-gnu/junk.so", "usr/share/man/man1/libc.1.gz", "image.yaml"} {
		if _, there := got[path]; there {
			t.Errorf("%s is in the image", path)
		}
	}
	if want := []string{"libc=1", "libxml=1", "php=1", "press=1"}; !slices.Equal(img.Packages, want) {
		t.Errorf("packages are %v, want %v", img.Packages, want)
	}
	if names := layerNames(img); !slices.Equal(names, []string{"system", "php", "core", "agent", "config"}) {
		t.Errorf("layers are %v", names)
	}
}

func layerNames(img image.Image) (names []string) {
	for _, l := range img.Layers {
		names = append(names, l.Name)
	}
	return names
}

func TestSameInputIsTheSameDigest(t *testing.T) {
	one, two := newLab(t), newLab(t)
	slices.Reverse(two.web.Packages)
	a, b := build(t, one.builder(), one.web), build(t, two.builder(), two.web)
	if a.Digest != b.Digest {
		t.Errorf("%s and %s", a.Digest, b.Digest)
	}
}

func TestWarmBuildOpensNoPackage(t *testing.T) {
	l := newLab(t)
	first := build(t, l.builder(), l.web)
	l.shelf.closed = true
	if again := build(t, l.builder(), l.web); again.Digest != first.Digest {
		t.Errorf("%s became %s", first.Digest, again.Digest)
	}
}

func TestDamagedLayerIsMadeAgain(t *testing.T) {
	l := newLab(t)
	first := build(t, l.builder(), l.web)
	l.blobs.blobs[first.Layers[0].Digest][20] ^= 1
	delete(l.blobs.blobs, first.Layers[1].Digest)
	again := build(t, l.builder(), l.web)
	if again.Digest != first.Digest {
		t.Errorf("%s became %s", first.Digest, again.Digest)
	}
	content(t, again)
}

func TestImageOnTopSharesLayers(t *testing.T) {
	l := newLab(t)
	b := l.builder()
	base := build(t, b, l.web)
	l.jobs.Base = &base
	img := build(t, b, l.jobs)
	if !slices.Equal(img.Layers[:len(base.Layers)], base.Layers) {
		t.Errorf("layers are %v, not first %v", img.Layers, base.Layers)
	}
	got := content(t, img)
	if got["usr/share/seed/themes/five/style.css"] == "" || got["usr/share/press/themes/five/style.css"] != "" {
		t.Error("the theme was not moved")
	}
	// libz alone is new: libxml is in the base.
	layers, err := img.OCI.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(layers); n != len(base.Layers)+2 {
		t.Fatalf("%d layers", n)
	}
	if !slices.Contains(img.Packages, "zlib=1") {
		t.Errorf("packages are %v", img.Packages)
	}

	// A newer agent below does not make the tools anew.
	l.fs["agent/bin/platen-agent-linux-amd64.gz"].Data = packed(t, agent+"newer")
	l.shelf.closed = true
	newer := build(t, b, l.web)
	l.jobs.Base = &newer
	if top := build(t, b, l.jobs); !slices.Equal(top.Layers[len(base.Layers):], img.Layers[len(base.Layers):]) {
		t.Error("another agent changed the layers above it")
	}
}

func TestChangedPluginChangesItsLayerOnly(t *testing.T) {
	l := newLab(t)
	plugin := fstest.MapFS{"hello.php": {Data: []byte("<?php 1;")}, "style.css": {Data: []byte("a{}")}}
	l.web.Site = []image.Tree{{Kind: "plugins", Name: "hello", Files: tree(plugin)}}
	b := l.builder()
	before := build(t, b, l.web)
	if got := content(t, before)["usr/share/press/content/plugins/hello/hello.php"]; got != "644 0 <?php 1;" {
		t.Errorf("the plugin is %q", got)
	}
	plugin["style.css"] = &fstest.MapFile{Data: []byte("b{}")}
	l.shelf.closed = true
	after := build(t, b, l.web)
	last := len(before.Layers) - 1
	if !slices.Equal(after.Layers[:last], before.Layers[:last]) || after.Layers[last].Digest == before.Layers[last].Digest {
		t.Errorf("layers were %v, are %v", before.Layers, after.Layers)
	}
	// The same size: a web server's ETag differs by the time alone.
	if a, b := mtime(t, before, "style.css"), mtime(t, after, "style.css"); a == b {
		t.Error("another content has the same size and time")
	}

	// The image on top has the site's layer on top too.
	l.jobs.Base, l.shelf.closed = &after, false
	if names := layerNames(build(t, b, l.jobs)); names[len(names)-1] != "site plugins/hello" {
		t.Errorf("layers are %v", names)
	}
}

func TestWhatCannotBeBuiltSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*lab)
		want   []string
	}{
		"a library is missing": {
			func(l *lab) { l.web.Packages = slices.Delete(l.web.Packages, 1, 2) },
			[]string{"/usr/sbin/fpm of php needs libxml.so.2", "leave list"},
		},
		"a kept file is gone": {
			func(l *lab) { l.web.Recipe.Layers[1].Keep = append(l.web.Recipe.Layers[1].Keep, "usr/sbin/gone*") },
			[]string{"layer php keeps usr/sbin/gone*, but no package has such a file"},
		},
		"no agents": {
			func(l *lab) { delete(l.fs, "agent/bin/platen-agent-linux-amd64.gz") },
			[]string{"this platen was built without its agents", "run make build"},
		},
		"an agent of another machine": {
			func(l *lab) {
				l.fs["agent/bin/platen-agent-linux-amd64.gz"].Data = packed(t, strings.Replace(agent, "\x3e", "\xb7", 1))
			},
			[]string{"EM_AARCH64, not for amd64", "run make build"},
		},
		"an agent that is cut off": {
			func(l *lab) { l.fs["agent/bin/platen-agent-linux-amd64.gz"].Data = packed(t, agent)[:20] },
			[]string{"damaged agent", "run make build"},
		},
		"a program of another machine": {
			func(l *lab) {
				l.web.Packages[2] = l.shelf.add(t, "php", files{"usr/sbin/fpm": strings.Replace(program(t), "\x3e", "\xb7", 1), "usr/lib/php/opcache.so": program(t)})
			},
			[]string{"/usr/sbin/fpm of php is a program for EM_AARCH64, which amd64 does not run"},
		},
		"an unknown architecture": {
			func(l *lab) { l.web.Recipe.Name = "web" },
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			b := l.builder()
			if c.change(l); c.want == nil {
				b.Arch, c.want = "riscv64", []string{`no Platen for "riscv64"`}
			}
			_, err := b.Build(context.Background(), l.web)
			if err == nil {
				t.Fatal("built")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestRefusesPluginsThatCouldLeaveTheirFolder(t *testing.T) {
	l := newLab(t)
	l.web.Site = []image.Tree{{Kind: "plugins", Name: "bad", Files: tree(fstest.MapFS{
		"ok.php":         {Data: []byte("<?php")},
		"inner/link.php": {Data: []byte("../ok.php"), Mode: fs.ModeSymlink},
		"leaves.php":     {Data: []byte("../../../etc/passwd"), Mode: fs.ModeSymlink},
		"absolute.php":   {Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink},
		"Case.php":       {},
		"case.php":       {},
		"root":           {Mode: fs.ModeSetuid | 0o755},
		"group":          {Mode: fs.ModeSetgid | 0o755},
		"shared":         {Mode: fs.ModeDir | fs.ModeSetgid | 0o775},
		"shared/a.php":   {},
		"pipe":           {Mode: fs.ModeNamedPipe},
		".git/config":    {},
	})}}
	_, err := l.builder().Build(context.Background(), l.web)
	if err == nil {
		t.Fatal("built")
	}
	for _, want := range []string{"leaves.php: a link that leaves", "absolute.php: a link that leaves", "differs from Case.php only in", "root: is set-user-id", "group: is set-user-id or set-group-id", "pipe: neither file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	for _, no := range []string{"inner/link.php", ".git", "shared"} {
		if strings.Contains(err.Error(), no) {
			t.Errorf("%q complains of %s", err, no)
		}
	}
}
