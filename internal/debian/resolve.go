package debian

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"platen/internal/image"
	"platen/internal/report"
)

// Resolve returns the packages that roots need on arch (amd64, arm64): the closure of Depends and
// Pre-Depends, without Recommends, each in the highest version of main, updates and security,
// sorted by name. Packages named in exclude count as installed: they satisfy dependencies and are
// not returned, nor is what only they need. Packages of keep stay at their version, unless what
// another one needs forbids it. The same indexes give the same answer.
//
// The first call reads and verifies the indexes; later ones answer from memory.
func (a *Archive) Resolve(ctx context.Context, arch string, roots, exclude []string, keep []image.Package, sink report.Sink) ([]image.Package, error) {
	u, err := a.universe(ctx, arch, sink)
	if err != nil {
		return nil, err
	}
	kept, err := a.keep(ctx, u, keep, sink)
	if err != nil {
		return nil, err
	}
	chosen, err := u.resolveKeeping(kept, func(u *universe) (map[string]*entry, error) {
		r := resolver{u: u, suite: a.o.Suite, arch: arch,
			excluded: map[string]bool{}, chosen: map[string]*entry{}, neededBy: map[string]string{}}
		for _, name := range exclude {
			r.excluded[name] = true
		}
		return r.resolve(roots)
	})
	if err != nil {
		return nil, err
	}
	packages := make([]image.Package, 0, len(chosen))
	for _, e := range chosen {
		packages = append(packages, e.pin())
	}
	slices.SortFunc(packages, func(a, b image.Package) int { return cmp.Compare(a.Name, b.Name) })
	return packages, nil
}

func (e *entry) pin() image.Package {
	return image.Package{
		Name: e.name, Version: e.version, Architecture: e.arch,
		SHA256: e.sha256, Size: e.size, Filename: e.filename,
		Archive: e.part, Source: e.source,
	}
}

type resolver struct {
	u           *universe
	suite, arch string
	excluded    map[string]bool
	chosen      map[string]*entry
	neededBy    map[string]string // package → the one that brought it in; "" for a root
	certain     []want            // not yet looked at
	open        []want            // several packages would do
}

// want is one dependency of one package.
type want struct {
	by           string
	alternatives []atom
}

func (r *resolver) resolve(roots []string) (map[string]*entry, error) {
	var errs []error
	for _, name := range roots {
		e, ok := r.u.byName[name]
		switch {
		case !ok:
			errs = append(errs, r.missing(name))
		case r.excluded[name]:
			errs = append(errs, fmt.Errorf("package %s is both asked for and excluded", name))
		default:
			errs = append(errs, r.choose(e, ""))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// What leaves no choice comes first. Then a choice often falls on what is there already, and
	// the answer does not hang on the order of the roots.
	for len(r.certain)+len(r.open) > 0 {
		if len(r.certain) > 0 {
			w := r.certain[0]
			r.certain = r.certain[1:]
			if err := r.settle(w, false); err != nil {
				return nil, err
			}
			continue
		}
		w := r.open[0]
		r.open = r.open[1:]
		if err := r.settle(w, true); err != nil {
			return nil, err
		}
	}
	return r.chosen, nil
}

// choose takes a package in and queues what it needs.
func (r *resolver) choose(e *entry, by string) error {
	if r.chosen[e.name] != nil {
		return nil
	}
	r.chosen[e.name], r.neededBy[e.name] = e, by
	for _, field := range []string{e.preDepends, e.depends} {
		groups, err := parseRelations(field)
		if err != nil {
			return fmt.Errorf("dependencies of %s %s: %w", e.name, e.version, err)
		}
		for _, g := range groups {
			r.certain = append(r.certain, want{e.name, g})
		}
	}
	return nil
}

// settle satisfies w. Where several packages would do, it decides only when told to.
func (r *resolver) settle(w want, decide bool) error {
	var options []*entry
	for _, t := range w.alternatives {
		if r.excluded[t.name] {
			return nil
		}
		for _, e := range r.u.satisfying(t) {
			if r.chosen[e.name] != nil || r.excluded[e.name] {
				return nil
			}
			if !slices.Contains(options, e) {
				options = append(options, e)
			}
		}
	}
	switch {
	case len(options) == 0:
		return r.unsatisfied(w)
	case len(options) > 1 && !decide:
		r.open = append(r.open, w)
		return nil
	}
	return r.choose(options[0], w.by)
}

func (r *resolver) missing(name string) error {
	err := fmt.Errorf("there is no package %q in Debian %s for %s", name, r.suite, r.arch)
	if providers := r.u.provided[name]; len(providers) > 0 {
		var names []string
		for _, p := range providers[:min(len(providers), 5)] {
			names = append(names, p.entry.name)
		}
		return report.Hint(err, "it is a virtual package; name one that provides it: %s", strings.Join(names, ", "))
	}
	if near := nearNames(name, r.u); len(near) > 0 {
		return report.Hint(err, "did you mean %s?", strings.Join(near, ", "))
	}
	return report.Hint(err, "check the name: apt-cache search finds packages of the suite that the host runs")
}

func (r *resolver) unsatisfied(w want) error {
	var wanted, have []string
	for _, t := range w.alternatives {
		wanted = append(wanted, t.String())
		if e, ok := r.u.byName[t.name]; ok {
			have = append(have, e.name+" "+e.version)
		}
	}
	chain := w.by
	for up := r.neededBy[w.by]; up != ""; up = r.neededBy[up] {
		chain = up + " → " + chain
	}
	what := "which does not exist there"
	if len(have) > 0 {
		what = "but there is " + strings.Join(have, ", ")
	}
	return report.Hint(
		&unsatisfiedError{w, fmt.Sprintf("%s needs %s in Debian %s for %s, %s", chain, strings.Join(wanted, " | "), r.suite, r.arch, what)},
		"the mirror may be in the middle of an update: try again in a few minutes, or name another mirror with image.mirror")
}

// unsatisfiedError is a dependency that nothing satisfies.
type unsatisfiedError struct {
	want want
	text string
}

func (e *unsatisfiedError) Error() string { return e.text }
