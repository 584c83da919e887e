package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"platen/internal/image"
	"platen/internal/report"
)

// architectures are all that a lock pins, so that a colleague or a server with the other processor
// builds from the same file.
func architectures() []string { return []string{"amd64", "arm64"} }

// pin finds what the images are pinned to, resolving and writing what is not. Packages that were
// pinned stay at their version, unless the request is to update them.
func (b *building) pin(ctx context.Context) error {
	name, old := b.file.name, b.file.Lock
	if b.lock = old; !b.request.Update {
		if err := b.missing(name, old); err != nil {
			return err
		}
		if b.whole(old) {
			return nil
		}
	}
	if b.request.Locked {
		return report.Hint(fmt.Errorf("%s does not pin what the images ask for on %s", name, b.arch), "run: platen image update")
	}
	const step = "packages/resolve"
	b.sink.Step(step, report.Running, b.arch)
	var err error
	if b.lock, err = b.resolve(ctx, old); err == nil {
		err = b.file.set(b.lock)
	}
	if err != nil {
		b.sink.Step(step, report.Failed, err.Error())
		return err
	}
	changes := old.Changes(b.lock)
	if b.request.Dry {
		b.sink.Step(step, report.Done, fmt.Sprintf("%s would be written: %d packages, %d changed", LockName, len(b.lock.Architectures[b.arch].Pins()), len(changes)))
		return nil
	}
	b.resolved = true
	if len(old.Architectures[b.arch].Pins()) > 0 && !b.request.Update {
		for _, c := range changes {
			b.sink.Log(step, c.String())
		}
	}
	b.sink.Step(step, report.Done, fmt.Sprintf("%d packages, %d changed", len(b.lock.Architectures[b.arch].Pins()), len(changes)))
	return nil
}

// whole reports whether the lock pins what every image asks for.
func (b *building) whole(l image.Lock) bool {
	for name, r := range b.recipes {
		if b.pulled(name) {
			continue
		}
		if _, ok := l.Of(b.arch, name, rootsDigest(r)); !ok {
			return false
		}
	}
	return true
}

// missing refuses a lock from which pins were taken by hand: an image would be built without them.
func (b *building) missing(name string, l image.Lock) error {
	var errs []error
	for _, n := range ImageNames() {
		if r, ok := b.recipes[n]; ok {
			errs = append(errs, l.Missing(b.arch, n, r))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return report.Hint(fmt.Errorf("%s was changed by hand: %w", name, err),
			"take the file from version control, or run: platen image update; what an image asks for is changed in platen.yaml (image.packages)")
	}
	return nil
}

// besides builds; beside that it adds to a lock that has just been written the architectures that
// were not asked for, which the build does not need. A mirror that has one architecture alone, or a
// line that is cut now, is told and is no reason to fail.
func (b *building) besides(ctx context.Context) (images []image.Image, err error) {
	if !b.resolved {
		return b.all(ctx)
	}
	whole := b.lock
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		images, err = b.all(gctx)
		return err
	})
	g.Go(func() (err error) {
		whole, err = b.pinOthers(gctx)
		return err
	})
	err = g.Wait()
	b.lock = whole
	return images, err
}

// pinOthers returns the lock with the architectures that nobody asked for, after setting it.
func (b *building) pinOthers(ctx context.Context) (image.Lock, error) {
	lock := b.lock
	for _, arch := range architectures() {
		if arch == b.arch || slices.Contains(b.request.Platforms, "linux/"+arch) {
			continue
		}
		other := &building{request: b.request, arch: arch, archive: b.archive, recipes: b.recipes, file: b.file}
		if !b.request.Update && other.whole(lock) {
			continue
		}
		next, err := other.resolve(ctx, lock)
		if ctx.Err() != nil {
			return lock, context.Cause(ctx)
		}
		if err != nil {
			b.sink.Log("packages/resolve", fmt.Sprintf("%s does not pin packages of %s: %v", LockName, arch, err))
			continue
		}
		lock = next
		if err := b.file.set(lock); err != nil {
			return lock, err
		}
	}
	return lock, nil
}

