package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/containerd/errdefs"
	distribution "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/gzip"
	api "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/report"
)

func TestDamagedBlobIsNotThere(t *testing.T) {
	dir := t.TempDir()
	c := cache(t, dir)
	digest := put(t, c, "layer")
	for name, damage := range map[string]func(string) error{
		"changed": func(p string) error { return os.WriteFile(p, []byte("layeR"), 0o644) },
		"cut":     func(p string) error { return os.Truncate(p, 3) },
		"gone":    os.Remove,
	} {
		if has, err := c.Has(digest, 5); err != nil || !has {
			t.Fatalf("before it is %s: %v, %v", name, has, err)
		}
		if err := damage(filepath.Join(dir, "blobs", strings.TrimPrefix(digest, "sha256:"))); err != nil {
			t.Fatal(err)
		}
		if has, err := c.Has(digest, 5); err != nil || has {
			t.Errorf("%s, but there: %v, %v", name, has, err)
		}
		put(t, c, "layer")
	}
}

func TestWhatWasNotCommittedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	c := cache(t, dir)
	b, err := c.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(b, "half"); err != nil {
		t.Fatal(err)
	}
	if err := b.Discard(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"tmp", "blobs"} {
		if left, err := os.ReadDir(filepath.Join(dir, sub)); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v (%v)", sub, left, err)
		}
	}
}

func TestTwoBuildsShareACache(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	digests := make([]string, 8)
	for i := range digests {
		wg.Go(func() { digests[i] = images(t, cache(t, dir), "same")[0].Digest })
	}
	wg.Wait()
	for _, d := range digests {
		if d != digests[0] {
			t.Errorf("%s and %s", d, digests[0])
		}
	}
}

func TestLoadSendsWhatTheEngineLacks(t *testing.T) {
	c := cache(t, t.TempDir())
	e := &fakeEngine{}
	repository := func(name string) string { return "platen/blog-" + name }
	first := images(t, c, "one")
	refs := load(t, e, first, repository)
	if want := "platen/blog-web:" + first[0].Digest[7:19]; refs["web"] != want || e.images[want] == nil {
		t.Fatalf("reference is %s, want %s", refs["web"], want)
	}
	if e.loads != 1 || e.sent != 3 {
		t.Fatalf("%d loads of %d layers", e.loads, e.sent)
	}

	load(t, e, first, repository)
	if e.loads != 1 {
		t.Error("an image that is there was sent again")
	}

	load(t, e, first, func(name string) string { return "platen/shop-" + name })
	if e.loads != 1 || e.images["platen/shop-web:"+first[0].Digest[7:19]] == nil {
		t.Error("an image that is there under another name was not just named")
	}

	load(t, e, images(t, c, "two"), repository)
	if e.loads != 2 || e.sent != 4 {
		t.Errorf("after a change above, %d layers of %d loads", e.sent, e.loads)
	}
}

func TestLoadSendsAllToAnEngineThatWantsAll(t *testing.T) {
	c := cache(t, t.TempDir())
	e := &fakeEngine{wantsAll: true}
	repository := func(name string) string { return "platen/blog-" + name }
	load(t, e, images(t, c, "one"), repository)
	load(t, e, images(t, c, "two"), repository)
	if e.loads != 3 || e.sent != 6 {
		t.Errorf("%d loads of %d layers", e.loads, e.sent)
	}
}

func TestLoadReportsWhatTheEngineSays(t *testing.T) {
	e := &fakeEngine{refuses: "no space left on device"}
	_, err := registry.Load(context.Background(), e, images(t, cache(t, t.TempDir()), "one"), func(n string) string { return n }, nil)
	if err == nil || !strings.Contains(err.Error(), "load image web into the engine: no space left on device") {
		t.Errorf("got %v", err)
	}
}

