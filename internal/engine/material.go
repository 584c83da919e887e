package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/site"
)

// Sources is where WordPress, plugins and themes come from that are no Debian packages. What is
// there already is not fetched again.
type Sources interface {
	// Release finds and fetches the official archive of a version; pinned is what was pinned before.
	Release(ctx context.Context, version string, pinned image.Download, s report.Sink) (image.Download, error)
	// Fetch brings the file with the download's SHA-256 to where Open and Zip find it, and says
	// how large it is.
	Fetch(ctx context.Context, d image.Download, s report.Sink) (image.Download, error)
	// Open returns an official archive as a data.tar.
	Open(d image.Download) (io.ReadCloser, error)
	// Zip opens a zip, by its path, or by its SHA-256 after Fetch: the name of the folder that it
	// holds, and what is in that.
	Zip(path, sha256 string) (name string, content fs.FS, closer io.Closer, err error)
	// Folder opens a whole WordPress in a folder.
	Folder(dir string) (image.Core, error)
}

// material is what a site brings itself: all but Debian's packages and Platen's own files.
type material struct {
	core    *image.Core                 // nil when WordPress is Debian's
	bring   func(context.Context) error // core to where it can be opened; called when a layer is made of it
	trees   []image.Tree
	files   []image.Placed
	closers []io.Closer
}

func (m *material) Close() error {
	var errs []error
	for _, c := range m.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (m *material) isCore(p image.Package) bool {
	return m.core != nil && p.Archive == m.core.Archive && p.SHA256 == m.core.SHA256
}

// elsewhere reports whether WordPress is not Debian's.
func elsewhere(s site.Spec) bool {
	return s.WordPress.Source != "" && s.WordPress.Source != "debian"
}

// material opens all of it, after fetching what comes by address and pinning that in the lock.
func (b Builder) material(ctx context.Context, r BuildRequest, file *lockFile, sink report.Sink) (_ *material, err error) {
	lock := file.Lock
	g := &gathering{Builder: b, request: r, old: lock, sink: sink, material: &material{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	// Folders first: what is not there is told before anything is fetched.
	if err := errors.Join(g.openFiles(), g.addons(ctx, false)); err != nil {
		return nil, err
	}
	if err := errors.Join(g.openCore(ctx), g.addons(ctx, true)); err != nil {
		return nil, err
	}
	next := lock
	next.Archives = g.pins
	slices.SortFunc(next.Archives, func(x, y image.Download) int { return strings.Compare(x.Name, y.Name) })
	if slices.Equal(lock.Archives, next.Archives) {
		return g.material, nil
	}
	if r.Locked {
		return nil, report.Hint(fmt.Errorf("%s does not pin the archives that platen.yaml names", file.name), "run: platen image update")
	}
	if r.Dry {
		const step = "sources/pin"
		sink.Step(step, report.Done, fmt.Sprintf("%s would be written: it pins other archives than platen.yaml names", LockName))
	}
	return g.material, file.set(next)
}

// gathering is material on its way.
type gathering struct {
	Builder
	*material
	request BuildRequest
	old     image.Lock
	pins    []image.Download
	sink    report.Sink
}

func (g *gathering) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(g.request.Folder, p)
}

// openCore opens the WordPress that wordpress.source names.
func (g *gathering) openCore(ctx context.Context) error {
	spec := g.request.Spec.WordPress
	if !elsewhere(g.request.Spec) {
		return nil
	}
	if strings.HasPrefix(spec.Source, ".") || filepath.IsAbs(spec.Source) {
		core, err := g.Sources.Folder(g.path(spec.Source))
		if err != nil {
			return fmt.Errorf("wordpress.source: %s: %w", spec.Source, err)
		}
		for _, p := range core.Ignored {
			g.sink.Log("sources/wordpress", fmt.Sprintf("%s/%s goes into no image: must-use plugins and drop-ins are Platen's, media belong to the share", spec.Source, p))
		}
		g.core, g.bring = &core, func(context.Context) error { return nil }
		return nil
	}
	d, err := g.release(ctx, spec.Source)
	if err != nil {
		return err
	}
	g.pins = append(g.pins, d)
	g.core = &image.Core{
		Package: image.Package{
			Name: "wordpress", Version: d.Version, Architecture: "all",
			SHA256: d.SHA256, Size: d.Size, Filename: d.URL, Archive: image.FromRelease,
		},
		Open: func() (io.ReadCloser, error) { return g.Sources.Open(d) },
	}
	// Several images are made of it; one look whether the cache has it whole is enough.
	var once sync.Once
	g.bring = func(ctx context.Context) error {
		once.Do(func() { _, err = g.Sources.Fetch(ctx, d, g.sink) })
		return err
	}
	return nil
}

// release is the official archive: the pinned one, which is not fetched before it is needed, or what
// is published when none is.
func (g *gathering) release(ctx context.Context, version string) (image.Download, error) {
	pinned, ok := g.old.Pinned(image.Download{Name: "wordpress", Version: version})
	if ok && !g.request.Update {
		return pinned, nil
	}
	if g.request.Locked {
		return pinned, report.Hint(fmt.Errorf("%s does not pin WordPress %s", LockName, version), "run: platen image update")
	}
	return g.Sources.Release(ctx, version, pinned, g.sink)
}

// addons opens plugins and themes: those in the folder, or those by address.
func (g *gathering) addons(ctx context.Context, byAddress bool) error {
	var errs []error
	for _, list := range []struct {
		kind   string
		addons []site.Addon
	}{{"plugins", g.request.Spec.WordPress.Plugins}, {"themes", g.request.Spec.WordPress.Themes}} {
		for _, a := range list.addons {
			if byAddress != (a.URL != "") {
				continue
			}
			if err := g.addon(ctx, list.kind, a); err != nil {
				errs = append(errs, fmt.Errorf("wordpress.%s: %w", list.kind, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (g *gathering) addon(ctx context.Context, kind string, a site.Addon) error {
	at := g.path(a.Path)
	d := image.Download{URL: a.URL, SHA256: a.SHA256}
	if a.URL != "" {
		if pinned, ok := g.old.Pinned(d); ok {
			d = pinned
		}
		var err error
		if d, err = g.Sources.Fetch(ctx, d, g.sink); err != nil {
			return err
		}
	} else {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Path, err)
		}
		if info.IsDir() {
			g.trees = append(g.trees, image.Tree{Kind: kind, Name: filepath.Base(at), Files: os.DirFS(at)})
			return nil
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a folder nor a zip", a.Path)
		}
	}
	name, content, closer, err := g.Sources.Zip(at, a.SHA256)
	if err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	g.closers = append(g.closers, closer)
	g.trees = append(g.trees, image.Tree{Kind: kind, Name: name, Files: content, From: d})
	if a.URL != "" {
		d.Name = path.Join(kind, name)
		g.pins = append(g.pins, d)
	}
	return nil
}

// openFiles opens what image.files names.
func (g *gathering) openFiles() error {
	all := g.request.Spec.Image.Files
	var errs []error
	for _, to := range slices.Sorted(maps.Keys(all)) {
		at := g.path(all[to])
		info, err := os.Stat(at)
		if err != nil {
			errs = append(errs, fmt.Errorf("image.files: %s: %w", all[to], err))
			continue
		}
		placed := image.Placed{To: strings.TrimPrefix(to, "/"), Files: os.DirFS(at), From: "."}
		if !info.IsDir() {
			placed.Files, placed.From = os.DirFS(filepath.Dir(at)), filepath.Base(at)
		}
		g.files = append(g.files, placed)
	}
	return errors.Join(errs...)
}
