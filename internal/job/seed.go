package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"platen/internal/agent"
)

// seedRecord lists, on the share, what was seeded once: what a person has deleted since does
// not come back.
const seedRecord = ".platen-seeded.json"

// Seed copies what the image brings for an empty share: each theme, each plugin, each file of
// translations, once. What is there already is a person's and stays. Everything appears
// complete or not at all.
func Seed(seed, content string, log *agent.Log) error {
	// One at a time: two would copy everything twice, and each take the other's unfinished
	// copies for those of a job that was killed. The end of the process ends the lock.
	lock, err := os.Open(content)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		log.Warn("the share knows no locks", agent.Field{Key: "error", Value: err.Error()})
	} else if err := removeUnfinished(content); err != nil {
		return err
	}

	record := filepath.Join(content, seedRecord)
	var done []string
	data, err := os.ReadFile(record)
	if err == nil {
		err = json.Unmarshal(data, &done)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", record, err)
	}
	entries, err := seedEntries(seed)
	if err != nil {
		return err
	}
	before, seeded := len(done), 0
	for _, entry := range entries {
		if slices.Contains(done, entry) {
			continue
		}
		copied, err := seedOne(filepath.Join(seed, entry), filepath.Join(content, entry))
		if err != nil {
			return err
		}
		if copied {
			seeded++
		}
		done = append(done, entry)
	}
	if len(done) == before {
		return nil
	}
	log.Info("seeded the share with themes, plugins and translations", agent.Field{Key: "entries", Value: seeded})
	if data, err = json.Marshal(done); err != nil {
		return err
	}
	return agent.WriteFile(record, append(data, '\n'), 0o644)
}

// unfinished begins the names of folders in which a copy is made.
const unfinished = ".platen-seed-"

// removeUnfinished removes the copies that a killed job left half made.
func removeUnfinished(content string) error {
	var errs []error
	for _, below := range []string{"themes", "plugins", "languages", "languages/*"} {
		found, err := filepath.Glob(filepath.Join(content, below, unfinished+"*"))
		errs = append(errs, err)
		for _, path := range found {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

// seedEntries lists what is seeded as a whole, by its path below wp-content.
func seedEntries(seed string) ([]string, error) {
	var entries []string
	for _, kind := range []string{"themes", "plugins"} {
		found, err := os.ReadDir(filepath.Join(seed, kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range found {
			entries = append(entries, filepath.Join(kind, entry.Name()))
		}
	}
	languages := filepath.Join(seed, "languages")
	err := filepath.WalkDir(languages, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if path == languages && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if !entry.IsDir() {
			relative, err := filepath.Rel(seed, path)
			if err != nil {
				return err
			}
			entries = append(entries, relative)
		}
		return nil
	})
	return entries, err
}

func seedOne(from, to string) (copied bool, err error) {
	if _, err := os.Lstat(to); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	parent := filepath.Dir(to)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return false, err
	}
	// Beside its place, since a rename does not cross file systems; WordPress skips dot files.
	temporary, err := os.MkdirTemp(parent, unfinished)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	complete := filepath.Join(temporary, filepath.Base(to))
	if err := copyTree(from, complete); err != nil {
		return false, err
	}
	err = os.Rename(complete, to)
	if err != nil {
		// Two jobs on one empty share: the other one was first, with the same content.
		if _, there := os.Lstat(to); there == nil {
			return false, nil
		}
	}
	return err == nil, err
}

// copyTree copies files and folders; a link becomes what it points to, which the share may not have.
func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return copyFile(from, to)
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := copyTree(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
