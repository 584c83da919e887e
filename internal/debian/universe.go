package debian

import (
	"fmt"
	"slices"
	"strings"
)

// universe is all that can be installed on one architecture: of each package its highest version.
type universe struct {
	byName   map[string]*entry
	provided map[string][]provider // by virtual name, the preferred one first
}

type provider struct {
	entry   *entry
	version string // "" = provided without one, which satisfies no versioned dependency
}

// newUniverse joins indexes. Of equal versions the first stays.
func newUniverse(indexes ...[]entry) (*universe, error) {
	u := &universe{provided: map[string][]provider{}}
	total := 0
	for _, index := range indexes {
		total += len(index)
	}
	u.byName = make(map[string]*entry, total)
	for _, index := range indexes {
		for i := range index {
			e := &index[i]
			if old, ok := u.byName[e.name]; !ok || newer(e.version, old.version) {
				u.byName[e.name] = e
			}
		}
	}
	for _, index := range indexes {
		for i := range index {
			e := &index[i]
			if e.provides == "" || u.byName[e.name] != e {
				continue
			}
			groups, err := parseRelations(e.provides)
			if err != nil {
				return nil, fmt.Errorf("what %s provides: %w", e.name, err)
			}
			for _, g := range groups {
				p := provider{entry: e}
				if g[0].op == "=" {
					p.version = g[0].version.String()
				}
				u.provided[g[0].name] = append(u.provided[g[0].name], p)
			}
		}
	}
	for _, providers := range u.provided {
		slices.SortStableFunc(providers, func(a, b provider) int {
			if d := rank(a.entry.priority) - rank(b.entry.priority); d != 0 {
				return d
			}
			return strings.Compare(a.entry.name, b.entry.name)
		})
	}
	return u, nil
}

// rank orders priorities: of several providers (mawk and gawk for awk) the one that Debian installs
// by default is preferred, as apt does.
func rank(priority string) int {
	order := []string{"required", "important", "standard", "optional"}
	if i := slices.Index(order, priority); i >= 0 {
		return i
	}
	return len(order)
}

// satisfying lists the packages that satisfy t, the preferred one first: the package of that name,
// then those that provide it.
func (u *universe) satisfying(t atom) []*entry {
	var found []*entry
	if e, ok := u.byName[t.name]; ok && t.allows(e.version) {
		found = append(found, e)
	}
	for _, p := range u.provided[t.name] {
		if u.byName[p.entry.name] != p.entry {
			continue // kept at another version, which may provide something else
		}
		if (t.op == "" || (p.version != "" && t.allows(p.version))) && !slices.Contains(found, p.entry) {
			found = append(found, p.entry)
		}
	}
	return found
}
