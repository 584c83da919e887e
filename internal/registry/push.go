package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	naming "github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/retry"
)

// PushOptions say where images go and as whom.
type PushOptions struct {
	// Repository names the repository of an image: registry.example.com/team/blog-nginx.
	Repository func(image string) string
	// Tag is what the images are called there; "" = the first twelve digits of each one's digest,
	// which a registry with immutable tags takes again and again.
	Tag string
	// Auth returns the credentials, and is asked again when the registry says that they have
	// expired. nil = what Docker's configuration and its credential helpers have for the registry.
	Auth func(ctx context.Context) (user, password string, err error)
	// Attach returns an artifact whose subject is the image, such as its bill of materials, or nil;
	// nil = none. A registry that takes no artifacts gets the images without.
	Attach func(image.Image) (v1.Image, error)
	// Jobs is how many blobs are on their way at once; 0 = 4.
	Jobs int
	// Chunk is the size in bytes of the pieces in which a blob goes on after a broken transfer;
	// 0 = 8 MiB. A registry that says its pieces are larger gets larger ones.
	Chunk int64
	// Transport carries the requests; nil = one of its own, with the proxy of the environment.
	Transport http.RoundTripper
	// Wait pauses between attempts; nil = the clock.
	Wait func(context.Context, time.Duration) error
}

const (
	defaultJobs = 4
	// defaultChunk is above the smallest part that ECR takes (5 MiB) and below its largest (10 MiB)
	// (AWS, "Amazon ECR service quotas").
	defaultChunk = 8 << 20
	// headerTime is what a registry may take to answer when it has everything: object stores put
	// a large blob together only then.
	headerTime = 5 * time.Minute
)

// Push brings images to their repositories, and returns image name → reference by digest. Images
// of one name and several platforms become one index. What a registry has is not sent again; a blob
// that several images share is sent to one repository and mounted in the others, where the
// registry knows how. It tells the sink under push/IMAGE.
func Push(ctx context.Context, o PushOptions, images []image.Image, sink report.Sink) (map[string]string, error) {
	if o.Wait == nil {
		o.Wait = retry.Wait
	}
	if o.Jobs == 0 {
		o.Jobs = defaultJobs
	}
	if o.Chunk == 0 {
		o.Chunk = defaultChunk
	}
	if o.Transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.ResponseHeaderTimeout, own.MaxIdleConnsPerHost = headerTime, 2*o.Jobs
		defer own.CloseIdleConnections()
		o.Transport = own
	}
	artifacts, err := gather(o, images)
	if err != nil {
		return nil, err
	}
	p := &pusher{options: o, sink: sink, slots: make(chan struct{}, o.Jobs), sources: map[string]*source{}}
	for _, a := range artifacts {
		p.repositories = append(p.repositories, a.repository)
	}
	g, together := errgroup.WithContext(ctx)
	for _, a := range artifacts {
		g.Go(func() error {
			step := "push/" + a.name
			sink.Step(step, report.Running, "")
			sent, err := p.push(together, a, step)
			if err != nil && together.Err() != nil {
				sink.Step(step, report.Failed, "stopped")
				return fmt.Errorf("push image %s to %s: %w", a.name, a.written, context.Canceled)
			}
			if err != nil {
				err = fmt.Errorf("push image %s to %s: %w", a.name, a.written, err)
				sink.Step(step, report.Failed, err.Error())
				return err
			}
			state := report.Done
			if sent < 0 {
				state = report.Same
			}
			sink.Step(step, state, a.reference())
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	references := map[string]string{}
	for _, a := range artifacts {
		references[a.name] = a.reference()
	}
	return references, nil
}

// artifact is what one repository gets: an image, or an index of several.
type artifact struct {
	name       string
	written    string // the repository, as the caller wrote it
	repository naming.Repository
	tag        string
	top        remote.Taggable // what the tag names
	digest     v1.Hash         // of top
	images     []v1.Image      // below an index, or the image itself
	attached   []v1.Image      // to the images
}

// reference is how the artifact is called for ever.
func (a *artifact) reference() string { return a.written + "@" + a.digest.String() }

// gather works out what goes where, before anything is sent.
func gather(o PushOptions, images []image.Image) ([]*artifact, error) {
	var names []string
	platforms := map[string][]image.Image{}
	for _, img := range images {
		if !slices.Contains(names, img.Name) {
			names = append(names, img.Name)
		}
		if slices.ContainsFunc(platforms[img.Name], func(other image.Image) bool { return other.Platform == img.Platform }) {
			return nil, fmt.Errorf("push image %s: it was given twice for %s", img.Name, img.Platform)
		}
		platforms[img.Name] = append(platforms[img.Name], img)
	}
	var artifacts []*artifact
	var errs []error
	for _, n := range names {
		a, err := gatherOne(o, n, platforms[n])
		if err != nil {
			err = fmt.Errorf("push image %s to %s: %w", n, o.Repository(n), err)
		}
		artifacts, errs = append(artifacts, a), append(errs, err)
	}
	return artifacts, errors.Join(errs...)
}

func gatherOne(o PushOptions, image string, images []image.Image) (_ *artifact, err error) {
	a := &artifact{name: image, written: o.Repository(image), tag: o.Tag}
	if a.repository, err = naming.NewRepository(a.written); err != nil {
		return nil, err
	}
	for _, img := range images {
		a.images = append(a.images, img.OCI)
		if o.Attach != nil {
			attached, err := o.Attach(img)
			if err != nil {
				return nil, err
			}
			if attached != nil {
				a.attached = append(a.attached, attached)
			}
		}
	}
	if len(images) == 1 {
		a.top = images[0].OCI
		a.digest, err = images[0].OCI.Digest()
	} else {
		var index v1.ImageIndex
		if index, err = join(images); err != nil {
			return nil, err
		}
		a.top = index
		a.digest, err = index.Digest()
	}
	if err != nil {
		return nil, err
	}
	if a.tag == "" {
		a.tag = a.digest.Hex[:12]
	}
	_, err = naming.NewTag(a.written + ":" + a.tag)
	return a, err
}

// join makes an index of the platforms of one image, the same whatever their order.
func join(images []image.Image) (v1.ImageIndex, error) {
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b image.Image) int { return strings.Compare(a.Platform, b.Platform) })
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		platform, err := v1.ParsePlatform(img.Platform)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img.OCI, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}
