package image_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"platen/internal/image"
)

// FuzzLock: a lock that is read is written again the same, and nothing in it leads out of a folder.
func FuzzLock(f *testing.F) {
	f.Add([]byte(`version: 1
archives:
  - {name: wordpress, version: 6.8.3, url: https://example.com/wordpress-6.8.3.tar.gz, sha256: "` + strings.Repeat("ab", 32) + `", size: 12}
architectures:
  amd64:
    roots: {nginx: 0123456789abcdef}
    packages:
      - {name: nginx, version: 1.26.3-3, arch: amd64, sha256: "` + strings.Repeat("0f", 32) + `", size: 9, file: pool/main/n/nginx.deb, from: main, images: [nginx]}
`))
	f.Add([]byte("version: 2\n"))
	f.Add([]byte("version: 1\narchitectures: {amd64: }\n"))
	f.Add([]byte("version: 1\narchitectures: {../../etc: {packages: []}}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := image.ParseLock(data)
		if err != nil {
			return
		}
		for _, a := range l.Architectures {
			for _, p := range a.Pins() {
				if path.IsAbs(p.Filename) || strings.HasPrefix(path.Clean(p.Filename), "..") || len(p.SHA256) != 64 {
					t.Fatalf("%+v came through", p)
				}
			}
		}
		written, err := l.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := image.ParseLock(written)
		if err != nil {
			t.Fatalf("%v in what was written of %q:\n%s", err, data, written)
		}
		if second, err := again.Marshal(); err != nil || !bytes.Equal(second, written) {
			t.Fatalf("written and read again (%v):\n%s\nwas:\n%s", err, second, written)
		}
	})
}

// FuzzRecipe: a recipe that is read keeps all that it makes below the image's root.
func FuzzRecipe(f *testing.F) {
	for _, name := range []string{"nginx", "wordpress", "jobs", "mariadb", "valkey", "haproxy"} {
		data, err := os.ReadFile("../../rootfs/" + name + "/image.yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("config: {entrypoint: [/a]}\nlayers: [{name: x, dirs: [{path: ../x, mode: 07777}]}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := image.ParseRecipe("x", data)
		if err != nil {
			return
		}
		for _, l := range r.For("shared", []string{"extra"}).Elsewhere().Layers {
			for _, d := range l.Dirs {
				if path.IsAbs(d.Path) || strings.HasPrefix(path.Clean(d.Path), "..") || d.Mode&0o6000 != 0 {
					t.Fatalf("%+v came through", d)
				}
			}
		}
		r.Roots()
	})
}

// FuzzLinks: no link of a plugin's folder leads out of it, however many there are.
func FuzzLinks(f *testing.F) {
	f.Add("a/b", "../c", "c", "a")
	f.Add("a/up", "..", "x", "a/up/../../etc")
	f.Add("l", "/etc/passwd", "m", "l")
	f.Fuzz(func(t *testing.T, one, to, two, onwards string) {
		files := fstest.MapFS{}
		for name, target := range map[string]string{one: to, two: onwards} {
			if name == "" || name == "." || path.Clean(name) != name || path.IsAbs(name) || strings.HasPrefix(name, "..") || strings.HasPrefix(two, one+"/") || strings.HasPrefix(one, two+"/") {
				return
			}
			files[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		}
		b := &image.Builder{Arch: "amd64", Source: &shelf{}, Blobs: newMemory(), Rootfs: fstest.MapFS{"x/none": {}}}
		img, err := b.Build(t.Context(), image.Input{
			Recipe: image.Recipe{Name: "x", Site: map[string]image.SiteRecipe{"shared": {To: "site"}}, Config: image.Config{Entrypoint: []string{"/x"}}},
			Base:   &image.Image{}, Content: "shared", Site: []image.Tree{{Kind: "plugins", Name: "p", Files: files}},
		})
		if err != nil {
			return
		}
		for name, text := range content(t, img) {
			target, link := strings.CutPrefix(text, "-> ")
			if !link {
				continue
			}
			if to := resolve(content(t, img), name, target); !strings.HasPrefix(to+"/", "site/plugins/p/") {
				t.Fatalf("%s points at %s, which is %s", name, target, to)
			}
		}
	})
}

// resolve follows a link as the kernel does, step by step; a loop ends in its beginning.
func resolve(files map[string]string, name, target string) string {
	at, rest := path.Dir(name), strings.Split(target, "/")
	for range 200 {
		if len(rest) == 0 {
			return at
		}
		step := rest[0]
		rest = rest[1:]
		switch step {
		case "", ".":
		case "..":
			at = path.Dir(at)
		default:
			at = at + "/" + step
			if onwards, link := strings.CutPrefix(files[at], "-> "); link {
				at, rest = path.Dir(at), append(strings.Split(onwards, "/"), rest...)
			}
		}
	}
	return name
}
