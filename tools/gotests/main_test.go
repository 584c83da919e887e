package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// judged runs go test on a package with the given test file and returns the verdict.
func judged(t *testing.T, floor, test string) (exit int, said string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example\n\ngo 1.26\n")
	write("some_test.go", "package example\n\nimport \"testing\"\n\n"+test)
	write("floor.txt", floor+"\n")
	t.Chdir(dir)
	var out strings.Builder
	exit = run([]string{"-floor", "floor.txt", "--", "."}, &out)
	return exit, out.String()
}

func TestVerdict(t *testing.T) {
	const passing = "func TestOne(t *testing.T) { t.Run(\"a\", func(t *testing.T) {}) }\n"
	for _, c := range []struct {
		name, floor, test string
		exit              int
		says              string
	}{
		{"passes", "2", passing, 0, "DONE 2 tests in "},
		{"a test is gone", "3", passing, 1, "only 2 tests ran, floor.txt wants 3"},
		{"more than the floor", "1", passing, 0, "1 tests more than floor.txt records"},
		{"a skip fails", "1", passing + "func TestTwo(t *testing.T) { t.Skip() }\n", 1, "DONE 3 tests, 1 skipped, 1 error in "},
		{"a failure", "1", passing + "func TestTwo(t *testing.T) { t.Fatal(\"the reason\") }\n", 1, "the reason"},
		{"does not compile", "1", "func TestOne(", 1, "1 error in "},
		{"a panic", "1", "func TestOne(t *testing.T) { panic(\"the cause\") }\n", 1, "the cause"},
	} {
		t.Run(c.name, func(t *testing.T) {
			exit, said := judged(t, c.floor, c.test)
			if exit != c.exit || !strings.Contains(said, c.says) {
				t.Errorf("exit %d, want %d; want %q in:\n%s", exit, c.exit, c.says, said)
			}
		})
	}
}
