package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

// A volume outlives images. Whatever it holds, a newer image brings its own core, drop-ins and
// must-use plugins, and a drop-in of somebody else is kept aside rather than run.
func TestANewerImageBringsItsOwnOnTheSameVolume(t *testing.T) {
	old := sharedSite(t)
	version := old.Run(t, 0, "exec", "--", "php", "-r", "readfile('"+task.Core+"/wp-includes/version.php');").Stdout
	dropIn, err := os.ReadFile("../../rootfs/wordpress" + task.Platen + "/drop-ins/object-cache.php")
	if err != nil {
		t.Fatal(err)
	}

	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	s.Up(t)
	const foreign = "<?php // an object cache of somebody else"
	s.Run(t, 0, "exec", "--", "php", "-r", "file_put_contents('"+task.Content+"/object-cache.php', '"+foreign+"');")

	s.Program = newerPlaten(t, map[string]string{
		task.Core + "/wp-includes/version.php":     replaceVersion(t, version),
		task.Platen + "/drop-ins/object-cache.php": string(dropIn) + "\ndefine( 'NEWER_DROP_IN', 'drop-in' );\n",
		task.Platen + "/mu-plugins/newer.php":      newerMustUse,
	})
	if done := s.Up(t).Done(); done.Changed == nil || !*done.Changed {
		t.Fatalf("a newer image changed nothing: %+v", done)
	}
	for _, one := range s.Tasks(t) {
		page := s.VisitTask(t, one).Get(t, http.StatusOK, "/?newer")
		if got, want := page.Header.Get("X-Newer"), "99.9 drop-in must-use"; got != want {
			t.Errorf("%s runs %q, want %q", one.Name, got, want)
		}
	}
	aside := s.Run(t, 0, "exec", "--", "php", "-r",
		"foreach (glob('"+task.Content+"/*object-cache*') as $f) { echo $f, ': ', file_get_contents($f), PHP_EOL; }").Stdout
	if !strings.Contains(aside, "of somebody else") {
		t.Errorf("the foreign drop-in was not kept aside:\n%s", aside)
	}
}

const newerMustUse = `<?php
add_action( 'send_headers', function () {
	header( 'X-Newer: ' . $GLOBALS['wp_version'] . ' ' . ( defined( 'NEWER_DROP_IN' ) ? NEWER_DROP_IN : '-' ) . ' must-use' );
} );
`

func replaceVersion(t *testing.T, content string) string {
	t.Helper()
	const mark = "$wp_version = '"
	before, rest, found := strings.Cut(content, mark)
	_, after, closed := strings.Cut(rest, "'")
	if !found || !closed {
		t.Fatalf("no version in version.php:\n%s", content)
	}
	return before + mark + "99.9'" + after
}

// newerPlaten builds the program with other files for the wordpress image, as a later release
// of Platen would have. The repository itself is not touched.
func newerPlaten(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, content := range files {
		replacement := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(replacement, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, "rootfs", "wordpress", name)] = replacement
	}
	list := filepath.Join(dir, "overlay.json")
	content, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, content, 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "platen")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-overlay", list, "-o", program, "./cmd/platen")
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build a newer platen: %v\n%s", err, output)
	}
	return program
}
