package job

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"platen/internal/agent"
	"platen/internal/task"
)

// Init makes what is missing and only that: every secret once, in the master folder; copies in
// the folders of the roles that need them; the owner of each volume's root. After a kill it is
// run again and goes on. It never overwrites a secret of the master folder, but one that a
// person gives: given must hold none else.
func Init(spec task.Init, given agent.Secrets, log *agent.Log) error {
	if spec.Master == "" {
		return fmt.Errorf("$%s: master is empty: want the folder that holds every secret", task.EnvInit)
	}
	if err := own(spec.Master, os.Getuid(), 0o700); err != nil {
		return err
	}
	if err := removeInterrupted(spec.Master); err != nil {
		return err
	}
	m := master{folder: spec.Master, given: given, log: log}
	var errs []error
	for _, folder := range spec.Folders {
		if err := fill(folder, &m); err != nil {
			errs = append(errs, fmt.Errorf("fill %s: %w", folder.Path, err))
		}
	}
	return errors.Join(errs...)
}

// fill owns a folder and puts the copies of its secrets in it. Of a folder of data only the
// root is owned: what is below is the server's business, and may be a million files.
func fill(folder task.Folder, m *master) error {
	if err := own(folder.Path, folder.UID, fs.FileMode(folder.Mode).Perm()); err != nil {
		return err
	}
	if len(folder.Secrets) == 0 {
		return nil
	}
	if err := removeInterrupted(folder.Path); err != nil {
		return err
	}
	for _, name := range folder.Secrets {
		var copies map[string][]byte
		var err error
		switch name {
		case task.FileCA:
			copies, err = m.authority()
		case task.FileCert:
			copies, err = m.server(folder.Hosts)
		case task.FileKey:
			continue // comes with its certificate
		default:
			copies, err = m.secret(name)
		}
		if err != nil {
			return err
		}
		for file, content := range copies {
			if err := place(filepath.Join(folder.Path, file), content, folder.UID); err != nil {
				return err
			}
		}
	}
	return nil
}

// master is the folder of originals.
type master struct {
	folder string
	given  agent.Secrets
	log    *agent.Log
}

// secret returns a secret by its name, and makes it when it is missing. One that only a person
// can know (the mail server's password) may be missing still.
func (m *master) secret(name string) (map[string][]byte, error) {
	length, known := secretBytes[name]
	if !known {
		return nil, fmt.Errorf("%q is no secret that is known here: the jobs image is older than platen; build it again", name)
	}
	path := filepath.Join(m.folder, name)
	have, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	exists := err == nil
	given, isGiven := m.given[name]
	switch {
	case isGiven && string(have) != given:
		have = []byte(given)
	case exists:
		return map[string][]byte{name: have}, nil
	case length == 0:
		return nil, nil
	default:
		random := make([]byte, length)
		rand.Read(random) //nolint:errcheck // never fails, says its documentation
		have = []byte(hex.EncodeToString(random))
	}
	if err := place(path, have, os.Getuid()); err != nil {
		return nil, err
	}
	said := "made a secret"
	if isGiven {
		said = "kept a secret that was given"
	}
	m.log.Info(said, agent.Field{Key: "name", Value: name})
	return map[string][]byte{name: have}, nil
}

// secretBytes is how many random bytes a secret has; 0 = given by a person or absent.
var secretBytes = map[string]int{
	task.SecretDatabase:  32,
	task.SecretSessions:  32,
	task.SecretObjects:   32,
	task.SecretSiteToken: 32,
	task.SecretSalt:      64,
	task.SecretAdmin:     12, // a person types it
	task.SecretMail:      0,
}

// own makes a folder a user's, when it is not.
func own(path string, uid int, mode fs.FileMode) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != uid || int(stat.Gid) != uid && uid != 0 {
		if err := os.Chown(path, uid, uid); err != nil {
			return fmt.Errorf("give %s to user %d: %w", path, uid, err)
		}
	}
	if info.Mode().Perm() != mode {
		return os.Chmod(path, mode)
	}
	return nil
}

const interrupted = ".platen-"

// place writes a file that uid alone reads, in one step, unless it is there already.
func place(path string, content []byte, uid int) (err error) {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, content) && isPrivate(path, uid) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), interrupted)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("place %s: %w", path, errors.Join(err, f.Close(), os.Remove(f.Name())))
		}
	}()
	if _, err = f.Write(content); err != nil {
		return err
	}
	if err = f.Chown(uid, uid); err != nil {
		return err
	}
	if err = f.Chmod(0o400); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return f.Close()
}

func isPrivate(path string, uid int) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode() == 0o400 && int(stat.Uid) == uid
}

// removeInterrupted removes what a kill in the middle of place left.
func removeInterrupted(folder string) error {
	found, err := filepath.Glob(filepath.Join(folder, interrupted+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range slices.Sorted(slices.Values(found)) {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
