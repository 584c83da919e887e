package main

import (
	"fmt"
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

// TestSideBySide: each of two lanes waits for the other to have begun, so that they end at all only
// when they run at the same time. One that fails lets the other end, and nothing begins after them.
func TestSideBySide(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example\n\ngo 1.26\n")
	const meet = `package %[1]s

import (
	"os"
	"testing"
	"time"
)

func TestMeet(t *testing.T) {
	if err := os.WriteFile("../%[1]s.here", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat("../%[2]s.here"); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
`
	write("one/some_test.go", fmt.Sprintf(meet, "one", "two"))
	write("two/some_test.go", fmt.Sprintf(meet, "two", "one"))
	write("bad/some_test.go", "package bad\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) { t.Fatal(\"the reason\") }\n")
	t.Chdir(dir)

	var out strings.Builder
	if exit := run([]string{"--", "./one", "++", "./two"}, &out); exit != 0 || !strings.Contains(out.String(), "DONE 2 tests in ") {
		t.Errorf("exit %d\n%s", exit, out.String())
	}
	for _, name := range []string{"phase-1-1.jsonl", "phase-1-2.jsonl"} {
		if _, err := os.Stat(filepath.Join("out", "tests", name)); err != nil {
			t.Error(err)
		}
	}
	out.Reset()
	if exit := run([]string{"--", "./bad", "++", "./one", "--", "./two"}, &out); exit != 1 || !strings.Contains(out.String(), "DONE 2 tests, 1 failures in ") {
		t.Errorf("exit %d\n%s", exit, out.String())
	}
}
