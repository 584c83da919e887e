package aws

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
)

// inventory asks the APIs, in the environment's region and in the one of its copies, for all that
// the account holds: kinds, each with its names.
func (p *place) inventory() map[string][]string {
	p.t.Helper()
	interpreter, err := python()
	if err != nil {
		p.t.Fatal(err)
	}
	here, err := filepath.Abs("emulator/inventory.py")
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := p.command([]string{"AWS_ENDPOINT_URL=" + p.address}, interpreter, here, region, copies)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("inventory: %v\n%s", err, stderr.String())
	}
	found := map[string][]string{}
	if err := json.Unmarshal(out, &found); err != nil {
		p.t.Fatalf("inventory: %v\n%s", err, out)
	}
	return found
}

// kinds of an inventory, sorted.
func kinds(found map[string][]string) []string { return slices.Sorted(maps.Keys(found)) }
