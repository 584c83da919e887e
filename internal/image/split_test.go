package image_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"platen/internal/image"
)

// plugin is a folder of so many files of incompressible text, so large each.
func plugin(seed uint64, files, size int) fstest.MapFS {
	chance := rand.New(rand.NewPCG(seed, 1))
	all := fstest.MapFS{}
	for i := range files {
		text := make([]byte, size)
		for j := range text {
			text[j] = byte(chance.IntN(256))
		}
		all[fmt.Sprintf("part%02d/file%d.bin", i%7, i)] = &fstest.MapFile{Data: text}
	}
	return all
}

// still has files of the same sizes without anything in them: what counts is where they go, and
// packing noise takes the race detector minutes.
func still(files, size int) fstest.MapFS {
	all := fstest.MapFS{}
	for i := range files {
		all[fmt.Sprintf("part%02d/file%d.bin", i%7, i)] = &fstest.MapFile{Data: make([]byte, size)}
	}
	return all
}

// layersOf are name → digest; a name that is there twice fails the test.
func layersOf(t *testing.T, img image.Image) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, l := range img.Layers {
		if all[l.Name] != "" {
			t.Errorf("there are two layers %q", l.Name)
		}
		all[l.Name] = l.Digest
	}
	return all
}

func TestEveryPluginHasLayersOfItsOwn(t *testing.T) {
	l := newLab(t)
	shop := plugin(1, 60, 50_000)
	shop["hero.png"] = &fstest.MapFile{Data: plugin(2, 1, 900_000)["part00/file0.bin"].Data}
	l.web.Site = []image.Tree{
		{Kind: "themes", Name: "paper", Files: tree(fstest.MapFS{"style.css": {Data: []byte("a{}")}})},
		{Kind: "plugins", Name: "shop", Files: tree(shop)},
		{Kind: "plugins", Name: "hello", Files: tree(fstest.MapFS{"hello.php": {Data: []byte("<?php")}})},
	}
	b := l.builder()
	before := build(t, b, l.web)
	was := layersOf(t, before)
	for _, want := range []string{"site plugins/hello", "site plugins/shop hero.png", "site themes/paper"} {
		if was[want] == "" {
			t.Errorf("there is no layer %q in %v", want, layerNames(before))
		}
	}
	for _, layer := range before.Layers {
		if layer.Size > 400_000 && layer.Name != "site plugins/shop hero.png" {
			t.Errorf("layer %s is %d bytes", layer.Name, layer.Size)
		}
	}
	// The order in which platen.yaml names them is none of the image's business.
	slices.Reverse(l.web.Site)
	if again := build(t, b, l.web); again.Digest != before.Digest {
		t.Errorf("in another order the image is %s, not %s", again.Digest, before.Digest)
	}
	got := content(t, before)
	for name := range shop {
		if got["usr/share/press/content/plugins/shop/"+name] == "" {
			t.Errorf("%s is not in the image", name)
		}
	}

	for what, change := range map[string]func(){
		"a file changed": func() { shop["part03/file3.bin"] = &fstest.MapFile{Data: []byte("short now")} },
		"a file is new":  func() { shop["part03/another.bin"] = &fstest.MapFile{Data: make([]byte, 3000)} },
		"a file is gone": func() { delete(shop, "part04/file4.bin") },
		"a file became 3×": func() {
			shop["part05/file5.bin"] = &fstest.MapFile{Data: plugin(3, 1, 150_000)["part00/file0.bin"].Data}
		},
	} {
		before := layersOf(t, build(t, b, l.web))
		change()
		var sent int64
		after := build(t, b, l.web)
		for _, layer := range after.Layers {
			if !slices.Contains(mapValues(before), layer.Digest) {
				sent += layer.Size
			}
		}
		if sent == 0 || sent > 700_000 {
			t.Errorf("%s: %d bytes of layers are new", what, sent)
		}
	}
}

func mapValues(m map[string]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// Docker's overlay2 and several registries take about 125 layers.
func TestLayersAreBounded(t *testing.T) {
	for what, sites := range map[string][]image.Tree{
		"200 small ones": manyTrees(200, func(i int) fstest.MapFS { return plugin(uint64(i), 3, 2000) }),
		"30 small ones":  manyTrees(30, func(i int) fstest.MapFS { return plugin(uint64(i), 3, 2000) }),
		"one large":      manyTrees(1, func(int) fstest.MapFS { return still(200, 60_000) }),
		"many large":     manyTrees(70, func(i int) fstest.MapFS { return still(2, 150_000+i) }),
	} {
		l := newLab(t)
		l.web.Site = sites
		img := build(t, l.builder(), l.web)
		n := 0
		for _, name := range layerNames(img) {
			if strings.HasPrefix(name, "site") {
				n++
			}
		}
		if n > 64 || (what == "30 small ones" && n != 30) {
			t.Errorf("%s: %d layers", what, n)
		}
		got, want := 0, 0
		for name := range content(t, img) {
			if strings.HasPrefix(name, "usr/share/press/content/plugins/") && !strings.HasSuffix(name, "/") {
				got++
			}
		}
		for _, s := range sites {
			want += len(s.Files.(fstest.MapFS))
		}
		if got != want {
			t.Errorf("%s: %d files of %d are in the image", what, got, want)
		}
	}
}

func manyTrees(n int, files func(int) fstest.MapFS) (all []image.Tree) {
	for i := range n {
		all = append(all, image.Tree{Kind: "plugins", Name: fmt.Sprintf("p%03d", i), Files: files(i)})
	}
	return all
}

// A WordPress of the site's own brings plugins too: they are cut as finely.
func TestPluginsOfASiteFolderAreSplit(t *testing.T) {
	l := newLab(t)
	text := strings.Replace(jobs, "- name: seed\n", "- name: seed\n    core: true\n    content: shared\n", 1)
	core := files{"usr/share/press/themes/five/style.css": "body{}"}
	for name, f := range plugin(4, 40, 50_000) {
		core["usr/share/press/themes/five/"+name] = string(f.Data)
	}
	with := func(from string) image.Image {
		l.jobs.Recipe = recipe(t, "jobs", text)
		i := slices.IndexFunc(l.jobs.Packages, func(p image.Package) bool { return p.Name == "press-theme" })
		l.jobs.Packages[i] = l.shelf.add(t, "press-theme", core)
		l.jobs.Packages[i].Archive = from
		b := l.builder()
		base := build(t, b, l.web)
		l.jobs.Base = &base
		return build(t, b, l.jobs)
	}
	before := with(image.FromFolder)
	core["usr/share/press/themes/five/style.css"] = "body{color:red}"
	after := with(image.FromFolder)
	fresh, sent := 0, int64(0)
	for _, layer := range after.Layers {
		if !slices.ContainsFunc(before.Layers, func(o image.Layer) bool { return o.Digest == layer.Digest }) {
			fresh, sent = fresh+1, sent+layer.Size
		}
	}
	if fresh != 1 || sent > 400_000 {
		t.Errorf("%d layers of %d bytes are new; layers are %v", fresh, sent, layerNames(after))
	}
	if names := layerNames(with("main")); len(names) >= len(layerNames(before)) {
		t.Errorf("a package of Debian is split too: %v", names)
	}
}
