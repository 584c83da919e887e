package image

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/goccy/go-yaml"
)

// Recipe says what an image holds. It is rootfs/IMAGE/image.yaml, and only declares: nothing in it
// runs. Paths are without a leading slash and below the merged /usr; ${triplet} stands for the
// architecture's library folder (x86_64-linux-gnu).
type Recipe struct {
	Name string `yaml:"-"`
	// Base is the image whose layers come first, with the same digests.
	Base string `yaml:"base"`
	// Leave are packages that the roots depend on but that no file is kept of: neither they nor
	// what only they need are pinned or downloaded. A library that is missed is an error.
	Leave []string `yaml:"leave"`
	// Layers are made of packages, in the order in which they change.
	Layers []LayerRecipe `yaml:"layers"`
	// Users become /etc/passwd and /etc/group, together with root.
	Users []User `yaml:"users"`
	// Agent is the static binary of this program that the image starts.
	Agent *Agent `yaml:"agent"`
	// Site says where the site's own plugins and themes go, by who owns them: shared, image.
	Site map[string]SiteRecipe `yaml:"site"`
	// Files are globs of the site's image.files that this image takes.
	Files []string `yaml:"files"`
	// Compress are globs of files that are sent to browsers: brotli and gzip of them are made beside
	// each, as FILE.br and FILE.gz, where that saves something.
	Compress []string `yaml:"compress" json:",omitempty"`
	// Static says that nothing of what the site brings runs here: it is served as it is. No layer's
	// bytes follow from it.
	Static bool   `yaml:"static" json:"-"`
	Config Config `yaml:"config"`
}

// LayerRecipe is one layer of files from packages.
type LayerRecipe struct {
	Name     string   `yaml:"name"`     // system, php, core, assets, seed …
	Content  string   `yaml:"content"`  // shared | image: the layer is only made for such a site
	Packages []string `yaml:"packages"` // roots: with all that they depend on
	Alone    []string `yaml:"alone"`    // packages without what they depend on
	// Core says that Alone is WordPress as Debian has it; another source of it replaces them.
	Core bool `yaml:"core"`
	// Extra takes the site's own image.packages, with every file of them that can be of use.
	Extra bool `yaml:"extra"`

	Keep     []string `yaml:"keep"`     // globs; one that matches nothing is an error
	Drop     []string `yaml:"drop"`     // globs, stronger than Keep
	Minified []string `yaml:"minified"` // globs of .js and .css that are left out when a .min twin is there
	Real     []string `yaml:"real"`     // globs of links that are replaced by what they point at

	Move    []Move   `yaml:"move"`    // folders under another name
	Links   []Link   `yaml:"links"`   // symbolic links
	Dirs    []Dir    `yaml:"dirs"`    // empty folders
	Bundles []Bundle `yaml:"bundles"` // files made of others, one after another
	Modules *Modules `yaml:"modules"` // one PHP ini file for all extensions
}

// Move puts what is kept below From below To instead.
type Move struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// Link is a symbolic link.
type Link struct {
	Path string `yaml:"path"`
	To   string `yaml:"to"`
}

// Dir is a folder of the image. Mode is octal in the file; 0 stands for 755.
type Dir struct {
	Path string `yaml:"path"`
	Mode int64  `yaml:"mode"`
	UID  int    `yaml:"uid"` // the group is the same number
}

// Bundle is the file To: all files that match From, in the order of their names.
type Bundle struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// Modules writes To: a line for each extension of Dir that is kept. Those in First come in that
// order, since an extension must be loaded after what it uses; the others follow by name.
type Modules struct {
	Dir   string   `yaml:"dir"`
	To    string   `yaml:"to"`
	First []string `yaml:"first"`
	Zend  []string `yaml:"zend"` // loaded as zend_extension
}

// User is one line of /etc/passwd and of /etc/group.
type User struct {
	Name string `yaml:"name"`
	UID  int    `yaml:"uid"`
	Home string `yaml:"home"`
}

// Agent is a binary of rootfs/agent/bin and where it goes.
type Agent struct {
	Binary string `yaml:"binary"` // platen-agent | platen-job
	To     string `yaml:"to"`
}

// SiteRecipe says where plugins and themes go and which of their files are left out.
type SiteRecipe struct {
	To   string   `yaml:"to"` // themes/ and plugins/ are made below it
	Drop []string `yaml:"drop"`
}

// Config is what the engine is told about the image.
type Config struct {
	Entrypoint []string          `yaml:"entrypoint"`
	Cmd        []string          `yaml:"cmd"`
	Env        []string          `yaml:"env"`
	User       string            `yaml:"user"` // numeric: uid:gid
	StopSignal string            `yaml:"stop_signal"`
	Workdir    string            `yaml:"workdir"`
	Ports      []string          `yaml:"ports"` // 8080/tcp
	Labels     map[string]string `yaml:"labels"`
}

