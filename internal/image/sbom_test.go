package image_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

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

// What comes by address, and what is compiled into Platen's own programs, is in the image too.
func TestBillOfMaterialsNamesZipsAndModules(t *testing.T) {
	made := filepath.Join(t.TempDir(), "job")
	if out, err := exec.Command("go", "build", "-o", made, "../../cmd/platen-job").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	l.fs["agent/bin/platen-agent-linux-"+runtime.GOARCH+".gz"] = &fstest.MapFile{Data: packed(t, string(program))}
	sum := strings.Repeat("0a", 32)
	l.web.Recipe.Layers, l.web.Packages = []image.LayerRecipe{{Name: "system"}}, nil
	l.web.Site = []image.Tree{
		{Kind: "plugins", Name: "forms", Files: tree(fstest.MapFS{"forms.php": {Data: []byte("<?php")}}), From: image.Download{URL: "https://example.com/forms.2.1.zip?a=b", SHA256: sum, Size: 9}},
		{Kind: "plugins", Name: "own", Files: tree(fstest.MapFS{"own.php": {Data: []byte("<?php")}})},
	}
	b := l.builder()
	b.Arch = runtime.GOARCH
	for range 2 { // made, and found made
		img := build(t, b, l.web)
		text, err := img.SBOM()
		if err != nil {
			t.Fatal(err)
		}
		var bom struct {
			Components []struct {
				Name, Version, Purl string
				Hashes              []struct{ Content string }
			}
		}
		if err := json.Unmarshal(text, &bom); err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, c := range bom.Components {
			if found[c.Name] != "" {
				t.Errorf("%s is there twice", c.Name)
			}
			found[c.Name] = c.Version + " " + c.Purl
			if len(c.Hashes) > 0 {
				found[c.Name] += " " + c.Hashes[0].Content
			}
		}
		if want := " pkg:generic/forms?checksum=sha256:" + sum + "&download_url=https%3A%2F%2Fexample.com%2Fforms.2.1.zip%3Fa%3Db " + sum; found["plugins/forms"] != want {
			t.Errorf("forms is %q, want %q", found["plugins/forms"], want)
		}
		if found["plugins/own"] != "" {
			t.Errorf("a folder has an address: %q", found["plugins/own"])
		}
		for _, module := range []string{"github.com/go-sql-driver/mysql", "stdlib"} {
			version, _, _ := strings.Cut(found[module], " ")
			if want := version + " pkg:golang/" + module + "@" + version; version == "" || found[module] != want {
				t.Errorf("%s is %q", module, found[module])
			}
		}
		if want := strings.TrimPrefix(runtime.Version(), "go"); !strings.HasPrefix(found["stdlib"], want) {
			t.Errorf("the standard library is %q, want %s", found["stdlib"], want)
		}
	}
}
