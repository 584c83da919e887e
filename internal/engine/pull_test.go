package engine_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/site"
)

// another is an image as a registry would hand it out: of the same recipes, made by somebody else.
func another(t *testing.T, b engine.Builder, name string) image.Image {
	t.Helper()
	made := mustBuild(t, b, engine.BuildRequest{Folder: t.TempDir(), Names: []string{name}, Platforms: []string{"linux/amd64"}})[0]
	manifest, err := made.OCI.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := made.OCI.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Adopt(b.Blobs, image.Manifest{Name: name, Platform: made.Platform, Manifest: manifest, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if img.Digest != made.Digest || img.Size != made.Size {
		t.Fatalf("adopted %s of %d bytes, want %s of %d", img.Digest, img.Size, made.Digest, made.Size)
	}
	return img
}

func reference(name string) string { return "registry.example.com/team/" + name + "@sha256:" }

// pulls answers with images by name, and says what it was asked for.
func pulls(images ...image.Image) (func(context.Context, string, string, string, report.Sink) (image.Image, error), *[]string) {
	var asked []string
	var mu sync.Mutex // images are pulled beside each other
	return func(_ context.Context, name, reference, platform string, _ report.Sink) (image.Image, error) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, reference+" "+platform)
		for _, img := range images {
			if img.Name == name {
				return img, nil
			}
		}
		return image.Image{}, errors.New("no such image there")
	}, &asked
}

func TestANamedImageRunsInsteadOfABuiltOne(t *testing.T) {
	a := newArchive()
	b := builder(t, a)
	a.versions["wordpress"] = "6.8.3+dfsg1-2" // what was pushed is older than what the archive has
	theirs := another(t, b, "wordpress")
	a.versions["libc6"] = "2"
	var asked *[]string
	b.Pull, asked = pulls(theirs)
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}, Spec: site.Spec{Images: map[string]string{"wordpress": reference("wordpress")}}}
	images := mustBuild(t, b, r)
	if images[1].Digest != theirs.Digest || !images[1].Adopted() {
		t.Errorf("wordpress is %+v", images[1])
	}
	if want := []string{reference("wordpress") + " linux/amd64"}; !slices.Equal(*asked, want) {
		t.Errorf("asked for %v, want %v", *asked, want)
	}
	// jobs is built on top of it: the same layers, and their libc6, not today's.
	jobs := images[2]
	if !slices.Equal(jobs.Layers[:len(theirs.Layers)], theirs.Layers) || len(jobs.Layers) != len(theirs.Layers)+1 {
		t.Errorf("jobs has layers %v, not first %v", jobs.Layers, theirs.Layers)
	}
	if !slices.Equal(jobs.Packages, []string{"jobs=1"}) {
		t.Errorf("jobs adds %v", jobs.Packages)
	}
	if _, err := images[1].SBOM(); err == nil || !strings.Contains(err.Error(), "made elsewhere") {
		t.Errorf("a bill of materials of what somebody else made: %v", err)
	}
}

func TestASetOfNamedImagesNeedsNoArchive(t *testing.T) {
	b := builder(t, newArchive())
	named := map[string]string{}
	var theirs []image.Image
	for _, name := range engine.ImageNames() {
		named[name] = reference(name)
		theirs = append(theirs, another(t, b, name))
	}
	b.Archive = func(string) (engine.Archive, error) { return nil, errors.New("no network") }
	b.Pull, _ = pulls(theirs...)
	r := engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}, Locked: true, Spec: site.Spec{Images: named}}
	for i, img := range mustBuild(t, b, r) {
		if img.Digest != theirs[i].Digest {
			t.Errorf("%s is %s, want %s", img.Name, img.Digest, theirs[i].Digest)
		}
	}
}

func TestNamedImagesThatCannotRunAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spec   map[string]string
		images func(*testing.T, engine.Builder, *archive) []image.Image
		want   string
	}{
		"nothing there": {map[string]string{"nginx": reference("nginx")}, func(*testing.T, engine.Builder, *archive) []image.Image { return nil },
			"images.nginx: no such image there"},
		"another program": {map[string]string{"nginx": reference("nginx")}, func(t *testing.T, b engine.Builder, _ *archive) []image.Image {
			other := builder(t, newArchive())
			other.Blobs = b.Blobs
			files := maps.Clone(other.Rootfs.(fsMap))
			files["nginx/image.yaml"] = file(strings.Replace(string(files["nginx/image.yaml"].Data), "/x", "/bin/sh", 1))
			other.Rootfs = files
			return []image.Image{another(t, other, "nginx")}
		}, `starts "/bin/sh"`},
		"another WordPress": {map[string]string{"jobs": reference("jobs"), "wordpress": reference("wordpress")}, func(t *testing.T, b engine.Builder, a *archive) []image.Image {
			return []image.Image{withWordPress(t, b, "wordpress", "6.8.3"), withWordPress(t, b, "jobs", "6.9")}
		}, "image wordpress holds WordPress 6.8.3, image jobs holds 6.9"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchive()
			b := builder(t, a)
			b.Pull, _ = pulls(c.images(t, b, a)...)
			_, err := b.Build(t.Context(), engine.BuildRequest{Folder: t.TempDir(), Platforms: []string{"linux/amd64"}, Spec: site.Spec{Images: c.spec}}, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// withWordPress is an image that says which WordPress is in it.
func withWordPress(t *testing.T, b engine.Builder, name, version string) image.Image {
	t.Helper()
	other := builder(t, newArchive())
	other.Blobs = b.Blobs
	files := maps.Clone(other.Rootfs.(fsMap))
	files["wordpress/usr/share/wordpress/wp-includes/version.php"] = file("<?php\n$wp_version = '" + version + "';\n")
	other.Rootfs = files
	return another(t, other, name)
}
