package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// ImagePushOptions are those of image push.
type ImagePushOptions struct {
	ImageOptions
	// To is REGISTRY/PREFIX: the image nginx of the site blog goes to REGISTRY/PREFIX/blog-nginx.
	// "" = the repositories of the environment, on AWS.
	To  string
	Tag string // "" = the first twelve digits of each image's digest
}

// PushRequest says where images go.
type PushRequest struct {
	Repository func(image string) string
	Tag        string // "" = the first twelve digits of each image's digest
	// Auth returns the credentials, and is asked again when they have expired; nil = what is known
	// of the registry on this machine.
	Auth func(context.Context) (user, password string, err error)
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
	request, err := e.pushRequest(ctx, &o)
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
		references, err = e.Push(ctx, request, images, sink)
		return err
	})
	if err != nil {
		return nil, steps.interrupted(ctx, err)
	}
	return pushed(images, references), nil
}

// pushRequest works out where each image goes, before any is built. For the environment's own
// repositories it narrows the options to the images that have one.
func (e *Engine) pushRequest(ctx context.Context, o *ImagePushOptions) (PushRequest, error) {
	if o.To != "" {
		to, err := pushPrefix(o.To)
		if err != nil {
			return PushRequest{}, err
		}
		spec, _, _, err := e.load(o.Site)
		if err != nil {
			return PushRequest{}, err
		}
		return PushRequest{Repository: func(image string) string { return to + "/" + spec.Name + "-" + image }, Tag: o.Tag}, nil
	}
	spec, _, _, err := e.load(o.Site)
	if err != nil {
		return PushRequest{}, err
	}
	if spec.Target == site.Local {
		return PushRequest{}, &UsageError{report.Hint(errors.New("push where? A local environment has no registry of its own"),
			"name one: platen image push REGISTRY/PREFIX; or an environment on AWS: platen image push prod")}
	}
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return PushRequest{}, err
	}
	repositories, err := env.place.Images.Repositories(ctx, env.topology)
	if err != nil {
		return PushRequest{}, err
	}
	if len(o.Names) == 0 {
		o.Names = slices.DeleteFunc(slices.Clone(topology.Images), func(image string) bool { return repositories[image] == "" })
	}
	for _, name := range o.Names {
		if repositories[name] == "" {
			return PushRequest{}, &UsageError{fmt.Errorf("%s has no repository for the image %s: there are %s", spec.Environment, name, strings.Join(slices.Sorted(maps.Keys(repositories)), ", "))}
		}
	}
	return PushRequest{Repository: func(image string) string { return repositories[image] }, Tag: o.Tag, Auth: env.place.Images.Token}, nil
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
