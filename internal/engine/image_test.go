package engine_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"platen/internal/engine"
	"platen/internal/image"
)

// verbs is an engine that builds with the test's archive; nothing else of it is needed.
func verbs(t *testing.T) (*engine.Engine, *archive, engine.ImageOptions) {
	t.Helper()
	a := newArchive()
	b := builder(t, a)
	return &engine.Engine{Build: b.Build}, a, engine.ImageOptions{
		Site: engine.Site{Folder: t.TempDir() + "/blog"}, Platforms: []string{"linux/amd64"},
	}
}

func TestImageShowSaysWhatIsInImages(t *testing.T) {
	e, _, o := verbs(t)
	makeFolder(t, o.Folder)
	o.Names = []string{"wordpress", "jobs"}
	all, err := e.ImageShow(t.Context(), o, nil)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d images, %v", len(all), err)
	}
	w := all[0]
	if w.Name != "wordpress" || w.Platform != "linux/amd64" || !slices.Equal(w.Config.Entrypoint, []string{"/x"}) {
		t.Errorf("wordpress is %+v", w)
	}
	var files int
	var bytes int64
	packages := map[string]image.Share{}
	for _, s := range w.Contents {
		files, bytes = files+s.Files, bytes+s.Bytes
		packages[s.Package] = s
	}
	if files != w.Files || bytes != w.Bytes || files == 0 {
		t.Errorf("%d files of %d bytes, and the contents are %d of %d", w.Files, w.Bytes, files, bytes)
	}
	if p := packages["libc6"]; p.Version != "1" || p.Files != 2 || !slices.Equal(p.Layers, []string{"system"}) {
		t.Errorf("libc6 is %+v", p)
	}
	if all[1].Files <= w.Files {
		t.Errorf("jobs holds %d files, wordpress below it %d", all[1].Files, w.Files)
	}
}

func TestImageSBOMIsOfOneImage(t *testing.T) {
	e, _, o := verbs(t)
	makeFolder(t, o.Folder)
	var usage *engine.UsageError
	if _, err := e.ImageSBOM(t.Context(), o, nil); !errors.As(err, &usage) {
		t.Errorf("of all images: %v, want a usage error", err)
	}
	o.Names = []string{"nginx"}
	text, err := e.ImageSBOM(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BomFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &bom); err != nil || bom.BomFormat != "CycloneDX" {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, want := range []string{"libc6", "nginx"} {
		if !slices.ContainsFunc(bom.Components, func(c struct{ Name, Version string }) bool { return c.Name == want && c.Version == "1" }) {
			t.Errorf("%s is not in %+v", want, bom.Components)
		}
	}
}

func TestImageUpdateSaysWhatChangedAndBuilds(t *testing.T) {
	e, a, o := verbs(t)
	makeFolder(t, o.Folder)
	before, err := e.ImageList(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := e.ImageUpdate(t.Context(), o, nil)
	if err != nil || len(u.Changes) != 0 || u.Changes == nil || u.Images[0].Digest != before[0].Digest {
		t.Errorf("nothing is newer: %+v, %v", u.Changes, err)
	}
	a.versions["haproxy"], a.versions["libc6"] = "2", "2"
	if u, err = e.ImageUpdate(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	if len(u.Changes) != 4 || u.Changes[0].Name != "libc6" || !u.Changes[0].Security || u.Changes[2].Name != "haproxy" {
		t.Errorf("changes are %+v, want the flaw first, for both processors", u.Changes)
	}
	if len(u.Images) != len(before) || u.Images[0].Digest == before[0].Digest {
		t.Errorf("the images are as before: %v", u.Images[0].Digest)
	}
}

func TestImageVerbsNameWhatTheyDoNotKnow(t *testing.T) {
	e, _, o := verbs(t)
	makeFolder(t, o.Folder)
	for want, change := range map[string]func(*engine.ImageOptions){
		`no image "php"`:              func(o *engine.ImageOptions) { o.Names = []string{"php"} },
		`no platform "windows/amd64"`: func(o *engine.ImageOptions) { o.Platforms = []string{"windows/amd64"} },
	} {
		o := o
		change(&o)
		_, err := e.ImageShow(t.Context(), o, nil)
		var usage *engine.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %s", err, want)
		}
	}
}

func makeFolder(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(name, 0o755); err != nil {
		t.Fatal(err)
	}
}
