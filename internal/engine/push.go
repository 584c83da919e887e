package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"platen/internal/image"
	"platen/internal/report"
)

// ImagePushOptions are those of image push.
type ImagePushOptions struct {
	ImageOptions
	To  string // REGISTRY/PREFIX; the image nginx of the site blog goes to REGISTRY/PREFIX/blog-nginx
	Tag string // "" = the first twelve digits of each image's digest
}

// PushRequest says where images go.
type PushRequest struct {
	Repository func(image string) string
	Tag        string // "" = the first twelve digits of each image's digest
}

// Pushed is an image as a registry has it.
type Pushed struct {
	Image     string   `json:"image"`
	Reference string   `json:"reference"` // REGISTRY/PREFIX/SITE-IMAGE@sha256:…: what to run
	Digest    string   `json:"digest"`    // of the index when there are several platforms
	Platforms []string `json:"platforms"`
}

// ImagePush makes the images of a site, or finds them made, and brings them to a registry. What the
// registry has is not sent again.
func (e *Engine) ImagePush(ctx context.Context, o ImagePushOptions, sink report.Sink) ([]Pushed, error) {
	to, err := pushPrefix(o.To)
	if err != nil {
		return nil, err
	}
	spec, _, _, err := e.load(o.Site)
	if err != nil {
		return nil, err
	}
	images, err := e.ImageBuild(ctx, o.ImageOptions, sink)
	if err != nil {
		return nil, err
	}
	steps := &steps{sink: sink, verb: "image push"}
	var references map[string]string
	err = steps.do("push", func() (err error) {
		references, err = e.Push(ctx, PushRequest{
			Repository: func(image string) string { return to + "/" + spec.Name + "-" + image },
			Tag:        o.Tag,
		}, images, sink)
		return err
	})
	if err != nil {
		return nil, steps.interrupted(ctx, err)
	}
	return pushed(images, references), nil
}

// pushed lists what is where, in the order of the images.
func pushed(images []image.Image, references map[string]string) []Pushed {
	list := []Pushed{}
	for _, img := range images {
		i := slices.IndexFunc(list, func(p Pushed) bool { return p.Image == img.Name })
		if i < 0 {
			reference := references[img.Name]
			_, digest, _ := strings.Cut(reference, "@")
			i, list = len(list), append(list, Pushed{Image: img.Name, Reference: reference, Digest: digest})
		}
		list[i].Platforms = append(list[i].Platforms, img.Platform)
	}
	return list
}

// pushPrefix wants the registry spelled out: 'team' alone would be somebody's account on Docker Hub.
func pushPrefix(to string) (string, error) {
	to = strings.TrimSuffix(to, "/")
	registry, prefix, _ := strings.Cut(to, "/")
	if strings.Contains(to, "://") {
		return "", &UsageError{fmt.Errorf("push to %q: write it without %s", to, to[:strings.Index(to, "://")+3])}
	}
	if registry != "localhost" && !strings.ContainsAny(registry, ".:") || strings.ContainsAny(prefix, ":@") {
		return "", &UsageError{fmt.Errorf("push to %q: want REGISTRY/PREFIX, such as registry.example.com/team or docker.io/USER", to)}
	}
	return to, nil
}
