package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"platen/internal/image"
	"platen/internal/report"
)

// keep returns, of the pinned packages, those that the index has in another version by now. What
// they need stands in their .debs alone, which are fetched where the cache does not have them; a
// package that nobody has any more cannot be built from either, and is taken as it is today. One
// that cannot be fetched for the moment is an error: a pin does not move because a line was down.
func (a *Archive) keep(ctx context.Context, u *universe, pinned []image.Package, sink report.Sink) (map[string]*entry, error) {
	kept := map[string]*entry{}
	for _, p := range pinned {
		if today, ok := u.byName[p.Name]; ok && today.sha256 == p.SHA256 {
			continue
		}
		if err := a.Fetch(ctx, []image.Package{p}, sink); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if nobody := (*goneError)(nil); !errors.As(err, &nobody) {
				return nil, fmt.Errorf("keep %s at its pinned version: %w", p.Name, err)
			}
			sink.Log(stepPackages, fmt.Sprintf("%s %s cannot be kept: %v", p.Name, p.Version, err))
			continue
		}
		control, err := a.control(p)
		if err != nil {
			return nil, err
		}
		kept[p.Name] = &entry{
			name: p.Name, version: p.Version, arch: p.Architecture, source: p.Source,
			sha256: p.SHA256, filename: p.Filename, size: p.Size, part: p.Archive,
			preDepends: control["pre-depends"], depends: control["depends"],
			provides: control["provides"], priority: control["priority"],
		}
	}
	return kept, nil
}

// control reads the control file of a fetched package.
func (a *Archive) control(p image.Package) (_ stanza, err error) {
	if err := checkPin(p); err != nil {
		return nil, err
	}
	f, err := os.Open(a.path(p))
	if err != nil {
		return nil, fmt.Errorf("open %s %s: %w", p.Name, p.Version, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := a.verifyFile(f, p); err != nil {
		return nil, fmt.Errorf("open %s %s: %w", p.Name, p.Version, err)
	}
	members, err := newAr(f)
	if err != nil {
		return nil, broken(p, err)
	}
	for {
		name, member, err := members.next()
		if errors.Is(err, io.EOF) {
			return nil, broken(p, errors.New("it has no control.tar"))
		}
		if err != nil {
			return nil, broken(p, err)
		}
		if strings.HasPrefix(name, "control.tar") {
			control, err := readControl(name, member)
			if err != nil {
				return nil, broken(p, err)
			}
			return control, nil
		}
	}
}

// resolveKeeping resolves with the kept packages in place of today's. Where that satisfies a
// dependency no longer, those that stand in its way are let go: what it names, else the package
// that has it; with each goes all of the same source, since such packages often need each other at
// exactly their version. In the end nothing is kept, and an error is the archive's.
func (u *universe) resolveKeeping(kept map[string]*entry, resolve func(*universe) (map[string]*entry, error)) (map[string]*entry, error) {
	for {
		chosen, err := resolve(u.with(kept))
		var open *unsatisfiedError
		if err == nil || len(kept) == 0 || !errors.As(err, &open) {
			return chosen, err
		}
		var inTheWay []string
		for _, t := range open.want.alternatives {
			if kept[t.name] != nil {
				inTheWay = append(inTheWay, t.name)
			}
		}
		if len(inTheWay) == 0 && kept[open.want.by] != nil {
			inTheWay = []string{open.want.by}
		}
		if len(inTheWay) == 0 { // a kept package provides less than today's: rare enough to start anew
			inTheWay = slices.Collect(maps.Keys(kept))
		}
		for _, name := range inTheWay {
			source := sourceOf(kept[name])
			maps.DeleteFunc(kept, func(_ string, e *entry) bool { return sourceOf(e) == source })
		}
	}
}

// with is the universe in which packages are at the versions of kept.
func (u *universe) with(kept map[string]*entry) *universe {
	if len(kept) == 0 {
		return u
	}
	out := &universe{byName: maps.Clone(u.byName), provided: maps.Clone(u.provided)}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		e := kept[name]
		out.byName[name] = e
		groups, err := parseRelations(e.provides)
		if err != nil {
			continue // it was resolved once: what it provides then is not what it is kept for
		}
		for _, g := range groups {
			p := provider{entry: e}
			if g[0].op == "=" {
				p.version = g[0].version.String()
			}
			out.provided[g[0].name] = append(slices.Clone(out.provided[g[0].name]), p)
		}
	}
	return out
}

// sourceOf names the source package; where it has another version than the binary one, the index
// adds that in parentheses.
func sourceOf(e *entry) string {
	if e == nil {
		return ""
	}
	if e.source == "" {
		return e.name
	}
	name, _, _ := strings.Cut(e.source, " ")
	return name
}
