package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// Archive is where packages come from. Fetch brings .debs, verified, to where Open finds them; what
// is there already is not fetched again.
type Archive interface {
	// Resolve returns the closure of roots, sorted by name. What is named in exclude counts as
	// installed: neither it nor what only it needs is returned. Packages of keep stay at their
	// version, unless what another one needs forbids it.
	Resolve(ctx context.Context, arch string, roots, exclude []string, keep []image.Package, s report.Sink) ([]image.Package, error)
	Fetch(ctx context.Context, packages []image.Package, s report.Sink) error
	// Open returns the package's data.tar, uncompressed.
	Open(p image.Package) (io.ReadCloser, error)
	// Notes reads what the changelog of a fetched package says of the versions after since; ok is
	// false when it has none.
	Notes(p image.Package, since string) (n image.Notes, ok bool, err error)
}

// Builder makes images from what is in its fields; its Build is an Engine's.
type Builder struct {
	// Archive opens the archive; mirror is the site's image.mirror, "" = found from the host. It is
	// called only when there is something to resolve or to fetch.
	Archive func(mirror string) (Archive, error)
	Blobs   image.Blobs
	Rootfs  fs.FS // IMAGE/image.yaml, IMAGE/…, agent/bin/…
	Sources Sources
	// Pull brings an image that images.NAME of platen.yaml names by digest, compared with it.
	Pull func(ctx context.Context, name, reference, platform string, s report.Sink) (image.Image, error)
}

// LockName is the file beside platen.yaml that pins every package.
const LockName = "platen.lock"

// ImageNames are the images of a site, in the order in which they are shown. jobs is made of
// wordpress' layers.
func ImageNames() []string {
	return slices.Clone(site.ImageNames)
}

// Build makes the images of a site: packages as platen.lock pins them, the files of rootfs, and the
// site's own plugins and themes. What has not changed comes from the blobs; then neither the
// archive nor a package is opened. Where the lock does not pin what the images ask for, or when
// asked to, packages are resolved anew and the lock is written; in an update only after all was made,
// with what changed.
func (b Builder) Build(ctx context.Context, r BuildRequest, sink report.Sink) (_ []image.Image, err error) {
	recipes, err := b.recipes(r)
	if err != nil {
		return nil, err
	}
	file, err := openLock(r)
	if err != nil {
		return nil, err
	}
	before := file.Lock
	defer func() {
		if err != nil && r.Update {
			err = fmt.Errorf("%w (%s is as it was)", err, LockName)
		}
	}()
	from, err := b.material(ctx, r, file, sink)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if len(r.Names) == 0 {
		r.Names = ImageNames()
	}
	if len(r.Platforms) == 0 {
		r.Platforms = []string{platform(r.Spec)}
	}
	archive := sync.OnceValues(func() (Archive, error) { return b.Archive(r.Spec.Image.Mirror) })
	var images []image.Image
	for _, platform := range r.Platforms {
		arch, linux := strings.CutPrefix(platform, "linux/")
		if !linux || image.Triplet(arch) == "" {
			return nil, fmt.Errorf("images of %s are not built: linux/amd64 and linux/arm64 are", platform)
		}
		made := &building{request: r, arch: arch, archive: archive, recipes: recipes, from: from, file: file, pull: b.Pull, sink: sink}
		made.builder = &image.Builder{Arch: arch, Source: made, Blobs: b.Blobs, Rootfs: b.Rootfs}
		if err := made.pin(ctx); err != nil {
			return nil, err
		}
		found, err := made.besides(ctx)
		if err = errors.Join(err, made.builder.Close()); err != nil {
			return nil, err
		}
		if err := oneWordPress(found); err != nil {
			return nil, err
		}
		images = append(images, found...)
	}
	if !r.Update {
		return images, nil
	}
	changes, err := explain(ctx, r, archive, before, file.Lock, sink)
	if err != nil {
		return nil, err
	}
	if err := file.write(); err != nil {
		return nil, err
	}
	if r.Changed != nil {
		r.Changed(changes)
	}
	return images, nil
}

// platform is what an environment's machines run: those of the instance type on AWS, else this
// machine.
func platform(s site.Spec) string {
	if s.AWS == nil {
		return "linux/" + runtime.GOARCH
	}
	if topology.Architecture(s.AWS.Hosts.Type) == "arm64" {
		return "linux/arm64"
	}
	return "linux/amd64"
}

