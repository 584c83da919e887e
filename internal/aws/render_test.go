package aws

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"platen/internal/topology"
)

// Rendered folders go to any machine. A lock file with the checksum of one platform would make
// terraform init refuse the genuine provider on every other.
func TestRenderedStacksRunOnEveryPlatform(t *testing.T) {
	c := newCanned()
	p, topo := openCanned(t, c, &applied{})
	c.stands(t, topo, "ami-1")
	files, err := p.Render(t.Context(), topo)
	if err != nil {
		t.Fatal(err)
	}
	for _, stack := range topology.Stacks {
		lock, err := os.ReadFile(filepath.Join("../../terraform", stack, topology.ProviderLock))
		if err != nil {
			t.Fatal(err)
		}
		rendered, there := files[stack+"/"+topology.ProviderLock]
		if covers := topology.LocksEveryPlatform(lock); there != covers {
			t.Errorf("%s: its lock covers every platform: %v, and is rendered: %v\n%s", stack, covers, there, rendered)
		}
		// Without a lock the version must be exact.
		if versions := string(files[stack+"/versions.tf"]); !strings.Contains(versions, `version = "5.100.0"`) {
			t.Errorf("%s: the provider's version is not exact:\n%s", stack, versions)
		}
		for _, name := range []string{topology.BackendFile, topology.VariablesFile("prod")} {
			if len(files[stack+"/"+name]) == 0 {
				t.Errorf("%s: no %s", stack, name)
			}
		}
	}
	whole := "provider \"x\" {\n  hashes = [\n    \"h1:a\",\n    \"zh:b\",\n  ]\n}\n"
	if !topology.LocksEveryPlatform([]byte(whole)) || topology.LocksEveryPlatform([]byte(strings.Replace(whole, "zh:", "h1:", 1))) {
		t.Error("which lock covers every platform is told wrongly")
	}
}
