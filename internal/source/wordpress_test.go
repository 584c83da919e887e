package source_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/source"
)

// wordPress is the least that counts as one.
func wordPress(version string) map[string]string {
	return map[string]string{
		"index.php":                        "<?php",
		"license.txt":                      "GPL",
		"wp-load.php":                      "<?php",
		"wp-admin/index.php":               "<?php",
		"wp-includes/version.php":          "<?php\n$wp_version = '" + version + "';\n",
		"wp-includes/js/a.js":              "a()",
		"wp-content/index.php":             "<?php",
		"wp-content/themes/index.php":      "<?php",
		"wp-content/themes/t/style.css":    "/* Theme Name: T */",
		"wp-content/plugins/index.php":     "<?php",
		"wp-content/mu-plugins/ours.php":   "<?php",
		"wp-content/uploads/2026/a.jpg":    "jpg",
		"wp-content/object-cache.php":      "<?php",
		"wp-content/languages/de_DE.mo":    "mo",
		"wp-content/plugins/hello/a b.php": "<?php",
	}
}

func release(t testing.TB, version string) []byte {
	entries := []packed{{name: "wordpress/", mode: fs.ModeDir}}
	for p, text := range wordPress(version) {
		entries = append(entries, packed{name: "wordpress/" + p, text: text})
	}
	return tarOf(t, entries...)
}

// dataTar reads what a package would hold.
func dataTar(in io.ReadCloser, err error) (map[string]string, error) {
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, in.Close()
		}
		if err != nil {
			return all, errors.Join(err, in.Close())
		}
		if h.Mode != 0o644 && h.Typeflag == tar.TypeReg || h.Uname != "" || h.ModTime.Year() != 2000 {
			return all, errors.New(h.Name + " carries something of its host")
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return all, err
		}
		all[h.Name] = string(text)
	}
}

// asPackage is wordPress as dataTar sees it.
func asPackage(version string) map[string]string {
	want := map[string]string{"usr/share/doc/wordpress/copyright": "GPL"}
	for p, text := range wordPress(version) {
		if !strings.Contains(p, "mu-plugins") && !strings.Contains(p, "uploads") && p != "wp-content/object-cache.php" {
			want["usr/share/wordpress/"+p] = text
		}
	}
	return want
}

func TestTheOfficialArchiveIsPinnedAtItsFirstUse(t *testing.T) {
	data := release(t, "6.8.3")
	o := newOrigin(t, map[string][]byte{"/wordpress-6.8.3.tar.gz": data, "/wordpress-6.8.3.tar.gz.sha1": sha1Of(data)})
	cache := t.TempDir()
	s := sources(t, func(options *source.Options) { options.CacheDir, options.Releases = cache, o.URL })
	got, err := s.Release(context.Background(), "6.8.3", image.Download{}, nil)
	want := image.Download{Name: "wordpress", Version: "6.8.3", URL: o.URL + "/wordpress-6.8.3.tar.gz", SHA256: hexSum(data), Size: int64(len(data))}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	all, err := dataTar(s.Open(got))
	if err != nil || !maps.Equal(all, asPackage("6.8.3")) {
		t.Errorf("got %v, %v", all, err)
	}

	// image update: what is pinned is what is published, and is not fetched again.
	o.asked = nil
	if again, err := s.Release(context.Background(), "6.8.3", got, nil); err != nil || again != got || len(o.asked) != 1 {
		t.Errorf("got %+v, %v, asked %v", again, err, o.asked)
	}

	// Somewhere else the file under this address is another: it is refused, and not kept.
	evil := release(t, "6.8.3")
	evil = append(evil, release(t, "6.8.3")...)
	o.files["/wordpress-6.8.3.tar.gz"] = evil
	elsewhere := sources(t, func(options *source.Options) { options.Releases = o.URL })
	if _, err := elsewhere.Fetch(context.Background(), got, nil); err == nil || !strings.Contains(err.Error(), "is pinned") || !strings.Contains(report.HintOf(err), "image update") {
		t.Errorf("got %v (%s)", err, report.HintOf(err))
	}
	// Another place may have the pinned one still.
	mirror := newOrigin(t, map[string][]byte{"/wordpress-6.8.3.tar.gz": data})
	moved := sources(t, func(options *source.Options) { options.Releases = mirror.URL })
	if found, err := moved.Fetch(context.Background(), got, nil); err != nil || found != got {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestAReleaseThatIsNot(t *testing.T) {
	data := release(t, "6.8.3")
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
		hint  string
	}{
		"no such version":  {nil, "there is no WordPress 6.8.3", "wordpress.source"},
		"another checksum": {map[string][]byte{"/wordpress-6.8.3.tar.gz": data, "/wordpress-6.8.3.tar.gz.sha1": sha1Of(nil)}, "is published", "nothing of it was used"},
		"a page that says no in the place of the checksum": {map[string][]byte{"/wordpress-6.8.3.tar.gz.sha1": []byte("<!DOCTYPE html>")}, "is no SHA-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, c.files)
			cache := t.TempDir()
			s := sources(t, func(options *source.Options) { options.CacheDir, options.Releases = cache, o.URL })
			_, err := s.Release(context.Background(), "6.8.3", image.Download{}, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(report.HintOf(err), c.hint) {
				t.Errorf("got %v (%s)", err, report.HintOf(err))
			}
			if _, err := os.Stat(cache + "/sha256/" + hexSum(data)[:2] + "/" + hexSum(data)); err == nil {
				t.Error("it was kept")
			}
		})
	}
}

func TestAMirrorWithoutChecksumsIsTold(t *testing.T) {
	data := release(t, "6.8.3")
	o := newOrigin(t, map[string][]byte{"/wordpress-6.8.3.tar.gz": data})
	var said []string
	_, err := sources(t, func(options *source.Options) { options.Releases = o.URL }).Release(context.Background(), "6.8.3", image.Download{}, func(e report.Event) {
		if e.Event == "log" {
			said = append(said, e.Detail)
		}
	})
	if err != nil || len(said) != 1 || !strings.Contains(said[0], "no SHA-1") {
		t.Errorf("got %v, said %q", err, said)
	}
}

func TestArchivesThatAreNotTheWordPressThatWasAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"another version":  {release(t, "6.8.2"), "is WordPress 6.8.2, and 6.8.3 was asked for"},
		"another program":  {tarOf(t, packed{name: "wordpress/index.php"}), "is not WordPress"},
		"another folder":   {tarOf(t, packed{name: "joomla/index.php"}), "not in the folder wordpress"},
		"no archive":       {[]byte("<!DOCTYPE html>"), "no gzip"},
		"one that escapes": {tarOf(t, packed{name: "wordpress/../../etc/passwd"}), "leaves the archive's folder"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, map[string][]byte{"/wordpress-6.8.3.tar.gz": c.data})
			s := sources(t, func(options *source.Options) { options.Releases = o.URL })
			d, err := s.Release(context.Background(), "6.8.3", image.Download{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if all, err := dataTar(s.Open(d)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", all, err)
			}
		})
	}
}

