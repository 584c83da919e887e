package debian

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// cacheError is a failure of the local disk: neither another attempt nor another mirror helps.
type cacheError struct {
	path string
	err  error
}

func (e *cacheError) Error() string { return fmt.Sprintf("write the package cache: %v", e.err) }
func (e *cacheError) Unwrap() error { return e.err }

// Hint implements what report.HintOf looks for.
func (e *cacheError) Hint() string {
	dir := filepath.Dir(e.path)
	if errors.Is(e.err, syscall.ENOSPC) || errors.Is(e.err, syscall.EDQUOT) {
		return "the disk of " + dir + " is full: make room, or set XDG_CACHE_HOME to a folder on another disk, and run it again: what was fetched is kept"
	}
	return "make " + dir + " writable, or set XDG_CACHE_HOME to a folder that is"
}

func cacheFailed(path string, err error) error { return &cacheError{path, err} }

func makeDirOf(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return cacheFailed(path, err)
	}
	return nil
}

// createTemp makes a file beside path, for a rename to it.
func createTemp(path string) (*os.File, error) {
	if err := makeDirOf(path); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return nil, cacheFailed(path, err)
	}
	return f, nil
}
