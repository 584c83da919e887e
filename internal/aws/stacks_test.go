package aws

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"platen/internal/topology"
)

// A stack is known everywhere, as CONTRIBUTING.md lists it: a folder that nobody runs, and an output
// that nobody makes, would else show first on AWS.
func TestStacksAreKnownEverywhere(t *testing.T) {
	folders, err := filepath.Glob("../../terraform/*/versions.tf")
	if err != nil || len(folders) != len(topology.Stacks) {
		t.Errorf("%d stacks have a folder, and %v are run (%v)", len(folders), topology.Stacks, err)
	}
	embed, err := os.ReadFile("../../terraform/embed.go")
	if err != nil {
		t.Fatal(err)
	}
	for i, stack := range topology.Stacks {
		folder := filepath.Join("../../terraform", stack)
		for _, name := range []string{"versions.tf", "provider.tf", "variables.tf", topology.ProviderLock, filepath.Join("tests", stack+".tftest.hcl")} {
			if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
				t.Errorf("%s: %v", stack, err)
			}
		}
		if !regexp.MustCompile(`(?m)^//go:embed .*\ball:` + stack + `\b`).Match(embed) {
			t.Errorf("%s is not in the program: terraform/embed.go does not name it", stack)
		}
		if stackTiers[stack] == "" {
			t.Errorf("%s has no tier in plans", stack)
		}
		for _, upstream := range topology.StackNeeds[stack] {
			if !slices.Contains(topology.Stacks[:i], upstream) {
				t.Errorf("%s needs %s, which does not come before it", stack, upstream)
			}
		}
		outputs, err := os.ReadFile(filepath.Join(folder, "outputs.tf"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range topology.StackOutputs[stack] {
			if !regexp.MustCompile(`(?m)^output "` + name + `" \{`).Match(outputs) {
				t.Errorf("%s hands on %s, and its outputs.tf does not", stack, name)
			}
		}
	}
}
