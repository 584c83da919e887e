package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	unzip "github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"
)

// version of what this package makes of the same input. Raise it with every change of the bytes.
const version = 3

// Builder makes images of one architecture. The zero value of its unexported fields is ready;
// Close gives back what it holds. Build may be called from several goroutines.
type Builder struct {
	Arch   string // amd64 | arm64
	Source Source
	Blobs  Blobs
	Limits Limits // of what a package unpacks to; zero = DefaultLimits
	Rootfs fs.FS  // IMAGE/…: files at the path they have in the image; agent/bin/BINARY-linux-ARCH.gz

	once     sync.Once
	unpacker *unpacker
}

// Input is what one image is made of.
type Input struct {
	Recipe   Recipe    // as For returned it
	Base     *Image    // the image that Recipe.Base names
	Packages []Package // the image's own, resolved
	Extra    []string  // the site's image.packages
	Content  string    // shared | image
	Site     []Tree    // plugins and themes
	Files    []Placed  // the site's further files
	// Fetch brings the packages to where Source finds them. It is called only when a layer has to
	// be made of them.
	Fetch func(context.Context, []Package) error
	// Say is told what is being done, for people; nil is told nothing.
	Say func(string)
}

func (in Input) say(format string, args ...any) {
	if in.Say != nil {
		in.Say(fmt.Sprintf(format, args...))
	}
}

// note is what is remembered of layers that were made together.
type note struct {
	Parts    []part   `json:"parts"`
	Files    []string `json:"files"`    // paths of files and links
	Dirs     []Dir    `json:"dirs"`     // folders that are more than 755 root
	Packages []string `json:"packages"` // name=version of those that have files here
	// Licences of those packages, where their copyright files name them for machines.
	Licences map[string][]string `json:"licences,omitempty"`
	Modules  []Module            `json:"modules,omitempty"` // of a program of ours
}

// Build makes an image, or takes its layers from the blobs when nothing that they are made of has
// changed; then no package is opened.
func (b *Builder) Build(ctx context.Context, in Input) (Image, error) {
	b.once.Do(func() { b.unpacker = newUnpacker(b.Source, b.Blobs, b.Limits) })
	img := Image{Name: in.Recipe.Name, Platform: "linux/" + b.Arch}
	if Triplet(b.Arch) == "" {
		return img, fmt.Errorf("image %s: there is no Platen for %q: amd64 and arm64 are built", img.Name, b.Arch)
	}
	img.licences = map[string][]string{}
	var parts, site []part
	if in.Base != nil {
		img.pins, img.addons, img.modules = slices.Clone(in.Base.pins), slices.Clone(in.Base.addons), slices.Clone(in.Base.modules)
		maps.Copy(img.licences, in.Base.licences)
		img.files, img.dirs, img.Packages = slices.Clone(in.Base.files), slices.Clone(in.Base.dirs), slices.Clone(in.Base.Packages)
		for _, p := range in.Base.parts {
			if isSite(p.Name) {
				site = append(site, p)
			} else {
				parts = append(parts, p)
			}
		}
	}
	for _, step := range []func(context.Context, Input, *Image) (note, error){b.packages, b.agent, b.files, b.placed} {
		made, err := step(ctx, in, &img)
		if err != nil {
			return img, err
		}
		parts = append(parts, made.Parts...)
		img.files = append(img.files, made.Files...)
		img.dirs = append(img.dirs, made.Dirs...)
		img.Packages = append(img.Packages, made.Packages...)
		maps.Copy(img.licences, made.Licences)
		img.modules = append(img.modules, made.Modules...)
	}
	// The site's layers are the topmost: when one changes, it is the only one to be made and sent.
	made, err := b.site(ctx, in, &img)
	if err != nil {
		return img, err
	}
	img.parts = slices.Concat(parts, site, made.Parts)
	slices.Sort(img.Packages)
	img.Packages = slices.Compact(img.Packages)
	img.pin(in.Packages)
	if err := img.assemble(in.Recipe.Config); err != nil {
		return img, err
	}
	return img, img.remember(b.Blobs)
}

