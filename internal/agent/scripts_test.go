package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestScriptsAreCounted(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"index.php", "wp-includes/a.php", "wp-includes/b.js", "wp-content/plugins/x/x.php", "wp-content/uploads/2026/evil.php"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, fmt.Append(nil, i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if n, all := countScripts(100, time.Minute, dir, filepath.Join(dir, "missing")); n != 3 || !all {
		t.Errorf("counted %d (all: %v), want 3", n, all)
	}
	if n, all := countScripts(2, time.Minute, dir); n != 2 || all {
		t.Errorf("counted %d (all: %v), want to stop at 2", n, all)
	}
	if n, all := countScripts(100, -time.Second, dir); n != 0 || all {
		t.Errorf("counted %d (all: %v) in no time", n, all)
	}
	for scripts, want := range map[int]int{0: 16_000, 3_000: 16_000, 20_000: 30_000, 200_000: 300_000, 900_000: 1_000_000} {
		if got := acceleratedFiles(scripts); got != want {
			t.Errorf("room for %d of %d files, want %d", got, scripts, want)
		}
	}
}
