package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
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

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// share makes an empty share, and an image with the drop-ins db.php and object-cache.php.
func share(t *testing.T) (content, dropins string) {
	t.Helper()
	content, dropins = t.TempDir(), t.TempDir()
	write(t, dropins+"/db.php", "<?php")
	write(t, dropins+"/object-cache.php", "<?php")
	return content, dropins
}

func place(t *testing.T, content, dropins string) string {
	t.Helper()
	var out bytes.Buffer
	if err := PlaceLocators(content, dropins, NewLog(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLocatorsOnAnEmptyShare(t *testing.T) {
	content, dropins := share(t)
	place(t, content, dropins)
	for _, name := range []string{"db.php", "object-cache.php"} {
		if got := read(t, filepath.Join(content, name)); !strings.Contains(got, "require '"+dropins+"/"+name+"'") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: %s", name, got)
		}
	}
	if read(t, content+"/index.php") != silence {
		t.Error("the folder can be listed")
	}
	if said := place(t, content, dropins); said != "" {
		t.Errorf("the second time changed something: %s", said)
	}
}

func TestForeignDropInIsKeptAside(t *testing.T) {
	content, dropins := share(t)
	write(t, content+"/db.php", "<?php // HyperDB")
	write(t, content+"/index.php", "mine")
	write(t, content+"/advanced-cache.php", "<?php // a plugin's")
	write(t, content+"/mine.php", "<?php // no drop-in")
	if said := place(t, content, dropins); !strings.Contains(said, `"level":"warning"`) || !strings.Contains(said, "db.php.foreign-") {
		t.Errorf("not reported: %s", said)
	}
	kept, err := filepath.Glob(content + "/db.php.foreign-*")
	if err != nil || len(kept) != 1 || read(t, kept[0]) != "<?php // HyperDB" {
		t.Errorf("kept %v, %v", kept, err)
	}
	if !isLocator([]byte(read(t, content+"/db.php"))) {
		t.Error("the image's drop-in is not there")
	}
	if read(t, content+"/index.php") != "mine" || read(t, content+"/mine.php") != "<?php // no drop-in" {
		t.Error("changed what is none of ours")
	}
	// One that the image lacks runs no more either.
	if _, err := os.Stat(content + "/advanced-cache.php"); !os.IsNotExist(err) {
		t.Errorf("advanced-cache.php: %v", err)
	}
	if kept, err := filepath.Glob(content + "/advanced-cache.php.foreign-*"); err != nil || len(kept) != 1 {
		t.Errorf("kept %v, %v", kept, err)
	}
}

func TestLocatorsFollowTheImage(t *testing.T) {
	content, dropins := share(t)
	write(t, content+"/db.php", locatorMark+"db.php */ require '/an/older/place';\n")
	write(t, content+"/gone.php", string(locator("gone.php", dropins)))
	place(t, content, dropins)
	if !strings.Contains(read(t, content+"/db.php"), dropins) {
		t.Error("an older locator stayed")
	}
	if found, _ := filepath.Glob(content + "/*foreign*"); len(found) > 0 {
		t.Errorf("an older locator was taken for foreign: %v", found)
	}
	if _, err := os.Stat(content + "/gone.php"); !os.IsNotExist(err) {
		t.Errorf("the locator of a drop-in that is gone: %v", err)
	}
}

func TestForeignLinkIsKeptAside(t *testing.T) {
	content, dropins := share(t)
	elsewhere := filepath.Join(t.TempDir(), "db.php")
	write(t, elsewhere, "elsewhere")
	if err := os.Symlink(elsewhere, content+"/db.php"); err != nil {
		t.Fatal(err)
	}
	place(t, content, dropins)
	if read(t, elsewhere) != "elsewhere" || !isLocator([]byte(read(t, content+"/db.php"))) {
		t.Error("wrote through the link")
	}
}

func TestTasksPlaceLocatorsAtOnce(t *testing.T) {
	content, dropins := share(t)
	write(t, content+"/db.php", "foreign")
	var tasks sync.WaitGroup
	for range 16 {
		tasks.Go(func() {
			if err := PlaceLocators(content, dropins, NewLog(&bytes.Buffer{})); err != nil {
				t.Error(err)
			}
		})
	}
	tasks.Wait()
	if !isLocator([]byte(read(t, content+"/db.php"))) {
		t.Error("no locator")
	}
	kept, err := filepath.Glob(content + "/*.foreign-*")
	if err != nil || len(kept) != 1 || read(t, kept[0]) != "foreign" {
		t.Errorf("kept %v, %v: want the foreign one alone", kept, err)
	}
	entries, err := os.ReadDir(content)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v: want two locators, index.php and the foreign one", entries, err)
	}
}