// recipes reads the recipe of every image, so that the lock is whole even when one is built.
func (b Builder) recipes(o BuildRequest) (map[string]image.Recipe, error) {
	recipes := map[string]image.Recipe{}
	var errs []error
	for _, name := range ImageNames() {
		data, err := fs.ReadFile(b.Rootfs, name+"/image.yaml")
		if err != nil {
			errs = append(errs, fmt.Errorf("recipe of image %s: %w", name, err))
			continue
		}
		r, err := image.ParseRecipe(name, data)
		errs = append(errs, err)
		r = r.For(o.Spec.WordPress.Content, o.Spec.Image.Packages)
		if elsewhere(o.Spec) {
			r = r.Elsewhere()
		}
		recipes[name] = r
	}
	for _, name := range o.Names {
		if !slices.Contains(ImageNames(), name) {
			errs = append(errs, fmt.Errorf("there is no image %q: %s are built", name, strings.Join(ImageNames(), ", ")))
		}
	}
	return recipes, errors.Join(errs...)
}

// building is one run of Build for one architecture.
type building struct {
	request BuildRequest
	arch    string
	archive func() (Archive, error)
	recipes map[string]image.Recipe
	from    *material
	file    *lockFile
	lock    image.Lock // file's, while others may change that
	builder *image.Builder
	pull    func(ctx context.Context, name, reference, platform string, s report.Sink) (image.Image, error)
	sink    report.Sink

	resolved bool // pin has set the lock anew
}

// all builds in parallel; an image whose layers are another's base comes after it.
func (b *building) all(ctx context.Context) ([]image.Image, error) {
	wanted := b.request.Names
	images := make([]image.Image, len(wanted))
	g, ctx := errgroup.WithContext(ctx)
	bases := map[string]func() (image.Image, error){}
	for _, name := range wanted {
		for _, n := range []string{name, b.recipes[name].Base} {
			if n != "" && bases[n] == nil {
				bases[n] = sync.OnceValues(func() (image.Image, error) { return b.one(ctx, n, bases) })
			}
		}
	}
	for i, name := range wanted {
		g.Go(func() (err error) {
			images[i], err = bases[name]()
			return err
		})
	}
	return images, g.Wait()
}

// one builds an image, after the image that it extends.
func (b *building) one(ctx context.Context, name string, others map[string]func() (image.Image, error)) (image.Image, error) {
	if b.pulled(name) {
		return b.fetched(ctx, name)
	}
	recipe := b.recipes[name]
	in := image.Input{Recipe: recipe, Extra: b.request.Spec.Image.Packages, Content: b.request.Spec.WordPress.Content, Site: b.from.trees, Files: b.from.files}
	if recipe.Base != "" {
		base, err := others[recipe.Base]()
		if err != nil {
			return image.Image{}, err
		}
		in.Base = &base
	}
	step := "images/" + name
	b.sink.Step(step, report.Running, "")
	var ok bool
	if in.Packages, ok = b.lock.Of(b.arch, name, rootsDigest(recipe)); !ok {
		return image.Image{}, fmt.Errorf("image %s: platen.lock does not pin what it asks for", name)
	}
	if b.from.core != nil && recipe.HasCore() {
		in.Packages = append(in.Packages, b.from.core.Package)
	}
	in.Fetch = b.fetch
	in.Say = func(doing string) { b.sink.Step(step, report.Running, doing) }
	built, err := b.builder.Build(ctx, in)
	if err != nil {
		b.sink.Step(step, report.Failed, err.Error())
		return built, err
	}
	b.sink.Step(step, report.Done, fmt.Sprintf("%.1f MB", float64(built.Size)/1e6))
	return built, nil
}

func (b *building) fetch(ctx context.Context, packages []image.Package) error {
	if slices.ContainsFunc(packages, b.from.isCore) {
		if err := b.from.bring(ctx); err != nil {
			return err
		}
		packages = slices.DeleteFunc(slices.Clone(packages), b.from.isCore)
	}
	archive, err := b.archive()
	if err != nil {
		return err
	}
	return archive.Fetch(ctx, packages, b.sink)
}

// Open makes a building the image.Source of its builder.
func (b *building) Open(p image.Package) (io.ReadCloser, error) {
	if b.from.isCore(p) {
		return b.from.core.Open()
	}
	archive, err := b.archive()
	if err != nil {
		return nil, err
	}
	return archive.Open(p)
}
