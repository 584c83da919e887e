package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"platen/internal/image"
	"platen/internal/report"
)

// Engine is what loading asks of the local Docker Engine: a *client.Client has it.
type Engine interface {
	ImageInspect(ctx context.Context, name string, o ...client.ImageInspectOption) (client.ImageInspectResult, error)
	ImageList(ctx context.Context, o client.ImageListOptions) (client.ImageListResult, error)
	ImageLoad(ctx context.Context, tar io.Reader, o ...client.ImageLoadOption) (client.ImageLoadResult, error)
	ImageTag(ctx context.Context, o client.ImageTagOptions) (client.ImageTagResult, error)
}

// Reference is the name of an image in the local engine: its repository, and twelve digits of its
// digest for a tag.
func Reference(repository string, img image.Image) string {
	_, hex, _ := strings.Cut(img.Digest, ":")
	return repository + ":" + hex[:min(12, len(hex))]
}

// Load brings images into the local engine under Reference(repository(image's name), image) and
// returns image name → reference. An image that is there is only named; of another, the layers
// that the engine lacks are sent.
func Load(ctx context.Context, e Engine, images []image.Image, repository func(name string) string, sink report.Sink) (map[string]string, error) {
	refs := map[string]string{}
	var known [][]string
	listed := false
	for _, img := range images {
		ref := Reference(repository(img.Name), img)
		refs[img.Name] = ref
		step := "load/" + img.Name
		there, err := name(ctx, e, img, ref)
		if err != nil {
			return nil, fmt.Errorf("load image %s into the engine: %w", img.Name, err)
		}
		if there {
			sink.Step(step, report.Same, ref)
			continue
		}
		if !listed {
			if known, err = layers(ctx, e); err != nil {
				return nil, fmt.Errorf("load image %s into the engine: %w", img.Name, err)
			}
			listed = true
		}
		sink.Step(step, report.Running, "")
		mine, err := send(ctx, e, img, ref, known, step, sink)
		if err != nil {
			sink.Step(step, report.Failed, err.Error())
			return nil, fmt.Errorf("load image %s into the engine: %w", img.Name, err)
		}
		known = append(known, mine)
		sink.Step(step, report.Done, ref)
	}
	return refs, nil
}

// name reports whether the engine has the image; one that it has under another name is given ref.
func name(ctx context.Context, e Engine, img image.Image, ref string) (bool, error) {
	want, err := diffIDs(img)
	if err != nil {
		return false, err
	}
	found, err := e.ImageInspect(ctx, ref)
	if err == nil && slices.Equal(found.RootFS.Layers, want) {
		return true, nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return false, err
	}
	// An engine with the classic store calls an image by the digest of its configuration.
	id, err := img.OCI.ConfigName()
	if err != nil {
		return false, err
	}
	if _, err := e.ImageInspect(ctx, id.String()); errdefs.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	_, err = e.ImageTag(ctx, client.ImageTagOptions{Source: id.String(), Target: ref})
	return err == nil, err
}

func diffIDs(img image.Image) ([]string, error) {
	c, err := img.OCI.ConfigFile()
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(c.RootFS.DiffIDs))
	for i, id := range c.RootFS.DiffIDs {
		ids[i] = id.String()
	}
	return ids, nil
}

// layers lists the layers of each of our images that the engine has.
func layers(ctx context.Context, e Engine) ([][]string, error) {
	list, err := e.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", "platen/*")})
	if err != nil {
		return nil, err
	}
	var all [][]string
	for _, item := range list.Items {
		found, err := e.ImageInspect(ctx, item.ID)
		if errdefs.IsNotFound(err) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found.RootFS.Layers)
	}
	return all, nil
}

// send loads an image without the layers below which the engine has the same ones. An engine that
// wants all of them (the containerd store does) is sent all of them.
func send(ctx context.Context, e Engine, img image.Image, ref string, known [][]string, step string, sink report.Sink) ([]string, error) {
	mine, err := diffIDs(img)
	if err != nil {
		return nil, err
	}
	shared := 0
	for _, other := range known {
		n := 0
		for n < len(mine) && n < len(other) && mine[n] == other[n] {
			n++
		}
		shared = max(shared, n)
	}
	if shared > 0 {
		err = stream(ctx, e, img, ref, shared, step, sink)
		if err == nil || ctx.Err() != nil {
			return mine, err
		}
	}
	return mine, stream(ctx, e, img, ref, 0, step, sink)
}

// stream sends one docker load, leaving out the first layers.
func stream(ctx context.Context, e Engine, img image.Image, ref string, skip int, step string, sink report.Sink) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := archive(w, img, ref, skip, step, sink)
		w.CloseWithError(err)
		written <- err
	}()
	err := load(ctx, e, r)
	// A reader that stopped early must not leave the writer waiting.
	r.CloseWithError(io.ErrClosedPipe)
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return werr
	}
	return err
}

// load sends the archive and reads the engine's answer: a failure is in its text, after status 200.
func load(ctx context.Context, e Engine, r io.Reader) (err error) {
	answer, err := e.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, answer.Close()) }()
	for lines := json.NewDecoder(answer); ; {
		var line struct{ Error string }
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the engine's answer: %w", err)
		}
		if line.Error != "" {
			return errors.New(strings.TrimSpace(line.Error))
		}
	}
}

// archive writes what docker load reads.
func archive(w io.Writer, img image.Image, ref string, skip int, step string, sink report.Sink) error {
	config, err := img.OCI.RawConfigFile()
	if err != nil {
		return err
	}
	id, err := img.OCI.ConfigName()
	if err != nil {
		return err
	}
	parts, err := img.OCI.Layers()
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	put := func(name string, size int64, content io.Reader) error {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
			return err
		}
		_, err := io.Copy(out, content)
		return err
	}
	if err := put(id.Hex+".json", int64(len(config)), bytes.NewReader(config)); err != nil {
		return err
	}
	var total int64
	for _, l := range img.Layers[skip:] {
		total += l.Size
	}
	progress := &meter{sink: sink, step: step, total: total}
	var names []string
	sent := map[string]bool{}
	for i, l := range parts {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		name := digest.Hex + ".tar.gz"
		names = append(names, name)
		if i < skip || sent[name] {
			continue
		}
		sent[name] = true
		content, err := l.Compressed()
		if err != nil {
			return err
		}
		err = put(name, img.Layers[i].Size, io.TeeReader(content, progress))
		if err = errors.Join(err, content.Close()); err != nil {
			return err
		}
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": id.Hex + ".json", "RepoTags": []string{ref}, "Layers": names}})
	if err != nil {
		return err
	}
	return errors.Join(put("manifest.json", int64(len(manifest)), bytes.NewReader(manifest)), out.Close())
}

// meter reports every megabyte.
type meter struct {
	sink           report.Sink
	step           string
	n, said, total int64
}

func (m *meter) Write(p []byte) (int, error) {
	m.n += int64(len(p))
	if m.n-m.said >= 1<<20 || m.n == m.total {
		m.said = m.n
		m.sink.Progress(m.step, m.n, m.total)
	}
	return len(p), nil
}