// What was pulled is run as what was built: by name at the engine.
func TestPulledImagesAreLoaded(t *testing.T) {
	made := images(t, cache(t, t.TempDir()), "text")
	server := httptest.NewServer(distribution.New(distribution.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	references, err := registry.Push(t.Context(), registry.PushOptions{Repository: func(name string) string { return host + "/blog-" + name }}, made, nil)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := registry.Pull(t.Context(), cache(t, t.TempDir()), registry.PullOptions{Name: "web", Reference: references["web"], Platform: "linux/amd64"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &fakeEngine{}
	refs := load(t, e, []image.Image{pulled}, func(name string) string { return "platen/blog-" + name })
	if want := registry.Reference("platen/blog-web", made[0]); refs["web"] != want || len(e.images[want]) != len(made[0].Layers) {
		t.Errorf("loaded %v as %v, want %s", e.images, refs, want)
	}
}

func TestSavedImagesAreWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "oci")
	made := images(t, cache(t, t.TempDir()), "one")
	for range 2 { // the second time over the first
		if err := registry.Save(dir, made); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 2 || manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "web" {
		t.Fatalf("the index lists %v", manifest.Manifests)
	}
	platforms, err := index.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := platforms.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(listed.Manifests) != 1 || listed.Manifests[0].Digest.String() != made[0].Digest || listed.Manifests[0].Platform.Architecture != "amd64" {
		t.Errorf("web's index lists %v", listed.Manifests)
	}
	attached, err := index.Image(manifest.Manifests[1].Digest)
	if err != nil {
		t.Fatal(err)
	}
	of, err := attached.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if of.Subject == nil || of.Subject.Digest.String() != made[0].Digest || of.ArtifactType != string(image.SBOMType) || len(of.Layers) != 1 {
		t.Errorf("attached is %+v", of)
	}
	if err := validate.Image(attached); err != nil {
		t.Error(err)
	}
}

// The reader that everybody has agrees that a layer is whole, its checksum too.
func TestOtherProgramsReadLayers(t *testing.T) {
	made := images(t, cache(t, t.TempDir()), strings.Repeat("The platen brings the paper to the type. ", 1<<15))
	layers, err := made[0].OCI.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		packed, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("gzip", "--test")
		cmd.Stdin = packed
		out, err := cmd.CombinedOutput()
		if err = errors.Join(err, packed.Close()); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func cache(t *testing.T, dir string) *registry.Cache {
	t.Helper()
	c, err := registry.NewCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t *testing.T, c *registry.Cache, text string) string {
	t.Helper()
	b, err := c.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(b, text); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if err := b.Commit(digest); err != nil {
		t.Fatal(err)
	}
	return digest
}

// images builds one image of three layers; text is what the upper holds.
func images(t *testing.T, c *registry.Cache, text string) []image.Image {
	t.Helper()
	r, err := image.ParseRecipe("web", []byte("layers: [{name: system}]\nagent: {binary: agent, to: agent}\nconfig: {entrypoint: [/agent]}\n"))
	if err != nil {
		t.Error(err)
	}
	b := &image.Builder{Arch: "amd64", Blobs: c, Rootfs: fstest.MapFS{
		"agent/bin/agent-linux-amd64.gz": {Data: program(t)},
		"web/etc/text":                   {Data: []byte(text)},
	}}
	img, err := b.Build(context.Background(), image.Input{Recipe: r})
	if err != nil {
		t.Error(err)
	}
	return []image.Image{img}
}

// program is what make build embeds of an agent: packed, with the header of a program of amd64.
func program(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00"), bytes.Repeat([]byte("agent"), 1000)...))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Error(err)
	}
	return out.Bytes()
}

func load(t *testing.T, e registry.Engine, images []image.Image, repository func(string) string) map[string]string {
	t.Helper()
	refs, err := registry.Load(context.Background(), e, images, repository, report.Sink(func(report.Event) {}))
	if err != nil {
		t.Fatal(err)
	}
	return refs
}

// fakeEngine loads as moby's classic store does: layer by layer, where one that it has on top of the
// same ones is not looked for in the archive; each must unpack to what the configuration says.
type fakeEngine struct {
	wantsAll bool   // as the containerd store
	refuses  string // the error in the answer
	images   map[string][]string
	ids      map[string][]string
	loads    int
	sent     int // layers
}

func (e *fakeEngine) ImageInspect(_ context.Context, name string, _ ...client.ImageInspectOption) (client.ImageInspectResult, error) {
	layers, ok := e.images[name]
	if !ok {
		layers, ok = e.ids[name]
	}
	if !ok {
		return client.ImageInspectResult{}, fmt.Errorf("no such image %s: %w", name, errdefs.ErrNotFound)
	}
	return client.ImageInspectResult{InspectResponse: api.InspectResponse{RootFS: api.RootFS{Layers: layers}}}, nil
}

func (e *fakeEngine) ImageList(context.Context, client.ImageListOptions) (client.ImageListResult, error) {
	var out client.ImageListResult
	for id := range e.ids {
		out.Items = append(out.Items, api.Summary{ID: id})
	}
	return out, nil
}

func (e *fakeEngine) ImageTag(_ context.Context, o client.ImageTagOptions) (client.ImageTagResult, error) {
	e.images[o.Target] = e.ids[o.Source]
	return client.ImageTagResult{}, nil
}

func (e *fakeEngine) ImageLoad(_ context.Context, in io.Reader, _ ...client.ImageLoadOption) (client.ImageLoadResult, error) {
	e.loads++
	answer := ""
	if err := e.load(in); err != nil {
		said, merr := json.Marshal(map[string]string{"error": err.Error()})
		if merr != nil {
			return nil, merr
		}
		answer = string(said)
	}
	return io.NopCloser(strings.NewReader(answer)), nil
}

func (e *fakeEngine) load(in io.Reader) error {
	if e.refuses != "" {
		return errors.New(e.refuses) // without reading to the end
	}
	found := map[string][]byte{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if found[h.Name], err = io.ReadAll(r); err != nil {
			return err
		}
	}
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(found["manifest.json"], &manifest); err != nil {
		return err
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(found[manifest[0].Config], &config); err != nil {
		return err
	}
	ids := config.RootFS.DiffIDs
	for i, id := range ids {
		data, there := found[manifest[0].Layers[i]]
		if !there {
			if e.wantsAll || !e.has(ids[:i+1]) {
				return fmt.Errorf("open %s: no such file", manifest[0].Layers[i])
			}
			continue
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return err
		}
		h := sha256.New()
		if _, err := io.Copy(h, z); err != nil {
			return err
		}
		if "sha256:"+hex.EncodeToString(h.Sum(nil)) != id {
			return fmt.Errorf("layer %d is not %s", i, id)
		}
		e.sent++
	}
	if e.images == nil {
		e.images, e.ids = map[string][]string{}, map[string][]string{}
	}
	e.images[manifest[0].RepoTags[0]] = ids
	e.ids["sha256:"+strings.TrimSuffix(manifest[0].Config, ".json")] = ids
	return nil
}

// has reports whether an image begins with these layers.
func (e *fakeEngine) has(layers []string) bool {
	for _, other := range e.ids {
		if len(other) >= len(layers) && strings.Join(other[:len(layers)], " ") == strings.Join(layers, " ") {
			return true
		}
	}
	return false
}
