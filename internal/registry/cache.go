// Package registry keeps built layers in a folder and brings images to where they can be run: the
// local engine, or a folder in the OCI layout.
package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"platen/internal/image"
	"platen/internal/report"
)

// Cache keeps blobs by digest and notes by key below one folder. Everything appears whole, by
// renaming: several processes may share it, and one that is killed leaves only a file in tmp/.
type Cache struct{ dir string }

// NewCache opens a cache, making its folders.
func NewCache(dir string) (*Cache, error) {
	for _, sub := range []string{"blobs", "notes", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, cacheFailed(dir, fmt.Errorf("open the cache of layers: %w", err))
		}
	}
	return &Cache{dir}, nil
}

func (c *Cache) blob(digest string) (string, error) {
	name, ok := strings.CutPrefix(digest, "sha256:")
	if _, err := hex.DecodeString(name); err != nil || !ok || len(name) != 64 {
		return "", fmt.Errorf("%q is not a digest of a layer", digest)
	}
	return filepath.Join(c.dir, "blobs", name), nil
}

// Note returns what was noted under a key.
func (c *Cache) Note(key string) ([]byte, bool, error) {
	data, err := os.ReadFile(filepath.Join(c.dir, "notes", key+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the cache of layers: %w", err)
	}
	return data, true, nil
}

// SetNote notes data under a key.
func (c *Cache) SetNote(key string, data []byte) error {
	f, err := os.CreateTemp(filepath.Join(c.dir, "tmp"), "note-*")
	if err != nil {
		return cacheFailed(c.dir, fmt.Errorf("write the cache of layers: %w", err))
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.dir, "notes", key+".json"))
	}
	if err != nil {
		return errors.Join(cacheFailed(c.dir, fmt.Errorf("write the cache of layers: %w", err)), os.Remove(f.Name()))
	}
	return nil
}

// Has reads the blob and compares: a disk that went bad is found before an engine finds it.
func (c *Cache) Has(digest string, size int64) (bool, error) {
	name, err := c.blob(digest)
	if err != nil {
		return false, err
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the cache of layers: %w", err)
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("read the cache of layers: %w", err)
	}
	return n == size && "sha256:"+hex.EncodeToString(h.Sum(nil)) == digest, nil
}

// Open returns a blob's content.
func (c *Cache) Open(digest string) (io.ReadCloser, error) {
	name, err := c.blob(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the cache of layers: %w", err)
	}
	return f, nil
}

// Create begins a blob.
func (c *Cache) Create() (image.Blob, error) {
	f, err := os.CreateTemp(filepath.Join(c.dir, "tmp"), "blob-*")
	if err != nil {
		return nil, cacheFailed(c.dir, fmt.Errorf("write the cache of layers: %w", err))
	}
	return &blob{File: f, cache: c}, nil
}

// Scratch returns a file that has no name any more, so that nothing of it outlives the process.
func (c *Cache) Scratch() (image.Scratch, error) {
	f, err := os.CreateTemp(filepath.Join(c.dir, "tmp"), "scratch-*")
	if err != nil {
		return nil, cacheFailed(c.dir, fmt.Errorf("write the cache of layers: %w", err))
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return scratch{f, c.dir}, nil
}

// scratch is a file that says what to do when the disk is full.
type scratch struct {
	*os.File
	dir string
}

// WriteAt implements io.WriterAt.
func (s scratch) WriteAt(p []byte, off int64) (int, error) {
	n, err := s.File.WriteAt(p, off)
	if err != nil {
		err = cacheFailed(s.dir, fmt.Errorf("unpack into the cache of layers: %w", err))
	}
	return n, err
}

// cacheFailed adds what to do about a folder that cannot be written to.
func cacheFailed(dir string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return report.Hint(err, "the disk of %s is full: make room, or set XDG_CACHE_HOME to a folder on another disk, and run it again: finished layers are kept", dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return report.Hint(err, "make %s writable, or set XDG_CACHE_HOME to a folder that is", dir)
	}
	return err
}

type blob struct {
	*os.File
	cache *Cache
	done  bool
}

// Write implements io.Writer.
func (b *blob) Write(p []byte) (int, error) {
	n, err := b.File.Write(p)
	if err != nil {
		err = cacheFailed(b.cache.dir, fmt.Errorf("write the cache of layers: %w", err))
	}
	return n, err
}

// Commit makes the blob known under its digest.
func (b *blob) Commit(digest string) error {
	name, err := b.cache.blob(digest)
	if err != nil {
		return err
	}
	b.done = true
	err = errors.Join(b.File.Chmod(0o644), b.File.Close())
	if err == nil {
		err = os.Rename(b.File.Name(), name)
	}
	if err != nil {
		return errors.Join(cacheFailed(b.cache.dir, fmt.Errorf("write the cache of layers: %w", err)), os.Remove(b.File.Name()))
	}
	return nil
}

// Discard forgets a blob that was not committed.
func (b *blob) Discard() error {
	if b.done {
		return nil
	}
	b.done = true
	return errors.Join(b.File.Close(), os.Remove(b.File.Name()))
}
