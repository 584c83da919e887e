package image

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// What the site brings changes often and a little. It is cut into many small layers, so that one
// changed file sends one of them: a push of a changed file is that layer, in nginx and in the PHP
// images, with configurations and bills of materials, below a megabyte together.
const (
	// bucketSize is how large one of them may become, packed, by weight's estimate.
	bucketSize = 256 << 10
	// An image has at most 127 layers on Docker's overlay2 (its maxDepth is 128, and the container's
	// own is one). The recipes need a dozen; these are shared out among what the site brings.
	mostSiteLayers   = 64
	mostFolderLayers = 40
)

// bucket is what becomes one layer.
type bucket struct {
	name    string
	entries []entry
	weight  int64
}

func newBucket(name string, entries []entry) bucket {
	b := bucket{name, entries, 0}
	for _, e := range entries {
		b.weight += e.weight()
	}
	return b
}

// packable are the kinds of files that packing makes at least three times smaller.
var packable = []string{".php", ".inc", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".map", ".css", ".scss", ".less", ".sass", ".html", ".htm",
	".json", ".xml", ".txt", ".md", ".svg", ".po", ".pot", ".mo", ".sql", ".csv", ".yml", ".yaml", ".twig", ".lock"}

// weight estimates what an entry takes, packed. It looks at name and size alone, so that another
// content of the same size stays in the same layer.
func (e entry) weight() int64 {
	const header = 64
	if e.packs {
		return 3*header + e.size // with its twins
	}
	if slices.Contains(packable, strings.ToLower(path.Ext(e.path))) {
		return header + e.size/3
	}
	return header + e.size
}

// split cuts groups into at most so many buckets, as small as that allows. Where a file goes
// follows from its path and from what is in its own group: a change elsewhere moves nothing.
func split(groups []bucket, most int) []bucket {
	for limit := int64(bucketSize); ; limit *= 2 {
		var out []bucket
		for _, g := range pool(groups, limit, most) {
			out = append(out, g.split(limit)...)
		}
		if len(out) <= most {
			return out
		}
	}
}

// pool puts small groups together where a layer for each would leave too few for the large ones.
func pool(groups []bucket, limit int64, most int) []bucket {
	if len(groups) <= most/2 {
		return groups
	}
	var apart []bucket
	var together []entry
	for _, g := range groups {
		if g.weight > limit {
			apart = append(apart, g)
		} else {
			together = append(together, g.entries...)
		}
	}
	if together != nil {
		apart = append(apart, newBucket(siteLayer, together))
	}
	return apart
}

// split gives each large file a bucket of its own, and the others buckets by the first bits of
// their paths' hashes: as many bits as it takes.
func (b bucket) split(limit int64) []bucket {
	if b.weight <= limit {
		return []bucket{b}
	}
	var large []bucket
	var rest []entry
	for _, e := range b.entries {
		if e.weight() > limit/2 {
			large = append(large, newBucket(b.name+" "+path.Base(e.path), []entry{e}))
		} else {
			rest = append(rest, e)
		}
	}
	slices.SortStableFunc(large, func(x, y bucket) int { return cmp.Compare(x.entries[0].path, y.entries[0].path) })
	return append(large, newBucket(b.name, rest).halve(limit, "")...)
}

func (b bucket) halve(limit int64, bits string) []bucket {
	if len(b.entries) == 0 {
		return nil
	}
	if b.weight <= limit || len(bits) == sha256.Size {
		if bits != "" {
			b.name += " " + bits
		}
		return []bucket{b}
	}
	var halves [2][]entry
	for _, e := range b.entries {
		sum := sha256.Sum256([]byte(e.path))
		bit := sum[len(bits)/8] >> (7 - len(bits)%8) & 1
		halves[bit] = append(halves[bit], e)
	}
	var out []bucket
	for bit, entries := range halves {
		out = append(out, newBucket(b.name, entries).halve(limit, fmt.Sprintf("%s%d", bits, bit))...)
	}
	return out
}

// isSite reports whether a layer is one of those that split made of the site's plugins and themes.
func isSite(layer string) bool { return layer == siteLayer || strings.HasPrefix(layer, siteLayer+" ") }

// buckets are the layers that a layer of the recipe becomes: one; more of the plugins, themes and
// translations that come with a WordPress of the site's own.
func (s *selection) buckets(i int, entries map[string]entry, own bool) []bucket {
	l := s.recipe.Layers[i]
	whole := bucket{name: l.Name, entries: slices.Collect(maps.Values(entries))}
	if !own || !l.Core || l.Content == "" {
		return []bucket{whole}
	}
	whole.entries = nil
	var files []entry
	for _, p := range slices.Sorted(maps.Keys(entries)) {
		if e := entries[p]; e.kind == tar.TypeReg && !strings.HasPrefix(p, "usr/share/doc/") {
			files = append(files, e)
		} else {
			whole.entries = append(whole.entries, e)
		}
	}
	var out []bucket
	if len(whole.entries) > 0 {
		out = append(out, whole)
	}
	return append(out, split([]bucket{newBucket(l.Name, files)}, mostFolderLayers)...)
}

func byPath(entries []entry) map[string]entry {
	all := make(map[string]entry, len(entries))
	for _, e := range entries {
		all[e.path] = e
	}
	return all
}
