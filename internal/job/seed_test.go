package job

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"platen/internal/agent"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func sow(t *testing.T, seed, content string) string {
	t.Helper()
	var out bytes.Buffer
	if err := Seed(seed, content, agent.NewLog(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestSeedOnce(t *testing.T) {
	seed, content := t.TempDir(), t.TempDir()
	write(t, seed+"/themes/first/style.css", "theme")
	write(t, seed+"/themes/first/assets/a.svg", "svg")
	write(t, seed+"/plugins/akismet/akismet.php", "plugin")
	write(t, seed+"/plugins/hello.php", "hello")
	write(t, seed+"/languages/de_DE.mo", "de")
	write(t, seed+"/languages/plugins/akismet-de_DE.mo", "de")
	if err := os.Symlink(seed+"/languages/de_DE.mo", seed+"/themes/first/link.mo"); err != nil {
		t.Fatal(err)
	}
	write(t, content+"/plugins/akismet/akismet.php", "a person's newer one")

	sow(t, seed, content)
	for path, want := range map[string]string{
		"/themes/first/style.css": "theme", "/themes/first/assets/a.svg": "svg", "/themes/first/link.mo": "de",
		"/plugins/hello.php": "hello", "/plugins/akismet/akismet.php": "a person's newer one",
		"/languages/de_DE.mo": "de", "/languages/plugins/akismet-de_DE.mo": "de",
	} {
		if got := read(t, content+path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if info, err := os.Lstat(content + "/themes/first/link.mo"); err != nil || !info.Mode().IsRegular() {
		t.Errorf("a link stayed a link: %v, %v", info, err)
	}

	// What a person deletes does not come back; what a newer image brings does come.
	if err := os.RemoveAll(content + "/plugins/hello.php"); err != nil {
		t.Fatal(err)
	}
	write(t, seed+"/themes/second/style.css", "theme")
	write(t, seed+"/themes/first/style.css", "newer")
	sow(t, seed, content)
	if _, err := os.Stat(content + "/plugins/hello.php"); !os.IsNotExist(err) {
		t.Errorf("a deleted plugin came back: %v", err)
	}
	if read(t, content+"/themes/second/style.css") != "theme" || read(t, content+"/themes/first/style.css") != "theme" {
		t.Error("want the new theme, and the old one as it was")
	}
	if said := sow(t, seed, content); said != "" {
		t.Errorf("the third time did something: %s", said)
	}
	if left, _ := filepath.Glob(content + "/*/.platen-seed-*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestSeedOfNothing(t *testing.T) {
	if said := sow(t, t.TempDir(), t.TempDir()); said != "" {
		t.Error(said)
	}
}

// Two installs at once on an empty share failed with "rename …: file exists".
func TestSeedTogether(t *testing.T) {
	seed, content := t.TempDir(), t.TempDir()
	for i := range 50 {
		write(t, fmt.Sprintf("%s/plugins/p%d/p.php", seed, i), "plugin")
	}
	// What a job that was killed left.
	write(t, content+"/plugins/.platen-seed-1/p0/p.php", "half")
	var together sync.WaitGroup
	for range 4 {
		together.Go(func() {
			if err := Seed(seed, content, agent.NewLog(&bytes.Buffer{})); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	found, err := os.ReadDir(content + "/plugins")
	if err != nil || len(found) != 50 {
		t.Errorf("%d plugins: want 50 and nothing besides (%v)", len(found), err)
	}
}

// A share whose locks do not hold, or a plugin that a person installs meanwhile.
func TestSeedOneGivesWay(t *testing.T) {
	seed, content := t.TempDir(), t.TempDir()
	write(t, seed+"/p/p.php", "plugin")
	var together sync.WaitGroup
	for range 8 {
		together.Go(func() {
			if _, err := seedOne(seed+"/p", content+"/p"); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	if read(t, content+"/p/p.php") != "plugin" {
		t.Error("the plugin is not whole")
	}
}
