package image_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/andybalholm/brotli"
	unzip "github.com/klauspost/compress/gzip"

	"platen/internal/image"
)

// wordy is text as style sheets are: it packs well.
func wordy(rules int) string {
	var text strings.Builder
	for i := range rules {
		text.WriteString(".wp-block-" + string(rune('a'+i%26)) + strings.Repeat("x", i%7) + "{margin:0 auto;padding:1em}\n")
	}
	return text.String()
}

// unpackTwin returns what a browser makes of a twin.
func unpackTwin(t *testing.T, name, twin string) string {
	t.Helper()
	body := strings.TrimPrefix(twin, "644 0 ")
	var r io.Reader = brotli.NewReader(strings.NewReader(body))
	if strings.HasSuffix(name, ".gz") {
		var err error
		if r, err = unzip.NewReader(strings.NewReader(body)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(plain)
}

func TestFilesForBrowsersHaveTwins(t *testing.T) {
	l := newLab(t)
	css := wordy(200)
	l.web.Packages = append(l.web.Packages, l.shelf.add(t, "style", files{"usr/share/press/css/core.css": css}))
	l.web.Recipe = recipe(t, "web", strings.Replace(web, "alone: [press]", "alone: [press, style]", 1)+
		"files: [\"**\"]\ncompress: [\"usr/share/press/**/*.{css,js,svg}\"]\n")
	noise := string(plugin(3, 1, 5000)["part00/file0.bin"].Data)
	l.fs["web/usr/share/press/css/ours.css"] = &fstest.MapFile{Data: []byte(css)}
	l.web.Site = []image.Tree{{Kind: "themes", Name: "paper", Files: tree(fstest.MapFS{
		"style.css":   {Data: []byte(css)},
		"small.css":   {Data: []byte("a{}")},
		"noise.svg":   {Data: []byte(noise)},
		"index.php":   {Data: []byte(css)},
		"own.js":      {Data: []byte(css)},
		"own.js.gz":   {Data: []byte("the theme's own")},
		"linked.css":  {Data: []byte("style.css"), Mode: 0o777 | fs.ModeSymlink},
		"deep/er.svg": {Data: []byte(css)},
	})}}
	l.web.Files = []image.Placed{{To: "usr/share/press/extra.svg", Files: tree(fstest.MapFS{"extra.svg": {Data: []byte(css)}}), From: "extra.svg"}}
	img := build(t, l.builder(), l.web)
	got := content(t, img)

	const paper = "usr/share/press/content/themes/paper/"
	for _, name := range []string{"usr/share/press/css/core.css", "usr/share/press/css/ours.css", "usr/share/press/extra.svg", paper + "style.css", paper + "deep/er.svg"} {
		for _, end := range []string{".br", ".gz"} {
			if got[name+end] == "" {
				t.Errorf("%s%s is not there", name, end)
			} else if unpackTwin(t, name+end, got[name+end]) != css {
				t.Errorf("%s%s is not %s", name, end, name)
			}
			// The packages of this lab have no times.
			if !strings.HasSuffix(name, "core.css") && mtime(t, img, name+end) != mtime(t, img, name) {
				t.Errorf("%s%s has a time of its own", name, end)
			}
		}
	}
	var twins []string
	for name := range maps.Keys(got) {
		if strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz") {
			twins = append(twins, strings.TrimPrefix(name, paper))
		}
	}
	slices.Sort(twins)
	want := []string{"deep/er.svg.br", "deep/er.svg.gz", "own.js.br", "own.js.gz", "style.css.br", "style.css.gz",
		"usr/share/press/css/core.css.br", "usr/share/press/css/core.css.gz", "usr/share/press/css/ours.css.br", "usr/share/press/css/ours.css.gz",
		"usr/share/press/extra.svg.br", "usr/share/press/extra.svg.gz"}
	if !slices.Equal(twins, want) {
		t.Errorf("twins\n got %q\nwant %q", twins, want)
	}
	if got[paper+"own.js.gz"] != "644 0 the theme's own" {
		t.Errorf("the theme's own twin became %q", got[paper+"own.js.gz"])
	}
	// Another run on another machine, and one that takes its layers from the cache.
	if again := build(t, l.builder(), l.web); again.Digest != img.Digest {
		t.Errorf("from the cache it is %s, not %s", again.Digest, img.Digest)
	}
	l.blobs = newMemory()
	if again := build(t, l.builder(), l.web); again.Digest != img.Digest {
		t.Errorf("made again it is %s, not %s", again.Digest, img.Digest)
	}
}

// With its twins a file is heavier: a layer of many must not grow past what a changed file may send.
func TestTwinsCountInTheSizeOfALayer(t *testing.T) {
	l := newLab(t)
	l.web.Recipe = recipe(t, "web", web+"compress: [\"**/*.css\"]\n")
	theme := fstest.MapFS{}
	for name, f := range plugin(4, 80, 10_000) {
		// Two hex digits a byte: packs to a half, as no style sheet does.
		theme[strings.TrimSuffix(name, ".bin")+".css"] = &fstest.MapFile{Data: []byte(hex.EncodeToString(f.Data))}
	}
	l.web.Site = []image.Tree{{Kind: "themes", Name: "paper", Files: tree(theme)}}
	for _, layer := range build(t, l.builder(), l.web).Layers {
		if layer.Size > 450_000 {
			t.Errorf("layer %s is %d bytes", layer.Name, layer.Size)
		}
	}
}

// The library may pack differently one day. That changes digests on some machines and not on
// others, unless twinsVersion is raised with it.
func TestTwinsAreTheSameEverywhere(t *testing.T) {
	l := newLab(t)
	l.web.Recipe = recipe(t, "web", web+"compress: [\"**/*.css\"]\n")
	l.web.Site = []image.Tree{{Kind: "themes", Name: "paper", Files: tree(fstest.MapFS{"style.css": {Data: []byte(wordy(3000))}})}}
	got := content(t, build(t, l.builder(), l.web))
	for end, want := range map[string]string{
		".br": "108df29b1c43b785213e617aa2483c172804856c68e45900854a451c1ebb99a6",
		".gz": "4659170a8583acb3187d2b7fd5a04f4cb3e1822ed65d56ab7cd4933429be0b52",
	} {
		sum := sha256.Sum256(bytes.TrimPrefix([]byte(got["usr/share/press/content/themes/paper/style.css"+end]), []byte("644 0 ")))
		if hex.EncodeToString(sum[:]) != want {
			t.Errorf("style.css%s has the digest %x, want %s: raise twinsVersion and take the new one", end, sum, want)
		}
	}
}
