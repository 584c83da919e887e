package image

import (
	"archive/tar"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Held is what one layer holds of one package, or of what no package holds ("").
type Held struct {
	Package string `json:"package"`
	Files   int    `json:"files"` // and links
	Bytes   int64  `json:"bytes"` // unpacked
}

// Share is how much of an image one package is.
type Share struct {
	Package string `json:"package"` // "" stands for the image's own files
	Version string `json:"version,omitempty"`
	Files   int    `json:"files"`
	Bytes   int64  `json:"bytes"` // unpacked
	// Compressed is its part of the layers as a registry holds them, by its part of what they hold
	// unpacked: what is in one layer is compressed as one.
	Compressed int64    `json:"compressed_bytes"`
	Layers     []string `json:"layers"`
	Licences   []string `json:"licences,omitempty"`
}

// held counts what a layer's entries are of.
func held(entries map[string]entry) []Held {
	all := map[string]Held{}
	for _, e := range entries {
		if e.kind == tar.TypeDir {
			continue
		}
		h := all[e.pkg]
		h.Package = e.pkg
		h.Files++
		h.Bytes += e.size
		all[e.pkg] = h
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Held) int { return strings.Compare(a.Package, b.Package) })
}

// Shares says how much of the image each package is, the largest first.
func (img Image) Shares() []Share {
	versions := map[string]string{}
	for _, p := range img.Packages {
		name, version, _ := strings.Cut(p, "=")
		versions[name] = version
	}
	all := map[string]*Share{}
	for _, p := range img.parts {
		var total int64
		for _, h := range p.Held {
			total += h.Bytes
		}
		for _, h := range p.Held {
			s := all[h.Package]
			if s == nil {
				s = &Share{Package: h.Package, Version: versions[h.Package], Licences: img.licences[h.Package]}
				all[h.Package] = s
			}
			s.Files += h.Files
			s.Bytes += h.Bytes
			if total > 0 {
				s.Compressed += int64(float64(p.Size) * float64(h.Bytes) / float64(total))
			}
			if !slices.Contains(s.Layers, p.Name) {
				s.Layers = append(s.Layers, p.Name)
			}
		}
	}
	shares := make([]Share, 0, len(all))
	for _, s := range all {
		shares = append(shares, *s)
	}
	slices.SortFunc(shares, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Compressed, a.Compressed), strings.Compare(a.Package, b.Package))
	})
	return shares
}

// Files counts files and links, and their bytes unpacked.
func (img Image) Files() (files int, bytes int64) {
	for _, s := range img.Shares() {
		files += s.Files
		bytes += s.Bytes
	}
	return files, bytes
}

// recalled is what is remembered of an image by its digest, so that it can be compared with later
// ones when its layers are gone from the cache.
type recalled struct {
	Image
	Parts    []part              `json:"parts"`
	Licences map[string][]string `json:"licences"`
	Adopted  bool                `json:"adopted,omitempty"`
}

func recallKey(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return "image-" + hex[:min(12, len(hex))]
}

// remember notes the image under the first twelve digits of its digest, which its name at the
// engine ends in.
func (img Image) remember(blobs Blobs) error {
	if _, ok, err := blobs.Note(recallKey(img.Digest)); ok || err != nil {
		return err
	}
	data, err := json.Marshal(recalled{img, img.parts, img.licences, img.adopted})
	if err != nil {
		return err
	}
	return blobs.SetNote(recallKey(img.Digest), data)
}

// Recall returns what is remembered of an image that was built before; ok is false when nothing is.
// It has no layers to load or to push. reference ends in @sha256:… or in twelve digits of a digest.
func Recall(blobs Blobs, reference string) (img Image, ok bool, err error) {
	digest := reference[strings.LastIndexByte(reference, ':')+1:]
	data, ok, err := blobs.Note(recallKey(":" + digest))
	if err != nil || !ok {
		return Image{}, false, err
	}
	r := recalled{}
	if err := json.Unmarshal(data, &r); err != nil {
		return Image{}, false, fmt.Errorf("read what is remembered of image %s: %w", reference, err)
	}
	r.parts, r.licences, r.adopted = r.Parts, r.Licences, r.Adopted
	return r.Image, true, nil
}

// Difference is how two builds of an image differ.
type Difference struct {
	Image    string          `json:"image"`
	Platform string          `json:"platform"`
	From     string          `json:"from"` // digests; "" when there is none or nothing is known of it
	To       string          `json:"to"`
	Same     bool            `json:"same"`
	Packages []PackageChange `json:"packages"`
	Layers   []LayerChange   `json:"layers"`
	// How much larger or smaller it became, and what of it an engine or a registry with the former
	// image is sent.
	Files      int   `json:"files"`
	Bytes      int64 `json:"bytes"`
	Compressed int64 `json:"compressed_bytes"`
	Sent       int64 `json:"sent_bytes"`
}

// LayerChange is one layer that is new, gone or another; sizes are compressed.
type LayerChange struct {
	Name string `json:"name"`
	From int64  `json:"from,omitempty"`
	To   int64  `json:"to,omitempty"`
}

// Diff compares an image with what came before it. Layers are compared by name, those of one name
// in their order.
func Diff(before, after Image) Difference {
	d := Difference{Image: after.Name, Platform: after.Platform, From: before.Digest, To: after.Digest,
		Same: before.Digest == after.Digest, Packages: []PackageChange{}, Layers: []LayerChange{}}
	arch := strings.TrimPrefix(after.Platform, "linux/")
	d.Packages = append(d.Packages, lockOf(arch, before).Changes(lockOf(arch, after))...)
	type place struct {
		name string
		nth  int
	}
	index := func(img Image) (map[place]Layer, []place) {
		layers, order := map[place]Layer{}, []place{}
		for _, l := range img.Layers {
			at := place{name: l.Name}
			for _, taken := layers[at]; taken; _, taken = layers[at] {
				at.nth++
			}
			layers[at] = l
			order = append(order, at)
		}
		return layers, order
	}
	old, oldOrder := index(before)
	updated, order := index(after)
	for _, at := range order {
		if was := old[at]; was.Digest != updated[at].Digest {
			d.Layers = append(d.Layers, LayerChange{at.name, was.Size, updated[at].Size})
			d.Sent += updated[at].Size
		}
	}
	for _, at := range oldOrder {
		if _, there := updated[at]; !there {
			d.Layers = append(d.Layers, LayerChange{Name: at.name, From: old[at].Size})
		}
	}
	fromFiles, fromBytes := before.Files()
	toFiles, toBytes := after.Files()
	d.Files, d.Bytes, d.Compressed = toFiles-fromFiles, toBytes-fromBytes, after.Size-before.Size
	return d
}

// lockOf is a lock of an image's packages by name and version, for comparing.
func lockOf(arch string, img Image) Lock {
	a := &Architecture{}
	for _, p := range img.Packages {
		name, version, _ := strings.Cut(p, "=")
		a.Packages = append(a.Packages, Pin{Package: Package{Name: name, Version: version}})
	}
	return Lock{Architectures: map[string]*Architecture{arch: a}}
}
