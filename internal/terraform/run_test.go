package terraform

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"platen/internal/topology"
)

// Regression: a plan that nobody applies stayed in the stack's folder.
func TestAPlanStaysOnlyToBeApplied(t *testing.T) {
	for exit, stays := range map[int]bool{0: false, 2: true} { // as terraform plan -detailed-exitcode
		folder := t.TempDir()
		if err := os.Mkdir(filepath.Join(folder, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(folder, "terraform")
		script := `#!/bin/sh
if [ "$1" = version ]; then echo '{"terraform_version":"1.11.4","platform":"linux_amd64"}'; exit; fi
for a in "$@"; do case $a in -out=*) echo plan >"${a#-out=}" ;; esac; done
exit ` + strconv.Itoa(exit) + "\n"
		if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		r := &Runner{Folder: folder, Cache: t.TempDir(), Workspace: "dev", program: &Program{Path: program, Version: "1.11.4"}}
		plan, err := r.Plan(t.Context(), "data", topology.StackRun{})
		if err != nil || plan.Differs != stays {
			t.Fatalf("%+v, %v", plan, err)
		}
		kept := func() bool {
			_, err := os.Stat(filepath.Join(folder, "data", planFile))
			return !errors.Is(err, fs.ErrNotExist)
		}
		if kept() != stays {
			t.Errorf("exit %d: the plan is there: %v", exit, kept())
		}
		if r.Discard("data"); kept() {
			t.Error("a discarded plan is there")
		}
	}
}
