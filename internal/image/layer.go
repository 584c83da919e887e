package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	unzip "github.com/klauspost/compress/gzip"

	"platen/internal/image/gzip"
)

// epoch is the time of everything that has none of its own: 2000-01-01, in UTC.
const epoch = 946684800

// part is one layer that the blobs hold. Its JSON form is a note's content.
type part struct {
	Layer
	DiffID string `json:"diff_id"` // of the uncompressed tar
	Held   []Held `json:"held"`
	blobs  Blobs
}

// write makes one layer: sorted by path, numeric owners, no names of the host, parents before
// their children with the attributes that lower layers gave them.
func (b *Builder) write(ctx context.Context, name string, entries map[string]entry, dirs map[string]Dir) (_ part, err error) {
	all := maps.Clone(entries)
	for p := range entries {
		for up := path.Dir(p); up != "."; up = path.Dir(up) {
			if _, ok := all[up]; ok {
				continue
			}
			d, ok := dirs[up]
			if !ok {
				d.Mode = 0o755
			}
			all[up] = entry{path: up, kind: tar.TypeDir, mode: d.Mode, uid: d.UID, time: epoch}
		}
	}
	blob, err := b.Blobs.Create()
	if err != nil {
		return part{}, fmt.Errorf("layer %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, blob.Discard()) }()
	packed := &counter{to: blob, hash: sha256.New()}
	zip := gzip.NewWriter(packed)
	plain := &counter{to: zip, hash: sha256.New()}
	out := tar.NewWriter(plain)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if err := ctx.Err(); err != nil {
			return part{}, err
		}
		if err := b.writeEntry(out, all[p]); err != nil {
			return part{}, fmt.Errorf("layer %s: /%s: %w", name, p, err)
		}
	}
	for _, c := range []io.Closer{out, zip} {
		if err := c.Close(); err != nil {
			return part{}, fmt.Errorf("layer %s: %w", name, err)
		}
	}
	made := part{Layer: Layer{Name: name, Digest: packed.digest(), Size: packed.n}, DiffID: plain.digest(), Held: held(entries), blobs: b.Blobs}
	if err := blob.Commit(made.Digest); err != nil {
		return part{}, fmt.Errorf("layer %s: %w", name, err)
	}
	return made, nil
}

func (b *Builder) writeEntry(out *tar.Writer, e entry) error {
	h := &tar.Header{Typeflag: e.kind, Name: e.path, Linkname: e.link, Uid: e.uid, Gid: e.uid, ModTime: unix(e.time)}
	switch e.kind {
	case tar.TypeDir:
		h.Name += "/"
		h.Mode = e.mode
		return out.WriteHeader(h)
	case tar.TypeSymlink:
		h.Mode = 0o777
		return out.WriteHeader(h)
	}
	h.Size = e.size
	h.Mode = 0o644
	if e.mode&0o111 != 0 {
		h.Mode = 0o755
	}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	content, err := b.content(e)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return errors.Join(err, content.Close())
}

// content reads an entry from where it is.
func (b *Builder) content(e entry) (io.ReadCloser, error) {
	switch {
	case e.file != nil:
		return e.file()
	case e.data != nil:
		return io.NopCloser(bytes.NewReader(e.data)), nil
	case e.parts != nil:
		var all []io.Reader
		for _, part := range e.parts {
			all = append(all, io.NewSectionReader(b.unpacker, part.offset, part.size))
		}
		return io.NopCloser(io.MultiReader(all...)), nil
	}
	return io.NopCloser(io.NewSectionReader(b.unpacker, e.offset, e.size)), nil
}

// counter passes bytes on, counts and hashes them.
type counter struct {
	to   io.Writer
	hash hash.Hash
	n    int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.hash.Write(p[:n])
	c.n += int64(n)
	return n, err
}

func (c *counter) digest() string { return "sha256:" + hex.EncodeToString(c.hash.Sum(nil)) }

// blobLayer is a part as go-containerregistry wants it.
type blobLayer struct{ part }

func (l blobLayer) Digest() (v1.Hash, error)            { return v1.NewHash(l.part.Digest) }
func (l blobLayer) DiffID() (v1.Hash, error)            { return v1.NewHash(l.part.DiffID) }
func (l blobLayer) Size() (int64, error)                { return l.part.Size, nil }
func (l blobLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }
func (l blobLayer) Compressed() (io.ReadCloser, error)  { return l.blobs.Open(l.part.Digest) }
func (l blobLayer) Uncompressed() (io.ReadCloser, error) {
	packed, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	plain, err := unzip.NewReader(packed)
	if err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	return unpacked{plain, packed}, nil
}

type unpacked struct {
	io.Reader
	packed io.Closer
}

func (u unpacked) Close() error { return u.packed.Close() }
