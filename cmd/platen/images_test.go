package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/site"
	"platen/rootfs"
)

// The recipes against today's Debian archive: the only test that can tell when a file moved, a
// library is missing, or an image has grown.
func TestImagesFromTheArchive(t *testing.T) {
	folder := t.TempDir()
	made := buildLive(t, folder, nil)
	for name, img := range made {
		inspect(t, name, img)
	}
	for name, goal := range map[string]struct {
		megabytes float64
		without   []string // layers that the goal does not count
	}{
		"nginx":     {6.2, []string{"assets"}},
		"wordpress": {64, []string{"agent"}},
	} {
		var size int64
		for _, l := range made[name].Layers {
			if !slices.Contains(goal.without, l.Name) {
				size += l.Size
			}
		}
		if got := float64(size) / 1e6; got > goal.megabytes {
			t.Errorf("%s is %.2f MB without %v, more than %.1f", name, got, goal.without, goal.megabytes)
		}
	}
	for i, l := range made["wordpress"].Layers {
		if made["jobs"].Layers[i] != l {
			t.Errorf("jobs has another layer %s than wordpress", l.Name)
		}
	}

	// Another place, time zone and umask, and nothing cached: the same image.
	t.Setenv("TZ", "Pacific/Auckland")
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	defer syscall.Umask(syscall.Umask(0o077))
	if again := buildLive(t, folder, []string{"nginx"}); again["nginx"].Digest != made["nginx"].Digest {
		t.Errorf("nginx is %s, and built again %s", made["nginx"].Digest, again["nginx"].Digest)
	}
}

// buildLive builds with layers cached nowhere; folder keeps the lock.
func buildLive(t *testing.T, folder string, names []string) map[string]image.Image {
	t.Helper()
	blobs, err := registry.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	debs, err := cacheFolder()
	if err != nil {
		t.Fatal(err)
	}
	b := engine.Builder{Blobs: blobs, Rootfs: withAgents{rootfs.FS}, Archive: func(mirror string) (engine.Archive, error) {
		return openArchive(debs, mirror)
	}}
	images, err := b.Build(context.Background(), engine.BuildRequest{
		Spec: site.Spec{WordPress: site.WordPress{Content: "shared"}}, Folder: folder, Names: names, Platforms: []string{"linux/amd64"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]image.Image{}
	for _, img := range images {
		made[img.Name] = img
	}
	return made
}

// withAgents stands in for make build.
type withAgents struct{ fs.FS }

func (w withAgents) Open(name string) (fs.File, error) {
	if path.Dir(name) == "agent/bin" {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		machine := byte(elf.EM_X86_64)
		if strings.Contains(name, "arm64") {
			machine = byte(elf.EM_AARCH64)
		}
		if _, err := w.Write(append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"), machine, 0)); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		return fstest.MapFS{name: {Data: packed.Bytes()}}.Open(name)
	}
	return w.FS.Open(name)
}

// inspect looks at every file of an image: no shell, no package manager, nothing set-id, nothing
// that everyone may write, and every library that a program needs.
func inspect(t *testing.T, name string, img image.Image) {
	t.Helper()
	there := map[string]bool{}
	needs := map[string]string{}
	layers, err := img.OCI.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		data, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(data); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			base := path.Base(h.Name)
			there[base] = true
			if h.Mode&0o6000 != 0 {
				t.Errorf("%s: %s is set-id", name, h.Name)
			}
			if h.Typeflag != tar.TypeSymlink && h.Mode&0o002 != 0 && h.Name != "tmp/" {
				t.Errorf("%s: everyone may write %s", name, h.Name)
			}
			if strings.Contains(h.Name, "bin/") && slices.Contains([]string{"sh", "bash", "dash", "busybox", "perl", "dpkg", "apt", "apt-get"}, base) {
				t.Errorf("%s: holds %s", name, h.Name)
			}
			if h.Typeflag != tar.TypeReg {
				continue
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			program, err := elf.NewFile(bytes.NewReader(content))
			if err != nil {
				continue // not a program
			}
			libraries, err := program.ImportedLibraries()
			if err != nil {
				t.Errorf("%s: %s: %v", name, h.Name, err)
			}
			for _, library := range libraries {
				needs[library] = h.Name
			}
		}
		if err := data.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for library, program := range needs {
		if !there[library] {
			t.Errorf("%s: %s needs %s, which is not there", name, program, library)
		}
	}
}
