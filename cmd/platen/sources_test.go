package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"

	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/source"
	"platen/rootfs"
)

// coreOnly is the repository's recipes with the layers that WordPress is in, and one of a package.
func coreOnly(t *testing.T) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	for _, name := range engine.ImageNames() {
		data, err := fs.ReadFile(rootfs.FS, name+"/image.yaml")
		if err != nil {
			t.Fatal(err)
		}
		r, err := image.ParseRecipe(name, data)
		if err != nil {
			t.Fatal(err)
		}
		layers := []image.LayerRecipe{{Name: "system", Packages: []string{"libc6"}, Keep: []string{"usr/lib/*"}}}
		if r.Base != "" {
			layers = nil
		}
		for _, l := range r.Layers {
			if l.Core {
				layers = append(layers, l)
			}
		}
		r.Layers, r.Agent, r.Leave = layers, nil, nil
		if data, err = yaml.Marshal(r); err != nil {
			t.Fatal(err)
		}
		out[name+"/image.yaml"] = &fstest.MapFile{Data: data}
	}
	return out
}

// oneLibrary is an archive with one package.
type oneLibrary struct{ engine.Archive }

func (oneLibrary) data() []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range []string{"usr/lib/libc.so", "usr/share/doc/libc6/copyright"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 4}); err != nil {
			panic(err)
		}
		if _, err := io.WriteString(w, "libc"); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func (a oneLibrary) Resolve(_ context.Context, arch string, roots, _ []string, _ []image.Package, _ report.Sink) ([]image.Package, error) {
	if len(roots) == 0 {
		return nil, nil
	}
	if !slices.Equal(roots, []string{"libc6"}) {
		return nil, errors.New("asked for " + strings.Join(roots, ", ") + ", though WordPress is not Debian's")
	}
	sum := sha256.Sum256(a.data())
	return []image.Package{{Name: "libc6", Version: "1", Architecture: arch, SHA256: hex.EncodeToString(sum[:]), Size: 1, Filename: "pool/main/libc6", Archive: "main"}}, nil
}

func (oneLibrary) Fetch(_ context.Context, packages []image.Package, _ report.Sink) error {
	for _, p := range packages {
		if p.Name != "libc6" {
			return errors.New("asked the Debian archive for " + p.Name)
		}
	}
	return nil
}

func (a oneLibrary) Open(image.Package) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(a.data())), nil
}

// sourcesLab is a folder with a site, and a server with archives.
type sourcesLab struct {
	t      *testing.T
	rootfs fstest.MapFS
	server *httptest.Server
	folder string
	cache  string
	asked  int
	serves release.Release
}

func newSourcesLab(t *testing.T, files map[string][]byte) *sourcesLab {
	t.Helper()
	l := &sourcesLab{t: t, rootfs: coreOnly(t), folder: t.TempDir(), cache: t.TempDir()}
	l.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.asked++
		data, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data) // a client that went away is the client's to report
	}))
	t.Cleanup(l.server.Close)
	return l
}

func (l *sourcesLab) build(r engine.BuildRequest) (map[string]image.Image, error) {
	blobs, err := registry.NewCache(filepath.Join(l.cache, "images"))
	if err != nil {
		l.t.Fatal(err)
	}
	b := engine.Builder{
		Blobs: blobs, Rootfs: l.rootfs, Archive: func(string) (engine.Archive, error) { return oneLibrary{}, nil },
		Sources: source.New(source.Options{CacheDir: l.cache, Releases: l.server.URL}),
	}
	r.Folder, r.Platforms = l.folder, []string{"linux/amd64"}
	images, err := b.Build(l.t.Context(), r, nil)
	made := map[string]image.Image{}
	for _, img := range images {
		made[img.Name] = img
	}
	return made, err
}

