package topology

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

var output = regexp.MustCompile(`(?m)^output "([a-z0-9_]+)"`)

// Regression: an output that no stack has made its stack count as half made for ever.
func TestOutputsAreThoseOfTheStacks(t *testing.T) {
	for _, stack := range Stacks {
		text, err := os.ReadFile(filepath.Join("..", "..", "terraform", stack, "outputs.tf"))
		if err != nil {
			t.Fatal(err)
		}
		var there []string
		for _, m := range output.FindAllStringSubmatch(string(text), -1) {
			there = append(there, m[1])
		}
		wanted := slices.Sorted(slices.Values(StackOutputs[stack]))
		slices.Sort(there)
		if !slices.Equal(there, wanted) {
			t.Errorf("%s: StackOutputs says %q, and outputs.tf has %q", stack, wanted, there)
		}
	}
}
