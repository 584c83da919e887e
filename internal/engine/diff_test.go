package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"platen/internal/image"
	"platen/internal/report"
)

// diffBench is a bench whose images are known by what Publish called them.
func diffBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	known := map[string]image.Image{}
	b.Build = func(_ context.Context, r BuildRequest, _ report.Sink) ([]image.Image, error) {
		platform := "linux/amd64"
		if len(r.Platforms) > 0 {
			platform = r.Platforms[0]
		}
		var images []image.Image
		for _, name := range ImageNames() {
			img := image.Image{Name: name, Digest: b.digest, Platform: platform}
			known["platen/blog-"+name+":"+b.digest] = img
			images = append(images, img)
		}
		return images, nil
	}
	b.RecallImage = func(reference string) (image.Image, bool, error) {
		img, ok := known[reference]
		return img, ok, nil
	}
	return b
}

func (b *bench) diff(t *testing.T) map[string]image.Difference {
	t.Helper()
	all, err := b.ImageDiff(t.Context(), ImageOptions{Site: b.site}, nil)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]image.Difference{}
	for _, d := range all {
		by[d.Image] = d
	}
	return by
}

// A release that did not come up was published, and was taken for the one that runs.
func TestDiffIsWithWhatRuns(t *testing.T) {
	b := diffBench(t)
	b.up(t)
	b.place.images = map[string]string{"mariadb": "platen/blog-mariadb:one"} // its container was not replaced
	b.digest = "two"
	b.place.fail["roll platen/blog-nginx:two"] = &report.RollError{Release: "two", Task: "web-3", Reason: "nginx did not start"}
	var back *RolledBackError
	if _, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil); !errors.As(err, &back) {
		t.Fatalf("err = %v, want to be back", err)
	}
	got := b.diff(t)
	for _, name := range []string{"nginx", "wordpress", "jobs", "mariadb"} {
		if d := got[name]; d.From != "one" || d.To != "two" || d.Same {
			t.Errorf("%s: %+v, want from one to two", name, d)
		}
	}
	b.digest = "one"
	for name, d := range b.diff(t) {
		if runs := name != "valkey" && name != "haproxy"; runs && !d.Same { // of those two the last published counts
			t.Errorf("%s is what runs, and differs: %+v", name, d)
		}
	}
}

func TestDiffOfAnotherProcessorSaysSo(t *testing.T) {
	b := diffBench(t)
	b.up(t)
	b.digest = "arm"
	_, err := b.ImageDiff(t.Context(), ImageOptions{Site: b.site, Platforms: []string{"linux/arm64"}}, nil)
	var usage *UsageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "nginx runs as linux/amd64, and was built for linux/arm64") || !strings.Contains(report.HintOf(err), "--platform linux/amd64") {
		t.Errorf("err = %v (%s)", err, report.HintOf(err))
	}
}

func TestDiffNeedsARunningSiteThatIsKnown(t *testing.T) {
	b := diffBench(t)
	if _, err := b.ImageDiff(t.Context(), ImageOptions{Site: b.site}, nil); !errors.Is(err, ErrNotUp) {
		t.Errorf("before up: %v, want ErrNotUp", err)
	}
	b.up(t)
	b.RecallImage = func(string) (image.Image, bool, error) { return image.Image{}, false, nil }
	if _, err := b.ImageDiff(t.Context(), ImageOptions{Site: b.site}, nil); err == nil || !strings.Contains(err.Error(), "nothing is known of platen/blog-nginx:one") {
		t.Errorf("an image from elsewhere: %v", err)
	}
}