// pin keeps those of the packages that the image has files of.
func (img *Image) pin(packages []Package) {
	for _, p := range packages {
		if slices.Contains(img.Packages, p.Name+"="+p.Version) && !slices.ContainsFunc(img.pins, func(q Package) bool { return q.Name == p.Name }) {
			img.pins = append(img.pins, p)
		}
	}
	slices.SortFunc(img.pins, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
}

// Close gives back the room that unpacked packages took.
func (b *Builder) Close() error {
	if b.unpacker == nil {
		return nil
	}
	return b.unpacker.Close()
}

// remembered returns the note under a key when all its layers are whole, else what make makes.
func (b *Builder) remembered(ctx context.Context, inputs any, build func() (note, error)) (note, error) {
	content, err := json.Marshal(struct {
		Version int
		Arch    string
		Inputs  any
	}{version, b.Arch, inputs})
	if err != nil {
		return note{}, err
	}
	sum := sha256.Sum256(content)
	key := hex.EncodeToString(sum[:])
	data, ok, err := b.Blobs.Note(key)
	if err != nil {
		return note{}, err
	}
	n := note{}
	if ok && json.Unmarshal(data, &n) == nil {
		whole := true
		for i := range n.Parts {
			n.Parts[i].blobs = b.Blobs
			has, err := b.Blobs.Has(n.Parts[i].Digest, n.Parts[i].Size)
			if err != nil {
				return note{}, err
			}
			whole = whole && has
		}
		if whole {
			return n, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return note{}, err
	}
	if n, err = build(); err != nil {
		return note{}, err
	}
	if data, err = json.Marshal(n); err != nil {
		return note{}, err
	}
	return n, b.Blobs.SetNote(key, data)
}

// packages makes the layers of the recipe.
func (b *Builder) packages(ctx context.Context, in Input, below *Image) (note, error) {
	recipe := in.Recipe
	recipe.Site, recipe.Agent, recipe.Files, recipe.Config = nil, nil, nil, Config{} // layers of their own
	var pinned []string
	for _, p := range in.Packages {
		pinned = append(pinned, p.Name+" "+p.SHA256)
	}
	slices.Sort(pinned)
	// Of the base only the paths matter: a newer agent in it changes nothing here.
	inputs := []any{"packages", recipe, pinned, below.files, below.dirs, in.Extra}
	if len(recipe.Compress) > 0 {
		inputs = append(inputs, "twins", twinsVersion)
	}
	own := slices.ContainsFunc(in.Packages, func(p Package) bool { return p.Archive == FromFolder })
	if own {
		inputs = append(inputs, "split")
	}
	return b.remembered(ctx, inputs, func() (note, error) {
		if in.Fetch != nil {
			if err := in.Fetch(ctx, in.Packages); err != nil {
				return note{}, fmt.Errorf("image %s: %w", recipe.Name, err)
			}
		}
		in.say("unpacking %d packages", len(in.Packages))
		s, err := b.choose(ctx, recipe, in.Base, in.Packages, in.Extra)
		if err != nil {
			return note{}, err
		}
		var layers []bucket
		for i, entries := range s.layers {
			for p, e := range entries {
				entries[p] = recipe.mark([]entry{e})[0]
			}
			layers = append(layers, s.buckets(i, entries, own)...)
		}
		made := note{Parts: make([]part, len(layers))}
		twins := make([][]string, len(layers))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(2)
		for i, l := range layers {
			g.Go(func() (err error) {
				in.say("packing layer %s, %d files", l.name, len(l.entries))
				entries, err := b.twins(ctx, byPath(l.entries))
				if err != nil {
					return fmt.Errorf("layer %s: %w", l.name, err)
				}
				for p := range entries {
					if _, chosen := s.owner[p]; !chosen {
						twins[i] = append(twins[i], p)
					}
				}
				made.Parts[i], err = b.write(ctx, l.name, entries, s.dirs)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return note{}, fmt.Errorf("image %s: %w", recipe.Name, err)
		}
		for p, i := range s.owner {
			if i >= 0 {
				made.Files = append(made.Files, p)
			}
		}
		made.Files = append(made.Files, slices.Concat(twins...)...)
		slices.Sort(made.Files)
		made.Dirs = slices.SortedFunc(maps.Values(s.dirs), func(a, b Dir) int { return strings.Compare(a.Path, b.Path) })
		used := s.sources()
		for _, p := range in.Packages {
			if used[p.Name] {
				made.Packages = append(made.Packages, p.Name+"="+p.Version)
			}
		}
		if made.Licences, err = b.licences(s); err != nil {
			return note{}, fmt.Errorf("image %s: %w", recipe.Name, err)
		}
		return made, nil
	})
}

// agent makes the layer of the image's own binary. It is embedded packed, and unpacked only when
// the layer has to be made: what the layer is called by follows from the program, not from how it
// was packed.
func (b *Builder) agent(ctx context.Context, in Input, below *Image) (note, error) {
	a := in.Recipe.Agent
	if a == nil {
		return note{}, nil
	}
	name := fmt.Sprintf("agent/bin/%s-linux-%s.gz", a.Binary, b.Arch)
	packed, err := fs.ReadFile(b.Rootfs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return note{}, fmt.Errorf("image %s: this platen was built without its agents (%s is missing): run make build", in.Recipe.Name, name)
	}
	if err != nil {
		return note{}, err
	}
	sum := sha256.Sum256(packed)
	return b.remembered(ctx, []any{"agent", a.To, hex.EncodeToString(sum[:]), below.dirs, "modules"}, func() (note, error) {
		data, err := unzipAll(packed)
		if err == nil {
			err = b.rightMachine(data)
		}
		if err != nil {
			return note{}, fmt.Errorf("image %s: this platen was built with a damaged agent (%s): %w: run make build", in.Recipe.Name, name, err)
		}
		e := generated(a.To, "")
		e.mode, e.data, e.size = 0o755, data, int64(len(data))
		made, err := b.layer(ctx, "agent", []entry{e}, below)
		made.Modules = modules(data)
		return made, err
	})
}

func unzipAll(packed []byte) ([]byte, error) {
	r, err := unzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// files makes the layer of the files that the repository has for the image.
func (b *Builder) files(ctx context.Context, in Input, below *Image) (note, error) {
	root, err := fs.Sub(b.Rootfs, in.Recipe.Name)
	if err != nil {
		return note{}, err
	}
	var entries []entry
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || p == "image.yaml" {
			return err
		}
		data, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		e := generated(p, "")
		e.data, e.size = data, int64(len(data))
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return note{}, fmt.Errorf("image %s: %w", in.Recipe.Name, err)
	}
	return b.layer(ctx, "config", in.Recipe.mark(entries), below)
}

// layer makes one layer of files that no package holds. Their times follow from their content:
// a web server's ETag is made of time and size, and both would otherwise outlive a change.
func (b *Builder) layer(ctx context.Context, name string, entries []entry, below *Image) (note, error) {
	if len(entries) == 0 {
		return note{}, nil
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	inputs := []any{name, below.dirs}
	all := map[string]entry{}
	n := note{}
	for _, e := range entries {
		sum, err := b.sum(e)
		if err != nil {
			return note{}, fmt.Errorf("%s: %w", e.path, err)
		}
		e.time = contentTime(sum)
		all[e.path] = e
		of := []any{e.path, e.kind, e.mode, e.link, hex.EncodeToString(sum[:])}
		if e.packs {
			of = append(of, "twins", twinsVersion)
		}
		inputs = append(inputs, of)
	}
	return b.remembered(ctx, inputs, func() (note, error) {
		dirs := map[string]Dir{}
		for _, d := range below.dirs {
			dirs[d.Path] = d
		}
		all, err := b.twins(ctx, all)
		if err != nil {
			return n, fmt.Errorf("layer %s: %w", name, err)
		}
		made, err := b.write(ctx, name, all, dirs)
		n.Parts, n.Files = []part{made}, slices.Sorted(maps.Keys(all))
		return n, err
	})
}

func (b *Builder) sum(e entry) (sum [sha256.Size]byte, err error) {
	content, err := b.content(e)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	n, err := io.Copy(h, content)
	if err = errors.Join(err, content.Close()); err == nil && e.kind == '0' && n != e.size {
		err = fmt.Errorf("%d bytes instead of %d: the file is being written to", n, e.size)
	}
	h.Sum(sum[:0])
	return sum, err
}

// contentTime is a time in the ten years after the epoch that follows from the content.
func contentTime(sum [sha256.Size]byte) int64 {
	n := int64(sum[0])<<24 | int64(sum[1])<<16 | int64(sum[2])<<8 | int64(sum[3])
	return epoch + n%(10*365*24*3600)
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// assemble puts manifest and configuration above the layers.
func (img *Image) assemble(c Config) error {
	arch := path.Base(img.Platform)
	ports := map[string]struct{}{}
	for _, p := range c.Ports {
		ports[p] = struct{}{}
	}
	labels := maps.Clone(c.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["org.opencontainers.image.title"] = "platen " + img.Name
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	oci, err := mutate.ConfigFile(base, &v1.ConfigFile{
		Architecture: arch,
		OS:           "linux",
		Created:      v1.Time{Time: unix(epoch)},
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env, User: c.User, StopSignal: c.StopSignal,
			WorkingDir: c.Workdir, ExposedPorts: ports, Labels: labels,
		},
	})
	if err != nil {
		return fmt.Errorf("image %s: %w", img.Name, err)
	}
	var adds []mutate.Addendum
	for _, p := range img.parts {
		adds = append(adds, mutate.Addendum{
			Layer:   blobLayer{p},
			History: v1.History{Created: v1.Time{Time: unix(epoch)}, CreatedBy: "platen: " + p.Name},
		})
		img.Layers = append(img.Layers, p.Layer)
		img.Size += p.Layer.Size
	}
	if oci, err = mutate.Append(oci, adds...); err != nil {
		return fmt.Errorf("image %s: %w", img.Name, err)
	}
	digest, err := oci.Digest()
	if err != nil {
		return fmt.Errorf("image %s: %w", img.Name, err)
	}
	img.OCI, img.Digest = oci, digest.String()
	return nil
}