// ParseRecipe reads an image.yaml strictly: unknown keys, duplicate keys, bad globs and paths that
// leave the image are errors, all reported at once after the YAML itself is sound.
func ParseRecipe(name string, data []byte) (Recipe, error) {
	r := Recipe{}
	if err := yaml.UnmarshalWithOptions(data, &r, yaml.Strict()); err != nil {
		return Recipe{}, fmt.Errorf("recipe of image %s: %w", name, err)
	}
	r.Name = name
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	inside := func(what, p string) {
		if p == "" || path.Clean(p) != p || path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../") {
			bad("%s: %q must be a clean path without a leading slash", what, p)
		}
	}
	globs := func(what string, patterns []string) {
		for _, g := range patterns {
			if !doublestar.ValidatePattern(g) || path.IsAbs(g) {
				bad("%s: %q is not a glob below the root", what, g)
			}
		}
	}
	globs("files", r.Files)
	globs("compress", r.Compress)
	if len(r.Config.Entrypoint) == 0 {
		bad("config.entrypoint: missing")
	}
	if r.Base == "" && (len(r.Layers) == 0 || r.Layers[0].Content != "") {
		bad("layers: an image without a base begins with a layer that every site has")
	}
	for i, l := range r.Layers {
		at := fmt.Sprintf("layers[%d]", i)
		if l.Name == "" {
			bad("%s.name: missing", at)
		}
		if !slices.Contains([]string{"", "shared", "image"}, l.Content) {
			bad("%s.content: %q is neither shared nor image", at, l.Content)
		}
		for _, list := range [][]string{l.Keep, l.Drop, l.Minified, l.Real} {
			globs(at, list)
		}
		for _, m := range l.Move {
			inside(at+".move", m.From)
			inside(at+".move", m.To)
		}
		for _, k := range l.Links {
			inside(at+".links", k.Path)
		}
		for _, d := range l.Dirs {
			inside(at+".dirs", d.Path)
			if d.Mode&^0o1777 != 0 || (d.Mode&0o002 != 0 && d.Mode&0o1000 == 0) {
				bad("%s.dirs: %s: mode %o: no set-id bits, and what everyone writes is sticky", at, d.Path, d.Mode)
			}
		}
		for _, b := range l.Bundles {
			globs(at+".bundles", []string{b.From})
			inside(at+".bundles", b.To)
		}
		if l.Modules != nil {
			inside(at+".modules", l.Modules.Dir)
			inside(at+".modules", l.Modules.To)
		}
	}
	if r.Agent != nil {
		inside("agent", r.Agent.To)
	}
	for owner, s := range r.Site {
		if owner != "shared" && owner != "image" {
			bad("site: %q is neither shared nor image", owner)
		}
		inside("site."+owner, s.To)
		globs("site."+owner, s.Drop)
	}
	if len(errs) > 0 {
		return Recipe{}, fmt.Errorf("recipe of image %s: %w", name, errors.Join(errs...))
	}
	return r, nil
}

// For returns the recipe as it is for one site: layers of the other kind of content are gone, and
// the packages that the site asks for beyond the defaults are roots of the layers that take them.
func (r Recipe) For(content string, extra []string) Recipe {
	layers := make([]LayerRecipe, 0, len(r.Layers))
	for _, l := range r.Layers {
		if l.Content != "" && l.Content != content {
			continue
		}
		if l.Extra {
			l.Packages = append(slices.Clone(l.Packages), extra...)
		}
		layers = append(layers, l)
	}
	r.Layers = layers
	return r
}

// Elsewhere returns the recipe for a WordPress that is not Debian's.
func (r Recipe) Elsewhere() Recipe {
	r.Layers = slices.Clone(r.Layers)
	for i := range r.Layers {
		if r.Layers[i].Core {
			r.Layers[i].Alone = nil
		}
	}
	return r
}

// HasCore reports whether the image holds files of WordPress in layers of its own.
func (r Recipe) HasCore() bool {
	return slices.ContainsFunc(r.Layers, func(l LayerRecipe) bool { return l.Core })
}

// Roots returns the packages that the image asks for, sorted: with is resolved with what it
// depends on, alone is not.
func (r Recipe) Roots() (with, alone []string) {
	for _, l := range r.Layers {
		with = append(with, l.Packages...)
		alone = append(alone, l.Alone...)
	}
	slices.Sort(with)
	slices.Sort(alone)
	return slices.Compact(with), slices.Compact(alone)
}

// Triplet is the folder of an architecture's libraries; "" for an architecture that is not built.
func Triplet(arch string) string {
	return map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[arch]
}

// expand replaces ${triplet} in the recipe's paths. It works on the layers' own copies.
func (l LayerRecipe) expand(arch string) LayerRecipe {
	each := func(in []string) []string {
		out := make([]string, len(in))
		for i, s := range in {
			out[i] = strings.ReplaceAll(s, "${triplet}", Triplet(arch))
		}
		return out
	}
	l.Keep, l.Drop, l.Minified, l.Real = each(l.Keep), each(l.Drop), each(l.Minified), each(l.Real)
	return l
}
