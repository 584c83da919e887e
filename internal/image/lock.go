package image

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const lockVersion = 1

const lockHeader = `# platen.lock: everything the images are made of, by version and SHA-256.
# Written by platen; keep it in version control. "platen image update" renews it.
`

// Lock is platen.lock: what was resolved, so that the same images are built tomorrow.
type Lock struct {
	Version int `yaml:"version"`
	// Archives are the files that come from elsewhere than Debian, for all architectures.
	Archives      []Download               `yaml:"archives,omitempty"`
	Architectures map[string]*Architecture `yaml:"architectures"`
}

// Architecture is what is pinned for amd64 or arm64.
type Architecture struct {
	// Roots is, for each image, the digest of what it asks for: another list of packages is
	// resolved anew.
	Roots map[string]string `yaml:"roots"`
	// Closures is, for each image, the digest of the names that it was resolved to: a pin that is
	// taken away is missed, also one that no root names.
	Closures map[string]string `yaml:"closures,omitempty"`
	Packages []Pin             `yaml:"packages"`
}

// Pin is one package and the images that take files from it.
type Pin struct {
	Package `yaml:",inline"`
	Images  []string `yaml:"images,flow"`
}

// ParseLock reads a platen.lock strictly. Errors name the line.
func ParseLock(data []byte) (Lock, error) {
	l := Lock{}
	if err := yaml.UnmarshalWithOptions(data, &l, yaml.Strict()); err != nil {
		return Lock{}, fmt.Errorf("read platen.lock: %w", err)
	}
	if l.Version != lockVersion {
		return Lock{}, fmt.Errorf("read platen.lock: version %d is not known to this platen (it reads %d): use a newer platen, or remove the file to have it written anew", l.Version, lockVersion)
	}
	if err := l.check(data); err != nil {
		return Lock{}, fmt.Errorf("read platen.lock: %w", err)
	}
	return l, nil
}

func isSHA256(s string) bool {
	sum, err := hex.DecodeString(s)
	return err == nil && len(sum) == sha256.Size && s == strings.ToLower(s)
}

// Pinned returns what the lock has of a download: by its hash when want names one, else by name
// and version.
func (l Lock) Pinned(want Download) (Download, bool) {
	for _, d := range l.Archives {
		if want.SHA256 != "" && d.SHA256 == want.SHA256 && d.URL == want.URL || want.SHA256 == "" && d.Name == want.Name && d.Version == want.Version {
			return d, true
		}
	}
	return Download{}, false
}

// Marshal returns the file, the same for the same content.
func (l Lock) Marshal() ([]byte, error) {
	l.Version = lockVersion
	slices.SortFunc(l.Archives, func(x, y Download) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.URL, y.URL))
	})
	for _, a := range l.Architectures {
		slices.SortFunc(a.Packages, func(x, y Pin) int {
			return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Version, y.Version))
		})
	}
	var out bytes.Buffer
	out.WriteString(lockHeader)
	if err := yaml.NewEncoder(&out, yaml.IndentSequence(true)).Encode(l); err != nil {
		return nil, fmt.Errorf("write platen.lock: %w", err)
	}
	return out.Bytes(), nil
}

// RootsDigest identifies what an image asks the archive for.
func RootsDigest(with, alone, leave []string) string {
	leave = slices.Sorted(slices.Values(leave))
	data, err := json.Marshal([][]string{with, alone, leave})
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// closureDigest identifies the names of what was resolved.
func closureDigest(packages []Package) string {
	var names []string
	for _, p := range packages {
		names = append(names, p.Name)
	}
	return RootsDigest(slices.Sorted(slices.Values(names)), nil, nil)
}

// Pins returns all packages of the architecture; none of nil.
func (a *Architecture) Pins() []Pin {
	if a == nil {
		return nil
	}
	return a.Packages
}

// Of returns the packages that are pinned for an image; ok is false when the image asks for
// something else than what was resolved.
func (l Lock) Of(arch, image, roots string) (packages []Package, ok bool) {
	a := l.Architectures[arch]
	if a == nil || a.Roots[image] != roots {
		return nil, false
	}
	for _, p := range a.Packages {
		if slices.Contains(p.Images, image) {
			packages = append(packages, p.Package)
		}
	}
	return packages, true
}

// Missing tells which of an image's pins are there no more: those of its roots by name, then
// whether the others are all that was resolved. nil means that the lock is as it was written.
func (l Lock) Missing(arch, image string, r Recipe) error {
	with, alone := r.Roots()
	packages, ok := l.Of(arch, image, RootsDigest(with, alone, r.Leave))
	if !ok {
		return nil // it asks for something else, and is resolved anew
	}
	var gone []string
	for _, root := range append(with, alone...) {
		if !slices.ContainsFunc(packages, func(p Package) bool { return p.Name == root }) && !slices.Contains(gone, root) {
			gone = append(gone, root)
		}
	}
	recorded := l.Architectures[arch].Closures[image]
	switch {
	case len(gone) > 0:
		return fmt.Errorf("%s: image %s asks for %s, which is not among its pins any more", arch, image, strings.Join(gone, ", "))
	case recorded != "" && recorded != closureDigest(packages):
		return fmt.Errorf("%s: the pins of image %s are not those that were written: one was added or removed", arch, image)
	}
	return nil
}

// Set pins an image's packages. A package that another image has pinned in another version is
// replaced there too: one site has one version of everything.
func (l *Lock) Set(arch, image, roots string, packages []Package) {
	if l.Architectures == nil {
		l.Architectures = map[string]*Architecture{}
	}
	a := l.Architectures[arch]
	if a == nil {
		a = &Architecture{Roots: map[string]string{}}
		l.Architectures[arch] = a
	}
	if a.Roots == nil {
		a.Roots = map[string]string{}
	}
	if a.Closures == nil {
		a.Closures = map[string]string{}
	}
	a.Roots[image], a.Closures[image] = roots, closureDigest(packages)
	pins := map[string]Pin{}
	for _, p := range a.Packages {
		p.Images = slices.DeleteFunc(slices.Clone(p.Images), func(name string) bool { return name == image })
		pins[p.Name] = p
	}
	for _, p := range packages {
		images := append(pins[p.Name].Images, image)
		slices.Sort(images)
		pins[p.Name] = Pin{Package: p, Images: images}
	}
	a.Packages = nil
	for _, p := range pins {
		if len(p.Images) > 0 {
			a.Packages = append(a.Packages, p)
		}
	}
	slices.SortFunc(a.Packages, func(x, y Pin) int { return strings.Compare(x.Name, y.Name) })
}
