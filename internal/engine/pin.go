package engine

import (
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
	name := filepath.Join(b.request.Folder, LockName)
	old, err := readPackageLock(name)
	if err != nil {
		return err
	}
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
	if b.lock, err = b.resolve(ctx, old); err == nil && !b.request.Dry {
		err = writePackageLock(name, b.lock)
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
	if len(old.Architectures[b.arch].Pins()) > 0 && b.request.Changed == nil {
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

// pinOthers returns the lock with the architectures that nobody asked for, after writing it.
func (b *building) pinOthers(ctx context.Context) (image.Lock, error) {
	lock := b.lock
	for _, arch := range architectures() {
		if arch == b.arch || slices.Contains(b.request.Platforms, "linux/"+arch) {
			continue
		}
		other := &building{request: b.request, arch: arch, archive: b.archive, recipes: b.recipes}
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
		if err := writePackageLock(filepath.Join(b.request.Folder, LockName), lock); err != nil {
			return lock, err
		}
	}
	return lock, nil
}

// changed tells what an update changed, after the files that changed were fetched: their
// changelogs say why. A changelog that cannot be read is no reason to fail.
func (b *building) changed(ctx context.Context, old image.Lock) error {
	changes := old.Changes(b.lock)
	archive, err := b.archive()
	if err != nil {
		return err
	}
	notes := map[string]image.Notes{} // by source package
	read := map[string]bool{}
	for _, c := range changes {
		p, ok := b.lock.Find(c.Arch, c.Name)
		if !ok || c.Arch != b.arch || c.From == "" || read[c.Source] {
			continue
		}
		err := archive.Fetch(ctx, []image.Package{p}, nil)
		if err == nil {
			notes[c.Source], read[c.Source], err = archive.Notes(p, c.From)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			b.sink.Log("packages/resolve", err.Error())
		}
	}
	for i := range changes {
		if n := notes[changes[i].Source]; changes[i].From != "" && changes[i].To != "" {
			changes[i].Security = changes[i].Security || n.Security
			changes[i].References = n.References
		}
	}
	image.SortChanges(changes)
	b.request.Changed(changes)
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

func writePackageLock(name string, l image.Lock) error {
	data, err := l.Marshal()
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("write what is pinned: %w", err)
	}
	return nil
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
