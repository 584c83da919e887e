package engine

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/topology"
)

// ImageOptions are those of the image verbs.
type ImageOptions struct {
	Site
	Names     []string // all when empty
	Platforms []string // linux/amd64, linux/arm64; the target's own when empty
	Locked    bool     // fail rather than change platen.lock
	Output    string   // of image build: a folder that gets the images in the OCI layout; "" = none
}

// ImageBuild makes the images of a site, or finds them made.
func (e *Engine) ImageBuild(ctx context.Context, o ImageOptions, sink report.Sink) ([]image.Image, error) {
	images, err := e.images(ctx, o, nil, sink)
	if err != nil || o.Output == "" {
		return images, err
	}
	dir := o.Output
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(o.Folder, dir)
	}
	return images, e.SaveImages(dir, images)
}

// ImageList is ImageBuild for those who only look, or go on with the images.
func (e *Engine) ImageList(ctx context.Context, o ImageOptions, sink report.Sink) ([]image.Image, error) {
	return e.images(ctx, o, nil, sink)
}

// ImageUpdate is what an update changed, and the images that came of it.
type ImageUpdate struct {
	Changes  []image.PackageChange `json:"changes"`  // security fixes first
	Archives []image.ArchiveChange `json:"archives"` // that come from elsewhere than Debian
	Images   []image.Image         `json:"images"`
}

// ImageUpdate resolves all packages anew, makes the images, and then writes platen.lock: where one
// cannot be made, the lock is as it was.
func (e *Engine) ImageUpdate(ctx context.Context, o ImageOptions, sink report.Sink) (ImageUpdate, error) {
	u := ImageUpdate{Changes: []image.PackageChange{}, Archives: []image.ArchiveChange{}}
	var err error
	u.Images, err = e.images(ctx, o, func(c image.LockChanges) {
		u.Changes, u.Archives = append(u.Changes, c.Packages...), append(u.Archives, c.Archives...)
	}, sink)
	return u, err
}

// ImageContents is one image with all that is in it.
type ImageContents struct {
	image.Image
	Files    int           `json:"files"`    // and links
	Bytes    int64         `json:"bytes"`    // unpacked
	Contents []image.Share `json:"contents"` // the largest first
	Config   ImageConfig   `json:"config"`
}

// ImageConfig is what an engine is told about an image.
type ImageConfig struct {
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd,omitempty"`
	Env        []string          `json:"env,omitempty"`
	User       string            `json:"user"`
	Workdir    string            `json:"workdir,omitempty"`
	StopSignal string            `json:"stop_signal,omitempty"`
	Ports      []string          `json:"ports,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// ImageShow says what is in images.
func (e *Engine) ImageShow(ctx context.Context, o ImageOptions, sink report.Sink) ([]ImageContents, error) {
	images, err := e.images(ctx, o, nil, sink)
	if err != nil {
		return nil, err
	}
	all := make([]ImageContents, len(images))
	for i, img := range images {
		c, err := img.OCI.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("read the configuration of image %s: %w", img.Name, err)
		}
		files, bytes := img.Files()
		all[i] = ImageContents{Image: img, Files: files, Bytes: bytes, Contents: img.Shares(), Config: ImageConfig{
			Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd, Env: c.Config.Env, User: c.Config.User, Workdir: c.Config.WorkingDir,
			StopSignal: c.Config.StopSignal, Ports: slices.Sorted(maps.Keys(c.Config.ExposedPorts)), Labels: c.Config.Labels,
		}}
	}
	return all, nil
}

// ImageSBOM returns the bill of materials of one image, in CycloneDX's JSON.
func (e *Engine) ImageSBOM(ctx context.Context, o ImageOptions, sink report.Sink) ([]byte, error) {
	images, err := e.images(ctx, o, nil, sink)
	if err != nil {
		return nil, err
	}
	if len(images) != 1 {
		return nil, &UsageError{fmt.Errorf("a bill of materials is of one image on one platform, not of %d", len(images))}
	}
	return images[0].SBOM()
}

// ImageDiff compares the images, as they are built now, with those that run.
func (e *Engine) ImageDiff(ctx context.Context, o ImageOptions, sink report.Sink) ([]image.Difference, error) {
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return nil, err
	}
	if env.place.Fleet == nil {
		return nil, errNoFleet
	}
	running, err := e.runningImages(ctx, env)
	if err != nil {
		return nil, err
	}
	images, err := e.images(ctx, o, nil, sink)
	if err != nil {
		return nil, err
	}
	all := make([]image.Difference, len(images))
	for i, img := range images {
		before, ok, err := e.RecallImage(running[img.Name])
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, report.Hint(fmt.Errorf("nothing is known of %s, which runs: it was built on another machine, or the cache was emptied", running[img.Name]),
				"platen image show %s says what is built now", img.Name)
		}
		if before.Platform != img.Platform {
			return nil, &UsageError{report.Hint(fmt.Errorf("image %s runs as %s, and was built for %s: every file differs", img.Name, before.Platform, img.Platform),
				"compare what runs: platen image diff --platform %s", before.Platform)}
		}
		all[i] = image.Diff(before, img)
	}
	return all, nil
}

// runningImages is image name → reference of what runs: of web tasks by the release that serves, of
// the others by their containers. What was published last is not it: a release that did not come
// up was published too. Images that no container was seen of are the last published ones.
func (e *Engine) runningImages(ctx context.Context, env *environment) (map[string]string, error) {
	r, err := e.current(ctx, env)
	if err != nil {
		return nil, err
	}
	status, err := env.place.Target.Observe(ctx, env.topology)
	if err != nil {
		return nil, fmt.Errorf("see which images run: %w", err)
	}
	running := map[string]string{}
	maps.Copy(running, env.state.Images)
	for _, tier := range status.Tiers {
		for _, m := range tier.Members {
			for _, name := range ImageNames() {
				if strings.HasPrefix(m.Image, env.topology.Repository(name)+":") {
					running[name] = m.Image
				}
			}
		}
	}
	maps.Copy(running, r.Images)
	return running, nil
}

// images builds; changed is for an update, which is told of it.
func (e *Engine) images(ctx context.Context, o ImageOptions, changed func(image.LockChanges), sink report.Sink) ([]image.Image, error) {
	spec, folder, _, err := e.load(o.Site)
	if err != nil {
		return nil, err
	}
	for _, name := range o.Names {
		if !slices.Contains(ImageNames(), name) {
			return nil, &UsageError{fmt.Errorf("no image %q: there are %s", name, strings.Join(ImageNames(), ", "))}
		}
	}
	for _, p := range o.Platforms {
		if p != "linux/amd64" && p != "linux/arm64" {
			return nil, &UsageError{fmt.Errorf("no platform %q: there are linux/amd64 and linux/arm64", p)}
		}
	}
	steps := &steps{sink: sink, verb: "image"}
	var images []image.Image
	err = steps.do("images", func() (err error) {
		images, err = e.Build(ctx, BuildRequest{
			Spec: spec, Folder: folder, Names: o.Names, Platforms: o.Platforms, Update: changed != nil, Locked: o.Locked, Changed: changed,
		}, sink)
		return err
	})
	return images, steps.interrupted(ctx, err)
}

// References are the names under which Publish makes images known to the local engine.
func References(t topology.Topology, images []image.Image) map[string]string {
	refs := map[string]string{}
	for _, img := range images {
		_, hex, _ := strings.Cut(img.Digest, ":")
		refs[img.Name] = t.Repository(img.Name) + ":" + hex[:min(12, len(hex))]
	}
	return refs
}