// explain says in what an update changes the lock, and why, where changelogs do: those of the files
// that changed, one a source package. The architectures that were built come first, since theirs are
// at hand. A changelog that cannot be read is no reason to fail.
func explain(ctx context.Context, r BuildRequest, open func() (Archive, error), old, next image.Lock, sink report.Sink) (image.LockChanges, error) {
	changes := image.LockChanges{Packages: old.Changes(next), Archives: old.ArchiveChanges(next)}
	if len(changes.Packages) == 0 {
		return changes, nil
	}
	archive, err := open()
	if err != nil {
		return changes, err
	}
	// Of one source, an architecture may have been built again alone: it has a changelog of its own.
	type step struct{ source, from, to string }
	notes := map[step]image.Notes{}
	bySource := map[string]image.Notes{}
	tried := map[step]bool{}
	read := func(c image.PackageChange, fetched bool) error {
		s := step{c.Source, c.From, c.To}
		p, ok := next.Find(c.Arch, c.Name)
		_, known := notes[s]
		if !ok || c.From == "" || known || !fetched && tried[s] {
			return nil
		}
		tried[s] = true
		err := archive.Fetch(ctx, []image.Package{p}, nil)
		var n image.Notes
		if ok = false; err == nil {
			n, ok, err = archive.Notes(p, c.From)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			sink.Log("packages/resolve", err.Error())
		}
		if ok {
			notes[s] = n
			if _, known := bySource[c.Source]; !known {
				bySource[c.Source] = n
			}
		}
		return nil
	}
	built := func(arch string) bool { return slices.Contains(r.Platforms, "linux/"+arch) }
	for _, fetched := range []bool{true, false} {
		for _, c := range changes.Packages {
			if built(c.Arch) != fetched {
				continue
			}
			if err := read(c, fetched); err != nil {
				return changes, err
			}
		}
	}
	for i, c := range changes.Packages {
		if c.From == "" || c.To == "" {
			continue
		}
		n, ok := notes[step{c.Source, c.From, c.To}]
		if !ok {
			n = bySource[c.Source]
		}
		changes.Packages[i].Security = c.Security || n.Security
		changes.Packages[i].References = n.References
	}
	image.SortChanges(changes.Packages)
	return changes, nil
}

// lockFile is platen.lock during one build.
type lockFile struct {
	name string
	image.Lock
	held bool // it is not written when it is set
}

func openLock(r BuildRequest) (*lockFile, error) {
	f := &lockFile{name: filepath.Join(r.Folder, LockName), held: r.Dry || r.Update}
	var err error
	f.Lock, err = readPackageLock(f.name)
	return f, err
}

func (f *lockFile) set(l image.Lock) error {
	f.Lock = l
	if f.held {
		return nil
	}
	return f.write()
}

func (f *lockFile) write() error {
	data, err := f.Marshal()
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(f.name); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := renameio.WriteFile(f.name, data, 0o644); err != nil {
		return fmt.Errorf("write what is pinned: %w", err)
	}
	return nil
}

func rootsDigest(r image.Recipe) string {
	with, alone := r.Roots()
	return image.RootsDigest(with, alone, r.Leave)
}

func readPackageLock(name string) (image.Lock, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return image.Lock{}, nil
	}
	if err != nil {
		return image.Lock{}, fmt.Errorf("read the pinned packages: %w", err)
	}
	l, err := image.ParseLock(data)
	if err != nil {
		return l, report.Hint(fmt.Errorf("read %s: %w", name, err),
			"take the file from version control, or remove it and run: platen image update")
	}
	return l, nil
}

// resolve pins all images at once: one site has one version of every package. Where what one image
// needs forbids that a package stays at its version, it moves in all of them. What the lock has for
// other architectures stays.
func (b *building) resolve(ctx context.Context, old image.Lock) (image.Lock, error) {
	archive, err := b.archive()
	if err != nil {
		return old, err
	}
	var keep []image.Package
	if !b.request.Update {
		for _, p := range old.Architectures[b.arch].Pins() {
			keep = append(keep, p.Package)
		}
	}
	for {
		next := image.Lock{Archives: old.Archives, Architectures: map[string]*image.Architecture{}}
		for arch, a := range old.Architectures {
			if arch != b.arch {
				next.Architectures[arch] = a
			}
		}
		chosen := map[string]image.Package{}
		moved := map[string]bool{}
		for _, name := range ImageNames() {
			if b.pulled(name) {
				continue
			}
			r := b.recipes[name]
			packages, err := b.closure(ctx, archive, r, keep)
			if err != nil {
				return next, fmt.Errorf("image %s: %w", name, err)
			}
			for _, p := range packages {
				if other, ok := chosen[p.Name]; ok && other.SHA256 != p.SHA256 {
					moved[p.Name] = true
				}
				chosen[p.Name] = p
			}
			next.Set(b.arch, name, rootsDigest(r), packages)
		}
		before := len(keep)
		keep = slices.DeleteFunc(keep, func(p image.Package) bool { return moved[p.Name] })
		if len(keep) == before {
			return next, nil
		}
	}
}

// closure is what one image needs: the closure of some packages, and some alone.
func (b *building) closure(ctx context.Context, archive Archive, r image.Recipe, keep []image.Package) ([]image.Package, error) {
	with, alone := r.Roots()
	packages, err := archive.Resolve(ctx, b.arch, with, r.Leave, keep, b.sink)
	if err != nil || len(alone) == 0 {
		return packages, err
	}
	more, err := archive.Resolve(ctx, b.arch, alone, r.Leave, keep, b.sink)
	if err != nil {
		return nil, err
	}
	for _, p := range more {
		if slices.Contains(alone, p.Name) && !slices.ContainsFunc(packages, func(q image.Package) bool { return q.Name == p.Name }) {
			packages = append(packages, p)
		}
	}
	slices.SortFunc(packages, func(x, y image.Package) int { return strings.Compare(x.Name, y.Name) })
	return packages, nil
}
