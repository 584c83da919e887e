// Package site makes WordPress sites with the platen binary for tests, and looks at them from
// outside: over HTTP, through the Docker Engine, and in the process table. It shares no code
// with what it tests but the words that the binary prints.
package site

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// run names everything that this process makes, so that its sweep touches nothing else.
var run = func() string {
	b := make([]byte, 3)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return "t" + hex.EncodeToString(b)
}()

var count atomic.Int32

// Site is one site of this run in a folder of its own.
type Site struct {
	Name string // t<hex>: unique, and of this run
	Dir  string // holds platen.yaml
	Env  []string
	// Program is the binary to run; "" is the one under test.
	Program string

	url  string
	dial func(ctx context.Context, network, address string) (net.Conn, error) // nil: from here
}

// UniqueName returns the name of a site that does not exist yet.
func UniqueName() string { return fmt.Sprintf("%s%02x", run, count.Add(1)) }

// Open makes the folder of a new site. Nothing runs yet; the caller must Destroy it.
func Open(dir string) *Site {
	return &Site{Name: UniqueName(), Dir: dir}
}

// New is Open for one test: when that ends, what it made is taken down, data included.
func New(t testing.TB) *Site {
	t.Helper()
	s := Open(t.TempDir())
	t.Cleanup(func() {
		if err := s.Destroy(); err != nil {
			t.Errorf("clean up after %s: %v", s.Name, err)
		}
	})
	return s
}

// Configure writes platen.yaml: the given lines below the name, one local environment on any
// free port after them. Web tasks and all else come from the lines or from the defaults.
func (s *Site) Configure(t testing.TB, lines ...string) {
	t.Helper()
	if err := s.WriteConfig(lines...); err != nil {
		t.Fatal(err)
	}
}

// WriteConfig is Configure where there is no test.
func (s *Site) WriteConfig(lines ...string) error {
	content := "platen: 1\nname: " + s.Name + "\n" + strings.Join(lines, "\n") + "\n" +
		"environments:\n  local: {target: local, port: 0}\n"
	return os.WriteFile(filepath.Join(s.Dir, "platen.yaml"), []byte(content), 0o644)
}

// Write puts a file into the site's folder.
func (s *Site) Write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Project is the prefix of everything that the site has in the engine.
func (s *Site) Project() string { return "platen-" + s.Name + "-local" }

// URL is the site's address; it is known once Up or Status answered.
func (s *Site) URL() string { return s.url }

// At says where the site answers when it was not Up that started it.
func (s *Site) At(url string) { s.url = url }

// Destroy takes the site down with its data, and then removes whatever is left under its name:
// also what a killed `up` forgot.
func (s *Site) Destroy() error {
	var errs []error
	if _, err := os.Stat(filepath.Join(s.Dir, "platen.yaml")); err == nil {
		// A broken configuration, or a site that never came up, is no failure to clean up.
		_, _ = s.Exec("down", "--volumes", "--yes")
	}
	errs = append(errs, sweep(s.Project()+"-", "platen/"+s.Name+"-"))
	return errors.Join(errs...)
}

// Sweep removes everything that this process made and did not remove: in the engine, and the
// records of its sites.
func Sweep() error {
	return errors.Join(sweep("platen-"+run, "platen/"+run), os.RemoveAll(stateHome()))
}