func (l *sourcesLab) write(name, text string) {
	l.t.Helper()
	at := filepath.Join(l.folder, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// paths lists the files of an image below WordPress and its seed.
func paths(t *testing.T, img image.Image) map[string]string {
	t.Helper()
	all := map[string]string{}
	layers, err := img.OCI.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		data, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(data); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				if h.Mode != 0o644 {
					t.Errorf("%s: %s has the mode %o", img.Name, h.Name, h.Mode)
				}
				all[h.Name] = string(text)
			}
		}
		if err := data.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func wordPressTree(version string) map[string]string {
	return map[string]string{
		"index.php": "<?php // front", "license.txt": "GPL", "wp-load.php": "<?php", "wp-config-sample.php": "<?php",
		"wp-admin/index.php": "<?php", "wp-admin/css/common.css": "a {}", "wp-admin/css/common.min.css": "a{}",
		"wp-includes/version.php": "<?php\n$wp_version = '" + version + "';\n", "wp-includes/js/a.js": "a()",
		"wp-includes/certificates/ca-bundle.crt": "theirs", "wp-includes/fonts/a.woff2": "font",
		"wp-content/index.php":              "<?php",
		"wp-content/themes/t/style.css":     "/* Theme Name: T */",
		"wp-content/plugins/akismet/a.php":  "<?php // Plugin Name: A",
		"wp-content/plugins/akismet/a.css":  "b{}",
		"wp-content/mu-plugins/nowhere.php": "<?php",
	}
}

func officialArchive(t *testing.T, version string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	tree := wordPressTree(version)
	for name, text := range tree {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "wordpress/" + name, Size: int64(len(text)), Mode: 0o664, Uname: "nobody"}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{w, z} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func pluginZip(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestASiteOutOfArchives(t *testing.T) {
	release := officialArchive(t, "6.8.3")
	sha1Sum := sha1.Sum(release)
	shop := pluginZip(t, map[string]string{"shop/shop.php": "<?php // Plugin Name: Shop", "shop/shop.css": "s{}"})
	shopSum := sha256.Sum256(shop)
	files := map[string][]byte{
		"/wordpress-6.8.3.tar.gz":      release,
		"/wordpress-6.8.3.tar.gz.sha1": []byte(hex.EncodeToString(sha1Sum[:])),
		"/shop.1.2.zip":                shop,
	}
	prepare := func() (*sourcesLab, engine.BuildRequest) {
		l := newSourcesLab(t, files)
		l.write("plugins/newsletter/newsletter.php", "<?php // Plugin Name: Newsletter")
		l.write("themes/child.zip", string(pluginZip(t, map[string]string{"child/style.css": "/* Theme Name: Child */", "child/functions.php": "<?php"})))
		l.write("public/robots.txt", "User-agent: *\n")
		return l, engine.BuildRequest{Spec: site.Spec{
			WordPress: site.WordPress{
				Source: "6.8.3", Content: "shared",
				Plugins: []site.Addon{{Path: "./plugins/newsletter"}, {URL: l.server.URL + "/shop.1.2.zip", SHA256: hex.EncodeToString(shopSum[:])}},
				Themes:  []site.Addon{{Path: "./themes/child.zip"}},
			},
			Image: site.Image{Files: map[string]string{"/usr/share/wordpress/robots.txt": "./public/robots.txt", "/srv/public": "./public"}},
		}}
	}
	l, r := prepare()
	r.Locked = true
	if _, err := l.build(r); err == nil || !strings.Contains(report.HintOf(err), "platen image update") {
		t.Errorf("--locked without a lock: %v (%s)", err, report.HintOf(err))
	}
	r.Locked = false
	first, err := l.build(r)
	if err != nil {
		t.Fatal(err)
	}
	const core, seed = "usr/share/wordpress/", "usr/share/platen/seed/"
	for _, c := range []struct{ image, path, text string }{
		{"wordpress", core + "index.php", "<?php // front"},
		{"wordpress", core + "robots.txt", "User-agent: *\n"},
		{"wordpress", "srv/public/robots.txt", "User-agent: *\n"},
		{"wordpress", "usr/share/doc/wordpress/copyright", "GPL"},
		{"wordpress", core + "wp-config-sample.php", ""},
		{"wordpress", core + "wp-includes/fonts/a.woff2", ""},
		{"wordpress", core + "wp-includes/certificates/ca-bundle.crt", ""}, // the system's, by a link
		{"wordpress", core + "wp-content/plugins/akismet/a.php", ""},
		{"nginx", core + "wp-includes/js/a.js", "a()"},
		{"nginx", core + "wp-admin/css/common.min.css", "a{}"},
		{"nginx", core + "wp-admin/css/common.css", ""},
		{"nginx", core + "wp-admin/index.php", ""},
		{"nginx", core + "robots.txt", "User-agent: *\n"},
		{"nginx", "srv/public/robots.txt", ""},
		{"jobs", seed + "plugins/akismet/a.php", "<?php // Plugin Name: A"},
		{"jobs", seed + "plugins/newsletter/newsletter.php", "<?php // Plugin Name: Newsletter"},
		{"jobs", seed + "plugins/shop/shop.css", "s{}"},
		{"jobs", seed + "themes/child/style.css", "/* Theme Name: Child */"},
		{"jobs", seed + "themes/t/style.css", "/* Theme Name: T */"},
		{"jobs", core + "wp-content/mu-plugins/nowhere.php", ""},
	} {
		if got := paths(t, first[c.image])[c.path]; got != c.text {
			t.Errorf("%s: %s holds %q, want %q", c.image, c.path, got, c.text)
		}
	}
	if !slices.Contains(first["nginx"].Packages, "wordpress=6.8.3") {
		t.Errorf("nginx holds %v", first["nginx"].Packages)
	}
	lock, err := os.ReadFile(filepath.Join(l.folder, engine.LockName))
	releaseSum := sha256.Sum256(release)
	if err != nil || !strings.Contains(string(lock), hex.EncodeToString(releaseSum[:])) || !strings.Contains(string(lock), "name: plugins/shop") {
		t.Errorf("the lock says (%v):\n%s", err, lock)
	}

	// Again: nothing is asked for, nothing changes, and the lock suffices.
	asked := l.asked
	r.Locked = true
	again, err := l.build(r)
	if err != nil || l.asked != asked {
		t.Errorf("%v, asked %d times more", err, l.asked-asked)
	}
	// In another folder, with nothing cached: the same images.
	other, elsewhere := prepare()
	elsewhere.Spec.WordPress.Plugins[1].URL = r.Spec.WordPress.Plugins[1].URL
	other.write(engine.LockName, string(lock))
	elsewhere.Locked = true
	cold, err := other.build(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	for name := range first {
		if again[name].Digest != first[name].Digest || cold[name].Digest != first[name].Digest {
			t.Errorf("%s: %s, again %s, elsewhere %s", name, first[name].Digest, again[name].Digest, cold[name].Digest)
		}
	}

	// content: image builds them in, and nginx has what a browser reads of them.
	r.Locked, r.Spec.WordPress.Content = false, "image"
	built, err := l.build(r)
	if err != nil {
		t.Fatal(err)
	}
	in, out := paths(t, built["wordpress"]), paths(t, built["nginx"])
	if in[core+"wp-content/plugins/shop/shop.php"] == "" || out[core+"wp-content/plugins/shop/shop.css"] == "" || out[core+"wp-content/plugins/shop/shop.php"] != "" || out[core+"wp-content/plugins/akismet/a.css"] == "" {
		t.Error("content: image does not divide plugins between php and nginx")
	}

	// What is in the image is never replaced.
	r.Spec.Image.Files = map[string]string{"/usr/share/wordpress/index.php": "./public/robots.txt"}
	if _, err := l.build(r); err == nil || !strings.Contains(err.Error(), "/usr/share/wordpress/index.php is in the image") {
		t.Errorf("got %v", err)
	}
}

func TestASiteWithItsOwnTree(t *testing.T) {
	l := newSourcesLab(t, nil)
	for name, text := range wordPressTree("7.1-alpha") {
		l.write("site/"+name, text)
	}
	r := engine.BuildRequest{Spec: site.Spec{WordPress: site.WordPress{Source: "./site", Content: "shared"}}}
	first, err := l.build(r)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(first["wordpress"].Packages, "wordpress=7.1-alpha") {
		t.Errorf("wordpress holds %v", first["wordpress"].Packages)
	}
	l.write("site/wp-content/themes/t/style.css", "/* Theme Name: T, changed */")
	second, err := l.build(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := paths(t, second["jobs"])["usr/share/platen/seed/themes/t/style.css"]; got != "/* Theme Name: T, changed */" {
		t.Errorf("the theme is %q", got)
	}
	if first["mariadb"].Digest != second["mariadb"].Digest {
		t.Error("a theme changed, and mariadb is another")
	}
}

// A hostile zip ends the build with its name, and the images that were there stay.
func TestAHostilePluginEndsTheBuild(t *testing.T) {
	l := newSourcesLab(t, nil)
	l.write("evil.zip", string(pluginZip(t, map[string]string{"evil/../../index.php": "<?php"})))
	l.write("page.zip", "<!DOCTYPE html>")
	_, err := l.build(engine.BuildRequest{Spec: site.Spec{WordPress: site.WordPress{Content: "shared",
		Plugins: []site.Addon{{Path: "./evil.zip"}, {Path: "./page.zip"}, {Path: "./gone.zip"}}}}})
	for _, want := range []string{"./evil.zip", "leaves the archive's folder", "./page.zip", "it is no zip", "./gone.zip"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something of %q", err, want)
		}
	}
}
