package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// source is the folder of the stacks.
const source = "../../terraform"

var stacks = []string{"shared", "cluster", "data", "services"}

// TestStacks: each stack by itself and without an AWS is formatted, valid, and does what its own
// tests say of its plans.
func TestStacks(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob(source + "/*/versions.tf")
	if err != nil || len(folders) != len(stacks) {
		t.Errorf("want the stacks %q, there are %q", stacks, folders)
	}
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.CopyFS(folder, os.DirFS(filepath.Join(source, stack))); err != nil {
				t.Fatal(err)
			}
			env := terraformEnv(t, filepath.Join(folder, "terraform.rc"))
			var out []byte
			for _, args := range [][]string{
				{"fmt", "-check", "-diff", "-recursive"}, {"init", "-backend=false", "-input=false", "-no-color"},
				{"validate", "-no-color"}, {"test", "-no-color"},
			} {
				cmd := exec.Command(terraformIn(t), args...)
				cmd.Dir, cmd.Env = folder, env
				var err error
				if out, err = cmd.CombinedOutput(); err != nil {
					t.Fatalf("terraform %s: %v\n%s", args[0], err, out)
				}
			}
			var passed int
			_, after, _ := strings.Cut(string(out), "Success! ")
			if _, err := fmt.Sscanf(after, "%d passed, 0 failed", &passed); err != nil || passed < 2 {
				t.Errorf("%d tests of the stack passed:\n%s", passed, out)
			}
		})
	}
}

// TestScan: a scanner of Terraform finds nothing that is high or critical, but for what is
// explained beside the line.
func TestScan(t *testing.T) {
	t.Parallel()
	path, err := tfsec()
	if err != nil {
		t.Fatal(err)
	}
	high, listed := 0, 0
	for _, stack := range stacks {
		for _, r := range scan(t, path, stack) {
			if r.Severity == "HIGH" || r.Severity == "CRITICAL" {
				t.Errorf("%s:%d: %s %s: %s", r.Location.File, r.Location.Line, r.Severity, r.ID, r.What)
			}
		}
		// What is explained is still found when it is asked for: the scanner reads the stacks.
		for _, r := range scan(t, path, stack, "--no-ignores") {
			listed++
			if r.Severity == "HIGH" || r.Severity == "CRITICAL" {
				high++
			}
		}
	}
	if high == 0 {
		t.Errorf("the scanner finds nothing high at all, among %d results: does it read the stacks?", listed)
	}
}

// finding is one of tfsec's.
type finding struct {
	ID       string `json:"long_id"`
	Severity string
	What     string `json:"description"`
	Location struct {
		File string `json:"filename"`
		Line int    `json:"start_line"`
	}
}

func scan(t *testing.T, path, stack string, args ...string) []finding {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(path, append([]string{"--no-colour", "--format", "json", "--soft-fail", filepath.Join(source, stack)}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tfsec %s: %v\n%s%s", stack, err, stderr.String(), out)
	}
	var found struct{ Results []finding }
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("tfsec %s: %v\n%s", stack, err, out)
	}
	return found.Results
}

var ignored = regexp.MustCompile(`#\s*tfsec:ignore:\S+(\s+tfsec:ignore:\S+)*(.*)`)

// TestIgnoresSayWhy: what the scanner is told to pass over has its reason on the line, or on the
// line above; lines under one another share theirs.
func TestIgnoresSayWhy(t *testing.T) {
	t.Parallel()
	if bare := unexplained("# It is public.\n#tfsec:ignore:a\n#tfsec:ignore:b\nx = 1 #tfsec:ignore:c Since d.\n"); len(bare) != 0 {
		t.Errorf("lines %v have their reasons", bare)
	}
	if bare := unexplained("x = 1\n#tfsec:ignore:a\n\ny = 2 #tfsec:ignore:b tfsec:ignore:c \n# Not a word of why below.\n\n#tfsec:ignore:d\n"); fmt.Sprint(bare) != "[2 4 7]" {
		t.Errorf("lines %v have no reason, want 2, 4 and 7", bare)
	}
	ignores := 0
	err := fs.WalkDir(os.DirFS(source), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".tf") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(source, path))
		if err != nil {
			return err
		}
		ignores += strings.Count(string(data), "tfsec:ignore:")
		for _, line := range unexplained(string(data)) {
			t.Errorf("terraform/%s:%d: it does not say why the scanner is to pass over this", path, line)
		}
		return nil
	})
	if err != nil || ignores == 0 {
		t.Errorf("%d ignores, %v", ignores, err)
	}
}

// unexplained are the numbers of the lines that ignore without a reason.
func unexplained(text string) []int {
	var bare []int
	explained := false // by the line above
	for i, line := range strings.Split(text, "\n") {
		if m := ignored.FindStringSubmatch(line); m != nil {
			if strings.TrimSpace(m[2]) != "" {
				explained = true
			}
			if !explained {
				bare = append(bare, i+1)
			}
			continue
		}
		explained = strings.HasPrefix(strings.TrimSpace(line), "#")
	}
	return bare
}
