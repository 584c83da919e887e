package terraform

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/topology"
)

// realTerraform is the one of PATH, else one that is installed into the user's cache once.
func realTerraform(t *testing.T) *Runner {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "terraform.rc")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TF_CLI_CONFIG_FILE", config)
	return &Runner{
		Find: func(ctx context.Context, sink report.Sink) (Program, error) {
			return Find(ctx, filepath.Join(cache, "platen-tests"), sink)
		},
		Folder: t.TempDir(), Cache: t.TempDir(), Workspace: "prod",
	}
}

// A look says of each change what it alters, as the real Terraform has it, and leaves no plan behind.
func TestALookSaysWhatChanges(t *testing.T) {
	r := realTerraform(t)
	stack := func(value string) []topology.Stack {
		return []topology.Stack{{Name: topology.StackData, Files: map[string][]byte{
			"main.tf": []byte(`
variable "value" { type = string }
variable "secret" {
  type      = string
  sensitive = true
}
resource "terraform_data" "kept" { input = { size = var.value, password = var.secret } }
resource "terraform_data" "anew" { triggers_replace = [var.value] }
`),
			topology.VariablesFile("prod"): []byte(`{"value":"` + value + `","secret":"hunter` + value + `"}`),
		}}}
	}
	ctx := t.Context()
	if err := r.Prepare(ctx, stack("one"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Plan(ctx, topology.StackData, topology.StackRun{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(ctx, topology.StackData, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Prepare(ctx, stack("two"), nil); err != nil {
		t.Fatal(err)
	}
	plan, err := r.Plan(ctx, topology.StackData, topology.StackRun{Look: true, Detail: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []report.Change{
		{Address: "terraform_data.kept", Action: "update", Attributes: []report.Attribute{
			{Name: "input.password", Old: report.Secret, New: report.Secret}, {Name: "input.size", Old: "one", New: "two"}}},
		{Address: "terraform_data.anew", Action: "replace", Attributes: []report.Attribute{{Name: "triggers_replace", Old: "one", New: "two"}}},
	} {
		found := slices.ContainsFunc(plan.Changes, func(c report.Change) bool {
			return c.Address == want.Address && c.Action == want.Action && slices.Equal(c.Attributes, want.Attributes)
		})
		if !found {
			t.Errorf("%+v\nis not in %+v", want, plan.Changes)
		}
	}
	if !strings.Contains(plan.Text, "# terraform_data.anew must be replaced") {
		t.Errorf("Terraform's own text:\n%s", plan.Text)
	}
	if text := fmt.Sprint(plan.Changes); strings.Contains(text, "hunter") {
		t.Errorf("a secret is shown: %s", text)
	}
	left, err := filepath.Glob(filepath.Join(r.Folder, topology.StackData, "*.tfplan"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
