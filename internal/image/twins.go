package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/andybalholm/brotli"
	"golang.org/x/sync/errgroup"

	"platen/internal/image/gzip"
)

// A web server that finds FILE.br or FILE.gz beside FILE sends that to whoever takes it, and packs
// nothing itself. Both lie in the layer of their file: a changed file is still one layer.

// twinsVersion of what is made of the same file. Raise it with every change of the bytes: of
// brotliLevel, of what is worth it, and when TestTwinsAreTheSameEverywhere says that a newer
// version of the library packs differently.
const twinsVersion = 1

// brotliLevel: all of core's assets take 4 s of one core at 9 (3.79 MB) and 34 s at 11 (3.52 MB);
// nginx itself would do with 4 (3.98 MB).
const brotliLevel = 9

// What a twin must save to be there: a file that fits into a packet or two is sent as fast.
const (
	twinSaves   = 1000 // bytes
	twinPercent = 10
)

// packers make a twin each, by the end of its name.
var packers = map[string]func(io.Writer) io.WriteCloser{
	".br": func(to io.Writer) io.WriteCloser { return brotli.NewWriterLevel(to, brotliLevel) },
	".gz": func(to io.Writer) io.WriteCloser { return gzip.NewWriter(to) },
}

// mark says which of the entries get twins.
func (r Recipe) mark(entries []entry) []entry {
	wanted := compile(r.Compress)
	for i, e := range entries {
		entries[i].packs = e.kind == tar.TypeReg && wanted.match(e.path)
	}
	return entries
}

// twins returns the entries together with the twins that they get. One that the site brings itself
// stays as it is.
func (b *Builder) twins(ctx context.Context, entries map[string]entry) (map[string]entry, error) {
	all := maps.Clone(entries)
	var todo []entry
	for _, e := range entries {
		if e.packs && e.size > twinSaves {
			todo = append(todo, e)
		}
	}
	made := make([][]entry, len(todo))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for i, e := range todo {
		g.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				made[i], err = b.pack(e)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, e := range slices.Concat(made...) {
		if _, own := entries[e.path]; !own {
			all[e.path] = e
		}
	}
	return all, nil
}

// pack makes the twins of one entry that are worth it.
func (b *Builder) pack(e entry) ([]entry, error) {
	content, err := b.content(e)
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(content)
	if err = errors.Join(err, content.Close()); err != nil {
		return nil, fmt.Errorf("pack /%s: %w", e.path, err)
	}
	var twins []entry
	for name, packer := range packers {
		var packed bytes.Buffer
		w := packer(&packed)
		_, err := w.Write(plain)
		if err = errors.Join(err, w.Close()); err != nil {
			return nil, fmt.Errorf("pack /%s: %w", e.path, err)
		}
		saved := len(plain) - packed.Len()
		if saved < twinSaves || saved*100 < len(plain)*twinPercent {
			continue
		}
		// Of the file's own time: nginx makes the ETag of that and of the twin's size.
		twins = append(twins, entry{path: e.path + name, kind: tar.TypeReg, mode: 0o644, time: e.time, pkg: e.pkg,
			data: packed.Bytes(), size: int64(packed.Len())})
	}
	return twins, nil
}
