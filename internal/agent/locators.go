package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A locator is the one line that stands on the share for a drop-in of the image. WordPress
// finds drop-ins only in wp-content, which outlives images.
const locatorMark = "<?php /* Platen locator: "

// locator is the line for the drop-in name. While two releases serve, one of them may not have
// the drop-in: then it has none, and no fatal error.
func locator(name, dropins string) []byte {
	path := filepath.Join(dropins, name)
	return fmt.Appendf(nil, "%s%s */ if ( is_file( '%s' ) ) { require '%s'; }\n", locatorMark, name, path, path)
}

// coreDropIns are all that WordPress loads from wp-content when it is there (_get_dropins()). What
// the image lacks of them, nobody brings: a file that appears there runs on every page.
var coreDropIns = []string{
	"advanced-cache.php", "blog-deleted.php", "blog-inactive.php", "blog-suspended.php", "db-error.php",
	"db.php", "fatal-error-handler.php", "install.php", "maintenance.php", "object-cache.php",
	"php-error.php", "sunrise.php",
}

const silence = "<?php\n// Silence is golden.\n"

// PlaceLocators makes the share at content point to the drop-ins of the image: a locator for
// each, none for those that are gone. A drop-in of somebody else, also one that the image has none
// of, is kept beside as NAME.php.foreign-TIMESTAMP and reported. Several tasks may do this at once.
func PlaceLocators(content, dropins string, log *Log) error {
	paths, err := filepath.Glob(filepath.Join(dropins, "*.php"))
	if err != nil {
		return err
	}
	var errs []error
	wanted := map[string]bool{"index.php": true}
	for _, path := range paths {
		name := filepath.Base(path)
		wanted[name] = true
		errs = append(errs, placeLocator(content, name, locator(name, dropins), log))
	}
	errs = append(errs, removeLocators(content, wanted, log))
	for _, name := range coreDropIns {
		path := filepath.Join(content, name)
		if _, err := os.Lstat(path); wanted[name] || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		errs = append(errs, setAside(path, log))
	}
	index := filepath.Join(content, "index.php")
	if _, err := os.Lstat(index); errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, WriteFile(index, []byte(silence), 0o644))
	}
	return errors.Join(errs...)
}

func placeLocator(content, name string, want []byte, log *Log) error {
	path := filepath.Join(content, name)
	found, err := readLocator(path)
	switch {
	case err == nil && bytes.Equal(found, want):
		return nil
	case errors.Is(err, fs.ErrNotExist):
	case err != nil || !isLocator(found):
		if err := setAside(path, log); err != nil {
			return err
		}
	}
	if err := WriteFile(path, want, 0o644); err != nil {
		return fmt.Errorf("place the locator of %s: %w", name, err)
	}
	log.Info("placed a locator", Field{"file", path})
	return nil
}

// setAside renames what is at path. Another task may have been faster, and what we rename may
// be its locator already: that is no loss and goes away.
func setAside(path string, log *Log) error {
	aside := path + ".foreign-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(path, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("set aside the foreign drop-in %s: %w", path, err)
	}
	if moved, err := readLocator(aside); err == nil && isLocator(moved) {
		return os.Remove(aside)
	}
	log.Warn("a drop-in that is not the image's was set aside", Field{"file", path}, Field{"kept", aside})
	return nil
}

// removeLocators removes the locators of drop-ins that this image does not have.
func removeLocators(content string, wanted map[string]bool, log *Log) error {
	paths, err := filepath.Glob(filepath.Join(content, "*.php"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if wanted[filepath.Base(path)] {
			continue
		}
		found, err := readLocator(path)
		if err != nil || !isLocator(found) {
			continue // somebody else's
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		log.Info("removed the locator of a drop-in that the image no longer has", Field{"file", path})
	}
	return errors.Join(errs...)
}

// readLocator reads a file of the share that ought to be small; what is no regular file, or
// larger, is not ours and is an error or cut.
func readLocator(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if info.Size() > 4096 {
		return nil, nil
	}
	return os.ReadFile(path)
}

func isLocator(data []byte) bool { return strings.HasPrefix(string(data), locatorMark) }
