package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"platen/internal/image"
	"platen/internal/report"
)

// pulled reports whether the configuration names an image instead of having it built.
func (b *building) pulled(name string) bool { return b.request.Spec.Images[name] != "" }

// fetched pulls an image, and looks whether it is one that Platen can run: what starts in it must be
// what starts in ours.
func (b *building) fetched(ctx context.Context, name string) (image.Image, error) {
	reference := b.request.Spec.Images[name]
	step := "images/" + name
	b.sink.Step(step, report.Running, reference)
	img, err := b.pull(ctx, name, reference, "linux/"+b.arch, b.sink)
	if err == nil {
		err = b.fits(name, img)
	}
	if err != nil {
		b.sink.Step(step, report.Failed, err.Error())
		return img, fmt.Errorf("images.%s: %w", name, err)
	}
	b.sink.Step(step, report.Done, fmt.Sprintf("%.1f MB, %s", float64(img.Size)/1e6, reference))
	return img, nil
}

func (b *building) fits(name string, img image.Image) error {
	c, err := img.OCI.ConfigFile()
	if err != nil {
		return fmt.Errorf("read the configuration of image %s: %w", name, err)
	}
	want := b.recipes[name].Config
	if !slices.Equal(c.Config.Entrypoint, want.Entrypoint) || c.Config.User != want.User {
		return report.Hint(fmt.Errorf("%s starts %q as user %q, where Platen's image %s starts %q as %q: it is another program",
			b.request.Spec.Images[name], strings.Join(c.Config.Entrypoint, " "), c.Config.User, name, strings.Join(want.Entrypoint, " "), want.User),
			"name an image that platen image push brought there, or one that was made from it")
	}
	return nil
}

// oneWordPress refuses a set whose images hold different versions of WordPress: nginx' scripts would
// not be those of the pages, and the jobs would change the database for another version.
func oneWordPress(images []image.Image) error {
	var first image.Image
	for _, img := range images {
		switch version := img.WordPress(); {
		case version == "":
		case first.WordPress() == "":
			first = img
		case version != first.WordPress():
			return report.Hint(fmt.Errorf("image %s holds WordPress %s, image %s holds %s", first.Name, first.WordPress(), img.Name, version),
				"name nginx, wordpress and jobs of one build below images, or set wordpress.source to the version of the image that is named")
		}
	}
	return nil
}
