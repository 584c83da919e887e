package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"platen/internal/debian"
	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/report"
	"platen/internal/source"
	"platen/rootfs"
)

// buildMemory is what a build's heap is held to, in bytes: with the mapped program it stays well below
// 512 MB then. Without it, the garbage of a first build was let grow beyond that, for no gain in time.
const buildMemory = 350 << 20

// buildImages builds with the archive that the specification and this host ask for.
func buildImages(ctx context.Context, r engine.BuildRequest, sink report.Sink) ([]image.Image, error) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(buildMemory)
	}
	folder, blobs, err := openCache()
	if err != nil {
		return nil, err
	}
	sources := source.New(source.Options{CacheDir: folder, Releases: os.Getenv(source.ReleasesEnv)})
	b := engine.Builder{Blobs: blobs, Rootfs: rootfs.FS, Sources: sources, Archive: func(mirror string) (engine.Archive, error) {
		return openArchive(folder, mirror)
	}, Pull: func(ctx context.Context, name, reference, platform string, sink report.Sink) (image.Image, error) {
		return pullImage(ctx, blobs, name, reference, platform, sink)
	}}
	return b.Build(ctx, r, sink)
}

// recallImage looks among the images that were built on this machine.
func recallImage(reference string) (image.Image, bool, error) {
	_, blobs, err := openCache()
	if err != nil {
		return image.Image{}, false, err
	}
	return image.Recall(blobs, reference)
}

// openCache opens the folder of all caches and the one of layers in it.
func openCache() (folder string, layers *registry.Cache, err error) {
	if folder, err = cacheFolder(); err != nil {
		return "", nil, err
	}
	layers, err = registry.NewCache(filepath.Join(folder, "images"))
	return folder, layers, err
}

// openArchive opens the Debian archive that the site, or else this host, uses.
func openArchive(folder, mirror string) (*debian.Archive, error) {
	m, err := debian.FindMirror(mirror)
	if err != nil {
		return nil, err
	}
	keyring, err := debian.FindKeyring()
	if err != nil {
		return nil, err
	}
	return debian.New(debian.Options{Mirror: m, CacheDir: folder, Keyring: keyring, Now: time.Now})
}
