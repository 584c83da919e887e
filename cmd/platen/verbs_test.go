package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"platen/internal/cli"
	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/source"
	"platen/internal/topology"
)

// standing is a place where one release serves.
type standing struct {
	engine.Target
	engine.Fleet
	engine.Store
	release release.Release
}

func (s standing) Observe(context.Context, topology.Topology) (report.Status, error) {
	return report.Status{}, nil
}
func (s standing) Running(context.Context, topology.Topology) (map[string]int, error) {
	return map[string]int{s.release.ID: 2}, nil
}
func (s standing) Get(_ context.Context, key string) ([]byte, string, error) {
	switch key {
	case "releases/" + s.release.ID + ".json":
		data, err := json.Marshal(s.release)
		return data, "1", err
	case "state.json":
		data, err := json.Marshal(map[string]any{"images": s.release.Images})
		return data, "1", err
	}
	return nil, "", release.ErrNotFound
}

// platen runs a command line on the lab's archives, and returns what it prints.
func (l *sourcesLab) platen(args ...string) (code int, out, said string) {
	l.t.Helper()
	blobs, err := registry.NewCache(filepath.Join(l.cache, "images"))
	if err != nil {
		l.t.Fatal(err)
	}
	b := engine.Builder{
		Blobs: blobs, Rootfs: l.rootfs, Archive: func(string) (engine.Archive, error) { return oneLibrary{}, nil },
		Sources: source.New(source.Options{CacheDir: l.cache, Releases: l.server.URL}),
	}
	var stdout, stderr bytes.Buffer
	code = cli.Main(l.t.Context(), cli.Wire{
		Engine: &engine.Engine{
			Build: b.Build, Now: time.Now, Process: engine.ThisProcess(),
			RecallImage: func(reference string) (image.Image, bool, error) { return image.Recall(blobs, reference) },
			Open: func(context.Context, site.Spec, string) (engine.Place, error) {
				s := standing{release: l.serves}
				return engine.Place{Target: s, Fleet: s, Store: s}, nil
			},
		},
		Getenv: func(string) string { return "" },
	}, append(args, "--file", filepath.Join(l.folder, "platen.yaml")), strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestImageVerbsPrintWhatTheyFound(t *testing.T) {
	l := newSourcesLab(t, nil)
	for name, text := range wordPressTree("7.10") {
		l.write(filepath.Join("site", name), text)
	}
	l.write("plugins/hello/hello.php", "<?php // Plugin Name: Hello")
	l.write("platen.yaml", "platen: 1\nname: blog\nwordpress: {source: ./site, content: image, plugins: [./plugins/hello]}\n")
	run := func(want int, args ...string) string {
		t.Helper()
		code, out, said := l.platen(args...)
		if code != want {
			t.Fatalf("%v: exit %d, want %d\n%s%s", args, code, want, out, said)
		}
		return out + said // of the two a value is the first
	}
	says := func(text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%q is not in:\n%s", w, text)
			}
		}
	}

	says(run(0, "image", "list", "wordpress"), "wordpress", "linux/", "2 packages", "system", "core", "content", "site plugins/hello", "sha256:")
	show := run(0, "image", "show", "wordpress")
	says(show, "unpacked", "runs /usr/bin/platen-agent web  as 33:33", "layer", "libc6 1", "wordpress 7.10", "(Platen and the site)", "site plugins/hello")
	says(run(0, "image", "show", "nginx"), "listens on 8080/tcp")
	var bom struct {
		Components []struct{ Name, Version string }
	}
	if err := json.NewDecoder(strings.NewReader(run(0, "image", "sbom", "wordpress"))).Decode(&bom); err != nil {
		t.Error(err)
	}
	if n := len(bom.Components); n < 4 || bom.Components[2].Name != "wordpress" || bom.Components[2].Version != "7.10" {
		t.Errorf("the bill is %+v", bom.Components)
	}
	says(run(0, "image", "update", "nginx"), "nothing is newer than what platen.lock pins", "nginx", "packages")
	run(2, "image", "sbom")
	says(run(2, "image", "show", "php"), `no image "php"`)

	// What runs is what was built until now.
	var built []struct{ Image, Digest string }
	if err := json.NewDecoder(strings.NewReader(run(0, "image", "list", "--json"))).Decode(&built); err != nil {
		t.Fatal(err)
	}
	images := map[string]string{}
	for _, img := range built {
		images[img.Image] = "platen/blog-" + img.Image + ":" + strings.TrimPrefix(img.Digest, "sha256:")[:12]
	}
	l.serves = release.Release{ID: "1baecc95394d", Images: images}
	says(run(0, "image", "diff", "wordpress"), "is what runs")
	l.write("plugins/hello/hello.php", "<?php // Plugin Name: Hello, and more of it")
	l.write("plugins/hello/more.php", "<?php")
	says(run(0, "image", "diff", "wordpress"), "→ sha256:", "+1 files", "to send", "layer site plugins/hello  ")
	says(run(0, "image", "diff", "jobs", "--json"), `"from": "sha256:`, `"sent_bytes": `)
	other := "linux/arm64"
	if built := run(0, "image", "list", "nginx"); strings.Contains(built, other) {
		other = "linux/amd64"
	}
	says(run(2, "image", "diff", "nginx", "--platform", other), "and was built for "+other)
}
