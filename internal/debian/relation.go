package debian

import (
	"fmt"
	"strings"

	"pault.ag/go/debian/version"
)

// atom is one alternative of a dependency: a name and, unless op is empty, a version that it must
// have.
type atom struct {
	name, op string
	version  version.Version
}

func (t atom) String() string {
	if t.op == "" {
		return t.name
	}
	return fmt.Sprintf("%s (%s %s)", t.name, t.op, t.version)
}

// parseRelations reads a Depends or Provides field: groups of which each must hold, of alternatives
// of which one must.
func parseRelations(field string) ([][]atom, error) {
	var groups [][]atom
	for group := range strings.SplitSeq(field, ",") {
		if strings.TrimSpace(group) == "" {
			continue
		}
		var atoms []atom
		for alternative := range strings.SplitSeq(group, "|") {
			t, err := parseAtom(strings.TrimSpace(alternative))
			if err != nil {
				return nil, err
			}
			atoms = append(atoms, t)
		}
		groups = append(groups, atoms)
	}
	return groups, nil
}

// parseAtom reads "name", "name:any" or "name (>= version)". One image has one architecture, so the
// qualifier says nothing here. Restrictions in [] and <> do not occur in binary packages.
func parseAtom(text string) (atom, error) {
	name, rest, versioned := strings.Cut(text, "(")
	name, _, _ = strings.Cut(strings.TrimSpace(name), ":")
	t := atom{name: name}
	if name == "" || strings.ContainsAny(name, " \t[<") {
		return atom{}, fmt.Errorf("bad dependency %q", text)
	}
	if !versioned {
		return t, nil
	}
	rest, ok := strings.CutSuffix(strings.TrimSpace(rest), ")")
	number := strings.TrimLeft(rest, "<>=")
	t.op = rest[:len(rest)-len(number)]
	switch t.op {
	case "<<", "<=", "=", ">=", ">>":
	default:
		ok = false
	}
	v, err := version.Parse(strings.TrimSpace(number))
	if !ok || err != nil {
		return atom{}, fmt.Errorf("bad dependency %q", text)
	}
	t.version = v
	return t, nil
}

// allows tells whether a package of the given version satisfies the atom.
func (t atom) allows(v string) bool {
	if t.op == "" {
		return true
	}
	have, err := version.Parse(v)
	if err != nil {
		return false
	}
	c := version.Compare(have, t.version)
	switch t.op {
	case "<<":
		return c < 0
	case "<=":
		return c <= 0
	case "=":
		return c == 0
	case ">=":
		return c >= 0
	}
	return c > 0
}

// newer tells whether version a is higher than b; what cannot be parsed is never higher.
func newer(a, b string) bool {
	va, err := version.Parse(a)
	if err != nil {
		return false
	}
	vb, err := version.Parse(b)
	return err != nil || version.Compare(va, vb) > 0
}
