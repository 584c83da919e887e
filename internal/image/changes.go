package image

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// PackageChange is one package that differs between two locks; From or To is "" for one that is
// new or gone.
type PackageChange struct {
	Arch string `json:"arch"`
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`

	Source string `json:"source"` // the source package, whose changelog says why
	// Security: it came by the security archive, or its changelog names a flaw.
	Security   bool     `json:"security"`
	References []string `json:"references,omitempty"` // CVE-2025-1234, DSA-5678-1 …
}

// LockChanges is all in which two locks differ.
type LockChanges struct {
	Packages []PackageChange // security fixes first
	Archives []ArchiveChange
}

// ArchiveChange is one file from elsewhere than Debian that differs between two locks; From or To is
// nil for one that is new or gone.
type ArchiveChange struct {
	Name string      `json:"name"` // wordpress, plugins/newsletter, themes/…
	From *ArchivePin `json:"from,omitempty"`
	To   *ArchivePin `json:"to,omitempty"`
}

// ArchivePin is what an archive is pinned to. Its address is left out: it may hold a licence key.
type ArchivePin struct {
	Version string `json:"version,omitempty"` // of WordPress
	SHA256  string `json:"sha256"`
}

// Replaced reports that the same name and version has other bytes now: nobody asked for that.
func (c ArchiveChange) Replaced() bool {
	return c.From != nil && c.To != nil && c.From.Version == c.To.Version
}

// String is the change as a line for people.
func (c ArchiveChange) String() string {
	label := func(p *ArchivePin) string { return strings.TrimSpace(c.Name + " " + p.Version) }
	switch {
	case c.From == nil:
		return fmt.Sprintf("%s is new, SHA-256 %s", label(c.To), c.To.SHA256)
	case c.To == nil:
		return label(c.From) + " is gone"
	case c.Replaced():
		return fmt.Sprintf("%s was replaced by its publisher: SHA-256 %s became %s", label(c.To), c.From.SHA256, c.To.SHA256)
	}
	return fmt.Sprintf("%s → %s, SHA-256 %s", label(c.From), c.To.Version, c.To.SHA256)
}

// ArchiveChanges lists the archives in which next differs, by name.
func (l Lock) ArchiveChanges(next Lock) []ArchiveChange {
	pins := func(l Lock) map[string]*ArchivePin {
		all := map[string]*ArchivePin{}
		for _, d := range l.Archives {
			all[d.Name] = &ArchivePin{d.Version, d.SHA256}
		}
		return all
	}
	old, updated := pins(l), pins(next)
	both := maps.Clone(old)
	maps.Copy(both, updated)
	var out []ArchiveChange
	for _, name := range slices.Sorted(maps.Keys(both)) {
		from, to := old[name], updated[name]
		if from == nil || to == nil || *from != *to {
			out = append(out, ArchiveChange{name, from, to})
		}
	}
	return out
}

// String is the change as a line for people.
func (c PackageChange) String() string {
	var text string
	switch {
	case c.From == "":
		text = fmt.Sprintf("%s %s is new (%s)", c.Name, c.To, c.Arch)
	case c.To == "":
		text = fmt.Sprintf("%s %s is gone (%s)", c.Name, c.From, c.Arch)
	default:
		text = fmt.Sprintf("%s %s → %s (%s)", c.Name, c.From, c.To, c.Arch)
	}
	if c.Security {
		text += ", security"
	}
	if len(c.References) > 0 {
		text += ": " + strings.Join(c.References, ", ")
	}
	return text
}

// Changes lists the packages in which next differs: security fixes first, then by name.
func (l Lock) Changes(next Lock) []PackageChange {
	pins := func(l Lock) map[[2]string]Package {
		all := map[[2]string]Package{}
		for arch, a := range l.Architectures {
			for _, p := range a.Pins() {
				all[[2]string{arch, p.Name}] = p.Package
			}
		}
		return all
	}
	old, updated := pins(l), pins(next)
	both := maps.Clone(old)
	maps.Copy(both, updated)
	var out []PackageChange
	for k, p := range both {
		from, to := old[k], updated[k]
		if from.Version != to.Version {
			out = append(out, PackageChange{Arch: k[0], Name: k[1], From: from.Version, To: to.Version, Source: p.SourceName(),
				Security: from.Version != "" && to.Archive == "security"})
		}
	}
	SortChanges(out)
	return out
}

// SortChanges orders as Changes does.
func SortChanges(changes []PackageChange) {
	rank := func(c PackageChange) int {
		if c.Security {
			return 0
		}
		return 1
	}
	slices.SortFunc(changes, func(a, b PackageChange) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.Name, b.Name), strings.Compare(a.Arch, b.Arch))
	})
}

// SourceName is the name of the source package: Source without the version that an index adds when
// it differs from the binary package's.
func (p Package) SourceName() string {
	if p.Source == "" {
		return p.Name
	}
	name, _, _ := strings.Cut(p.Source, " ")
	return name
}

// Find returns the pin of a package.
func (l Lock) Find(arch, name string) (Package, bool) {
	for _, p := range l.Architectures[arch].Pins() {
		if p.Name == name {
			return p.Package, true
		}
	}
	return Package{}, false
}
