package main

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	distribution "github.com/google/go-containerregistry/pkg/registry"

	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/site"
	"platen/rootfs"
)

// sent counts what a registry is sent.
type sent struct {
	inner http.Handler
	bytes atomic.Int64
}

func (s *sent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = counted{r.Body, &s.bytes}
	s.inner.ServeHTTP(w, r)
}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// words is text that packs as a program's does.
func words(chance *rand.Rand, size int) string {
	var out strings.Builder
	for out.Len() < size {
		fmt.Fprintf(&out, "function f%d($a%d) { return g%x($a%d, 'text %d'); }\n", chance.IntN(1e6), chance.IntN(99), chance.Uint32(), chance.IntN(99), chance.IntN(1e6))
	}
	return out.String()
}

// All plugins were one layer: a change of one file of one plugin sent them all again.
func TestAOneFileChangeSendsLessThanAMegabyte(t *testing.T) {
	// The person's own cache, as a push has it: what does not change is made once.
	debs, blobs, err := openCache()
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"image", "shared"} {
		t.Run(content, func(t *testing.T) {
			folder := t.TempDir()
			chance := rand.New(rand.NewPCG(7, 7))
			write := func(name, text string) {
				t.Helper()
				name = filepath.Join(folder, "plugins", name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 300 {
				write(fmt.Sprintf("shop/lib%d/class-%d.php", i%20, i), words(chance, 40_000))
				write(fmt.Sprintf("shop/assets/view-%d.js", i), words(chance, 20_000))
			}
			for i := range 20 {
				noise := make([]byte, 150_000)
				for j := range noise {
					noise[j] = byte(chance.IntN(256))
				}
				write(fmt.Sprintf("gallery/picture-%d.png", i), string(noise))
			}
			write("gallery/gallery.php", "<?php // Plugin Name: Gallery")

			counting := &sent{inner: distribution.New(distribution.Logger(log.New(io.Discard, "", 0)))}
			server := httptest.NewServer(counting)
			defer server.Close()
			b := engine.Builder{Blobs: blobs, Rootfs: withAgents{rootfs.FS}, Archive: func(mirror string) (engine.Archive, error) {
				return openArchive(debs, mirror)
			}}
			push := func() int64 {
				t.Helper()
				counting.bytes.Store(0)
				images, err := b.Build(t.Context(), engine.BuildRequest{
					Folder: folder, Names: []string{"nginx", "wordpress", "jobs"}, Platforms: []string{"linux/amd64"},
					Spec: site.Spec{WordPress: site.WordPress{Content: content, Plugins: []site.Addon{{Path: "./plugins/shop"}, {Path: "./plugins/gallery"}}}},
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, err = registry.Push(t.Context(), registry.PushOptions{
					Repository: func(name string) string { return strings.TrimPrefix(server.URL, "http://") + "/team/blog-" + name },
					Attach:     image.Image.Attachment,
				}, images, nil)
				if err != nil {
					t.Fatal(err)
				}
				return counting.bytes.Load()
			}
			if all := push(); all < 30e6 {
				t.Fatalf("the first push sent %d bytes: the registry counts wrongly", all)
			}
			for _, name := range []string{"shop/lib3/class-3.php", "shop/assets/view-9.js", "gallery/picture-7.png"} {
				text := words(chance, 20_000)
				write(name, text)
				n := push()
				t.Logf("%s: %d bytes", name, n)
				if n > 1e6 || n < 3000 {
					t.Errorf("%s changed, and %d bytes were sent", name, n)
				}
			}
		})
	}
}
