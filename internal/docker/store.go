package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"

	"platen/internal/release"
)

// Store keeps records as files of a folder: a key is a relative path with slashes, an etag is
// the SHA-256 of the content. Several processes may share the folder: every change is a
// compare-and-swap under a file lock, and a reader sees the old record or the new one, whole.
type Store struct{ dir string }

// guard is the file that processes lock; it is no record.
const guard = ".guard"

// OpenStore returns the store in the folder, which is made when the first record is.
func OpenStore(dir string) *Store { return &Store{dir: dir} }

// Get returns the record and its etag, or release.ErrNotFound.
func (s *Store) Get(_ context.Context, key string) ([]byte, string, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, "", err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("read %s from %s: %w", key, s.dir, release.ErrNotFound)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the record %s: %w", key, err)
	}
	return data, etag(data), nil
}

// Put writes the record when its etag is still the given one ("": when there is none yet), and
// returns the new etag; else release.ErrConflict.
func (s *Store) Put(ctx context.Context, key string, data []byte, expected string) (string, error) {
	err := s.change(ctx, key, expected, func(path string) error {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		// Synced and renamed: a crash leaves the old record or the new one.
		return renameio.WriteFile(path, data, 0o600, renameio.IgnoreUmask())
	})
	if err != nil {
		return "", fmt.Errorf("write the record %s in %s: %w", key, s.dir, err)
	}
	return etag(data), nil
}

// List returns the keys that begin with the prefix, sorted.
func (s *Store) List(_ context.Context, prefix string) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while we walked, or no record at all yet
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(name)
		// A name that begins with a dot is the guard, or what renameio is still writing.
		if entry.Type().IsRegular() && !strings.HasPrefix(filepath.Base(path), ".") && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the records %s* in %s: %w", prefix, s.dir, err)
	}
	slices.Sort(keys)
	return keys, nil
}

// Delete removes the record when its etag is still the given one; else release.ErrConflict.
func (s *Store) Delete(ctx context.Context, key, expected string) error {
	err := s.change(ctx, key, expected, os.Remove)
	if err != nil {
		return fmt.Errorf("delete the record %s in %s: %w", key, s.dir, err)
	}
	return nil
}

// change calls do with the record's path while no other process changes any record, after it
// has compared the etag.
func (s *Store) change(ctx context.Context, key, expected string, do func(path string) error) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(s.dir, guard), flock.SetPermissions(0o600))
	// The lock is held for one small write; the wait ends with ctx.
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return fmt.Errorf("wait for the other process that writes there: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // closing the file releases it in any case

	current := ""
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		current = etag(data)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if current != expected {
		return release.ErrConflict
	}
	return do(path)
}

// path maps a key to a file, and refuses keys that leave the folder or hide in it.
func (s *Store) path(key string) (string, error) {
	name := filepath.FromSlash(key)
	if !filepath.IsLocal(name) || filepath.Clean(name) != name || strings.HasPrefix(filepath.Base(name), ".") {
		return "", fmt.Errorf("%q is no key of a record: want a relative path such as releases/1.json", key)
	}
	return filepath.Join(s.dir, name), nil
}

func etag(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
