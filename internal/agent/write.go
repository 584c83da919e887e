package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a rendered file.
type File struct {
	Path string
	Mode fs.FileMode
	Data []byte
}

// WriteFiles writes each file at once: a reader sees the old or the new content, never a part.
// Folders must exist.
func WriteFiles(files []File) error {
	for _, f := range files {
		if err := WriteFile(f.Path, f.Data, f.Mode); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile replaces path by a file of data and mode in one step.
func WriteFile(path string, data []byte, mode fs.FileMode) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(temporary.Name())))
		}
	}()
	if _, err = temporary.Write(data); err != nil {
		return errors.Join(err, temporary.Close())
	}
	if err = temporary.Chmod(mode); err != nil {
		return errors.Join(err, temporary.Close())
	}
	if err = temporary.Sync(); err != nil {
		return errors.Join(err, temporary.Close())
	}
	if err = temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
