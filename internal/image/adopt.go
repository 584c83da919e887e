package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Manifest is an image as a registry has it: the text of its manifest and of its configuration. The
// layers that they name are among the blobs.
type Manifest struct {
	Name     string // nginx, wordpress, …
	Platform string // linux/amd64
	Manifest []byte
	Config   []byte
}

// Adopt makes an Image of one that was made elsewhere, so that it can be loaded, pushed, compared
// and built upon as those made here. Every layer is read once, and must unpack to what the
// configuration says.
func Adopt(blobs Blobs, m Manifest) (Image, error) {
	digest, _, err := v1.SHA256(strings.NewReader(string(m.Manifest)))
	if err != nil {
		return Image{}, err
	}
	fail := func(err error) (Image, error) {
		return Image{}, fmt.Errorf("read image %s (%s): %w", m.Name, digest, err)
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(m.Manifest, &manifest); err != nil {
		return fail(err)
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(m.Config, &config); err != nil {
		return fail(err)
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return fail(fmt.Errorf("its configuration names %d layers, its manifest %d", len(config.RootFS.DiffIDs), len(manifest.Layers)))
	}
	img := Image{Name: m.Name, Platform: m.Platform, Digest: digest.String(), Packages: []string{}, adopted: true}
	names := layerTitles(config.History, len(manifest.Layers))
	for i, l := range manifest.Layers {
		if !l.MediaType.IsDistributable() || !l.MediaType.IsLayer() || strings.HasSuffix(string(l.MediaType), "zstd") {
			return fail(fmt.Errorf("layer %s is packed as %s, which is not read here", l.Digest, l.MediaType))
		}
		img.parts = append(img.parts, part{
			Layer:  Layer{Name: names[i], Digest: l.Digest.String(), Size: l.Size},
			DiffID: config.RootFS.DiffIDs[i].String(), blobs: blobs,
		})
		img.Size += l.Size
	}
	if err := img.scan(blobs); err != nil {
		return fail(err)
	}
	for _, p := range img.parts {
		img.Layers = append(img.Layers, p.Layer)
	}
	if img.OCI, err = partial.CompressedToImage(foreign{m, manifest, img.parts}); err != nil {
		return fail(err)
	}
	return img, img.remember(blobs)
}

// layerTitles are what the history calls the layers, where it does.
func layerTitles(history []v1.History, n int) []string {
	var titles []string
	for _, h := range history {
		if !h.EmptyLayer {
			title, ours := strings.CutPrefix(h.CreatedBy, "platen: ")
			if !ours {
				title = "layer"
			}
			titles = append(titles, title)
		}
	}
	if len(titles) != n {
		titles = slices.Repeat([]string{"layer"}, n)
	}
	return titles
}

// scanned is what is remembered of the layers of an adopted image.
type scanned struct {
	Held    [][]Held `json:"held"` // a layer's
	Files   []string `json:"files"`
	Dirs    []Dir    `json:"dirs"`
	Version string   `json:"version"` // of WordPress
}

// scan finds out which files the image has, as a container would see them.
func (img *Image) scan(blobs Blobs) error {
	key := "adopted-" + strings.TrimPrefix(img.Digest, "sha256:")
	var found scanned
	data, ok, err := blobs.Note(key)
	if err != nil {
		return err
	}
	if !ok || json.Unmarshal(data, &found) != nil || len(found.Held) != len(img.parts) {
		found = scanned{}
		files, dirs := map[string]bool{}, map[string]Dir{}
		for _, p := range img.parts {
			h, err := p.scan(files, dirs, &found.Version)
			if err != nil {
				return fmt.Errorf("layer %s: %w", p.Digest, err)
			}
			found.Held = append(found.Held, []Held{h})
		}
		found.Files = sortedKeys(files)
		for _, p := range sortedKeys(dirs) {
			found.Dirs = append(found.Dirs, dirs[p])
		}
		if data, err = json.Marshal(found); err != nil {
			return err
		}
		if err := blobs.SetNote(key, data); err != nil {
			return err
		}
	}
	for i := range img.parts {
		img.parts[i].Held = found.Held[i]
	}
	img.files, img.dirs, img.wordpress = found.Files, found.Dirs, found.Version
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// wordpressVersion is where WordPress says which one it is.
const wordpressVersion = "usr/share/wordpress/wp-includes/version.php"

var versionLine = regexp.MustCompile(`(?m)^\s*\$wp_version\s*=\s*'([0-9A-Za-z.+-]{1,40})'`)

// scan adds a layer's files to those below it.
func (p part) scan(files map[string]bool, dirs map[string]Dir, version *string) (h Held, err error) {
	plain, err := blobLayer{p}.Uncompressed()
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, plain.Close()) }()
	sum := &counter{to: io.Discard, hash: sha256.New()}
	all := io.TeeReader(plain, sum)
	for r := tar.NewReader(all); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return h, err
		}
		at := merged(e.Name)
		// A file named .wh.NAME takes NAME of lower layers away (OCI image specification, "Whiteouts").
		if gone, whiteout := strings.CutPrefix(path.Base(at), ".wh."); whiteout {
			below := path.Join(path.Dir(at), gone)
			if gone == ".wh..opq" {
				below = path.Dir(at)
			}
			for f := range files {
				if f == below || strings.HasPrefix(f, below+"/") {
					delete(files, f)
				}
			}
			continue
		}
		if e.Typeflag == tar.TypeDir {
			if mode := e.Mode & 0o7777; mode != 0o755 || e.Uid != 0 {
				dirs[at] = Dir{Path: at, Mode: mode, UID: e.Uid}
			}
			continue
		}
		files[at] = true
		h.Files++
		h.Bytes += e.Size
		if at == wordpressVersion && e.Size < 1<<20 {
			text, err := io.ReadAll(r)
			if err != nil {
				return h, err
			}
			if found := versionLine.FindSubmatch(text); found != nil {
				*version = string(found[1])
			}
		}
	}
	if _, err := io.Copy(io.Discard, all); err != nil {
		return h, err
	}
	if got := sum.digest(); got != p.DiffID {
		return h, fmt.Errorf("it unpacks to %s, and the configuration says %s", got, p.DiffID)
	}
	return h, nil
}

