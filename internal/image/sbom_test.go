package image_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"platen/internal/image"
)

func TestBillOfMaterialsNamesEveryPackage(t *testing.T) {
	l := newLab(t)
	l.web.Packages = append(l.web.Packages, l.shelf.add(t, "licensed", files{
		"usr/share/press/licensed.php": "<?php",
		"usr/share/doc/licensed/copyright": "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: me\n" +
			"License: GPL-2+ or Expat\n\nFiles: x\nLicense: BSD-like, and Zlib\n Text that says\n License: nothing\n",
	}))
	img := build(t, l.builder(), l.web)
	text, err := img.SBOM()
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		SerialNumber string
		Components   []struct {
			Name, Version, Purl string
			Hashes              []struct{ Content string }
			Licenses            []struct {
				License struct{ ID, Name string }
			}
		}
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range bom.Components {
		names = append(names, c.Name)
		if c.Name != "licensed" {
			continue
		}
		var licences []string
		for _, l := range c.Licenses {
			licences = append(licences, l.License.ID+"/"+l.License.Name)
		}
		if want := []string{"/BSD-like", "GPL-2.0-or-later/", "MIT/", "Zlib/"}; !slices.Equal(licences, want) {
			t.Errorf("licences are %q, want %q", licences, want)
		}
		if c.Purl != "pkg:deb/debian/licensed@1?arch=&distro=debian-13" || len(c.Hashes) != 1 {
			t.Errorf("licensed is %+v", c)
		}
	}
	if want := []string{"debian", "libc", "libxml", "licensed", "php", "press", "layer agent", "layer config"}; !slices.Equal(names, want) {
		t.Errorf("components are %q, want %q", names, want)
	}
	again, err := build(t, newLabWith(t, l).builder(), l.web).SBOM()
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("the same image has another bill of materials (%v)", err)
	}
	attached, err := img.Attachment()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := attached.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Subject.Digest.String() != img.Digest || manifest.Layers[0].MediaType != image.SBOMType {
		t.Errorf("attached is %+v", manifest)
	}
}

// newLabWith is a lab with the packages of another and nothing built.
func newLabWith(t *testing.T, other *lab) *lab {
	l := newLab(t)
	l.shelf = other.shelf
	return l
}

func TestImageSaysWhatEachPackageTakes(t *testing.T) {
	l := newLab(t)
	img := build(t, l.builder(), l.web)
	var compressed int64
	for _, s := range img.Shares() {
		compressed += s.Compressed
		if s.Package == "press" && (s.Files != 6 || s.Version != "1" || !slices.Equal(s.Layers, []string{"core"})) {
			t.Errorf("press takes %+v", s)
		}
	}
	if compressed > img.Size || compressed < img.Size*9/10 {
		t.Errorf("the shares are %d of %d bytes", compressed, img.Size)
	}
}

func TestImagesAreComparedWithFormerOnes(t *testing.T) {
	l := newLab(t)
	before := build(t, l.builder(), l.web)
	// What ran is known by its name at the engine, also when its layers are gone.
	reference := "platen/web:" + strings.TrimPrefix(before.Digest, "sha256:")[:12]
	recalled, ok, err := image.Recall(l.blobs, reference)
	if err != nil || !ok || recalled.Digest != before.Digest {
		t.Fatalf("%s is %v, %v, %v", reference, recalled.Digest, ok, err)
	}
	if d := image.Diff(recalled, before); !d.Same || len(d.Layers) != 0 || d.Files != 0 || d.Sent != 0 {
		t.Errorf("the same image differs: %+v", d)
	}
	l.fs["web/etc/more.conf"] = l.fs["web/image.yaml"]
	i := slices.IndexFunc(l.web.Packages, func(p image.Package) bool { return p.Name == "press" })
	l.web.Packages[i].Version = "2"
	after := build(t, l.builder(), l.web)
	d := image.Diff(recalled, after)
	if d.Same || d.Files != 1 || d.Sent != after.Layers[len(after.Layers)-1].Size {
		t.Errorf("%+v", d)
	}
	if len(d.Layers) != 1 || d.Layers[0].Name != "config" {
		t.Errorf("layers that differ: %+v", d.Layers)
	}
	if _, ok, err := image.Recall(l.blobs, "elsewhere/web:0123456789ab"); ok || err != nil {
		t.Errorf("an image that nobody built is known: %v, %v", ok, err)
	}
}