func folder(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{".git/config": {Data: []byte("x")}}
	for p, text := range files {
		out[p] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
	}
	return out
}

func TestAFolderIsAPackageToo(t *testing.T) {
	files := folder(wordPress("6.8.3"))
	core, err := source.OpenFolder(files, source.DefaultLimits)
	if err != nil || core.Name != "wordpress" || core.Version != "6.8.3" || core.Archive != image.FromFolder {
		t.Fatalf("got %+v, %v", core, err)
	}
	all, err := dataTar(core.Open())
	if err != nil || !maps.Equal(all, asPackage("6.8.3")) {
		t.Errorf("got %v, %v", all, err)
	}
	if got := strings.Join(core.Ignored, " "); got != "wp-content/mu-plugins wp-content/object-cache.php wp-content/uploads" {
		t.Errorf("ignored %s", got)
	}

	same, err := source.OpenFolder(folder(wordPress("6.8.3")), source.DefaultLimits)
	if err != nil || same.SHA256 != core.SHA256 {
		t.Errorf("the same folder is %s and %s (%v)", core.SHA256, same.SHA256, err)
	}
	files["wp-includes/js/a.js"].Data = []byte("b()")
	if changed, err := source.OpenFolder(files, source.DefaultLimits); err != nil || changed.SHA256 == core.SHA256 {
		t.Errorf("a change is not seen (%v)", err)
	}
	if _, err := dataTar(core.Open()); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("got %v", err)
	}
}

func TestAFolderWithoutContentOrLicence(t *testing.T) {
	files := wordPress("6.8.3")
	maps.DeleteFunc(files, func(p, _ string) bool { return strings.HasPrefix(p, "wp-content/") || p == "license.txt" })
	core, err := source.OpenFolder(folder(files), source.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	all, err := dataTar(core.Open())
	if err != nil || all["usr/share/wordpress/wp-content/themes/index.php"] == "" || !strings.Contains(all["usr/share/doc/wordpress/copyright"], "General Public License") {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestFoldersThatAreNoWordPress(t *testing.T) {
	for name, c := range map[string]struct {
		change func(fstest.MapFS)
		want   string
	}{
		"nothing":    {func(m fstest.MapFS) { clear(m) }, "holds no wp-admin"},
		"a theme":    {func(m fstest.MapFS) { clear(m); m["style.css"] = &fstest.MapFile{} }, "holds no wp-admin"},
		"no version": {func(m fstest.MapFS) { m["wp-includes/version.php"] = &fstest.MapFile{} }, "names no version"},
		"a link that leaves": {func(m fstest.MapFS) {
			m["wp-content/themes/x"] = &fstest.MapFile{Data: []byte("../../../etc"), Mode: fs.ModeSymlink}
		}, "leaves the folder"},
		"a device":      {func(m fstest.MapFS) { m["wp-admin/x"] = &fstest.MapFile{Mode: fs.ModeDevice} }, "neither file"},
		"set-user-id":   {func(m fstest.MapFS) { m["wp-admin/x"] = &fstest.MapFile{Mode: fs.ModeSetuid | 0o755} }, "set-user-id"},
		"two spellings": {func(m fstest.MapFS) { m["WP-Admin/x"] = &fstest.MapFile{} }, "upper and lower case"},
	} {
		t.Run(name, func(t *testing.T) {
			files := folder(wordPress("6.8.3"))
			c.change(files)
			if _, err := source.OpenFolder(files, source.DefaultLimits); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something of %q", err, c.want)
			}
		})
	}
}
