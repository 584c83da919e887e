// Package performance writes what `make prove` measures into docs/performance.md and .json.
package performance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Figure is one line of docs/performance.json. Its form is documented in docs/json.md.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"` // the median of Runs
	Unit  string  `json:"unit"`
	// Against is what the value is compared with, in Unit, and Ratio the value in its terms;
	// 0 when there is nothing to compare with.
	Against float64 `json:"against"`
	Ratio   float64 `json:"ratio"`
	Goal    float64 `json:"goal"` // at most
	Runs    int     `json:"runs"`
}

// AWS begins the names of the figures that tests/aws measures.
const AWS = "AWS on the emulator: "

// Write renders figures for people and for machines, with what they are figures of. They take the
// place of those before whose names begin alike (AWS, or anything else); the others stay.
func Write(root string, measured []Figure) error {
	docs := filepath.Join(root, "docs")
	var all []Figure
	data, err := os.ReadFile(filepath.Join(docs, "performance.json"))
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the figures before: %w", err)
	}
	all = slices.DeleteFunc(all, func(f Figure) bool {
		return len(measured) > 0 && strings.HasPrefix(f.Name, AWS) == strings.HasPrefix(measured[0].Name, AWS)
	})
	if len(measured) > 0 && strings.HasPrefix(measured[0].Name, AWS) {
		all = append(all, measured...) // AWS comes last
	} else {
		all = append(slices.Clone(measured), all...)
	}
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	commit, err := exec.Command("git", "-C", root, "describe", "--always", "--dirty").Output()
	if err != nil {
		return fmt.Errorf("which commit is this: %w", err)
	}
	var page strings.Builder
	fmt.Fprintf(&page, "# Performance\n\nWritten by `make prove` on %s, commit %s, %d cores, %s/%s. Times are medians.\n"+
		"The same figures for machines: [performance.json](performance.json).\n\n"+
		"| what | value | goal, at most | runs |\n| --- | ---: | ---: | ---: |\n",
		time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit)), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	for _, f := range all {
		goal := "–"
		if f.Goal > 0 {
			goal = fmt.Sprintf("%g %s", f.Goal, f.Unit)
			if f.Value > f.Goal {
				goal += " **missed**"
			}
		}
		fmt.Fprintf(&page, "| %s | %.2f %s | %s | %d |\n", f.Name, f.Value, f.Unit, goal, f.Runs)
	}
	for name, data := range map[string]string{"performance.json": string(content) + "\n", "performance.md": page.String()} {
		if err := os.WriteFile(filepath.Join(docs, name), []byte(data), 0o644); err != nil {
			return err
		}
	}
	return nil
}