// Adopted reports whether the image was made elsewhere: then nothing is known of its packages.
func (img Image) Adopted() bool { return img.adopted }

// WordPress is the version of WordPress in the image, as WordPress itself writes it; "" where none
// is known to be.
func (img Image) WordPress() string {
	if img.adopted {
		return img.wordpress
	}
	for _, p := range img.pins {
		if p.Name == "wordpress" {
			version := p.Version[strings.IndexByte(p.Version, ':')+1:]
			if end := strings.IndexAny(version, "+~-"); end > 0 {
				version = version[:end]
			}
			return version
		}
	}
	return ""
}

// foreign is an adopted image as go-containerregistry wants it.
type foreign struct {
	Manifest
	parsed v1.Manifest
	parts  []part
}

func (f foreign) MediaType() (types.MediaType, error) {
	if f.parsed.MediaType == "" {
		return types.OCIManifestSchema1, nil
	}
	return f.parsed.MediaType, nil
}
func (f foreign) RawManifest() ([]byte, error)   { return f.Manifest.Manifest, nil }
func (f foreign) RawConfigFile() ([]byte, error) { return f.Config, nil }
func (f foreign) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for i, l := range f.parsed.Layers {
		if l.Digest == h {
			return foreignLayer{blobLayer{f.parts[i]}, l.MediaType}, nil
		}
	}
	if f.parsed.Config.Digest == h {
		return partial.ConfigLayer(f)
	}
	return nil, fmt.Errorf("the image has no layer %s", h)
}

// foreignLayer is packed as its manifest says.
type foreignLayer struct {
	blobLayer
	media types.MediaType
}

func (l foreignLayer) MediaType() (types.MediaType, error) { return l.media, nil }
