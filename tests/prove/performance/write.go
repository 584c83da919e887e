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
	// Goal is of the ratio where there is one, else of the value: at most, unless AtLeast. 0 is no
	// goal, unless it is meant exactly.
	Goal    float64 `json:"goal"`
	AtLeast bool    `json:"at_least,omitempty"`
	Exact   bool    `json:"exact,omitempty"`
	Runs    int     `json:"runs"`
	// Low and High are the lowest and the highest of Runs, of what the goal is of.
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`
}

// Median makes a figure of what some runs measured.
func Median(name, unit string, goal float64, values ...float64) Figure {
	values = slices.Sorted(slices.Values(values))
	return Figure{Name: name, Value: values[len(values)/2], Unit: unit, Goal: goal, Runs: len(values), Low: values[0], High: values[len(values)-1]}
}

// Missed says whether the figure has a goal and is not there.
func (f Figure) Missed() bool {
	got := f.Value
	if f.Against > 0 {
		got = f.Ratio
	}
	switch {
	case f.Goal == 0 && !f.Exact:
		return false
	case f.AtLeast:
		return got < f.Goal
	default:
		return got > f.Goal
	}
}

// What begins the names of figures that are measured apart: by tests/aws, and on a site that runs.
const (
	AWS       = "AWS on the emulator: "
	WordPress = "WordPress: "
)

// group is which of the measurements a figure is of; the table goes by groups.
func group(f Figure) int {
	return 1 + slices.IndexFunc([]string{WordPress, AWS}, func(prefix string) bool { return strings.HasPrefix(f.Name, prefix) })
}

// Write renders figures for people and for machines, with what they are figures of. They take the
// place of those before whose names begin alike (AWS, WordPress, or anything else); the others stay.
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
		return slices.ContainsFunc(measured, func(m Figure) bool { return group(m) == group(f) })
	})
	all = append(all, measured...)
	slices.SortStableFunc(all, func(a, b Figure) int { return group(a) - group(b) })
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
		"| what | value | beside | ratio | goal | spread | runs |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
		time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit)), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	for _, f := range all {
		page.WriteString(f.line())
	}
	for name, data := range map[string]string{"performance.json": string(content) + "\n", "performance.md": page.String()} {
		if err := os.WriteFile(filepath.Join(docs, name), []byte(data), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (f Figure) line() string {
	amount := func(value float64, unit string) string { return strings.TrimSpace(fmt.Sprintf("%.2f %s", value, unit)) }
	beside, ratio, goal, spread, unit := "–", "–", "–", "–", f.Unit
	if f.Against > 0 {
		beside, ratio, unit = amount(f.Against, f.Unit), amount(f.Ratio, ""), ""
	}
	if f.Goal > 0 || f.Exact {
		goal = strings.TrimSpace(fmt.Sprintf("%s %g %s", map[bool]string{true: "≥", false: "≤"}[f.AtLeast], f.Goal, unit))
		if f.Missed() {
			goal += " **missed**"
		}
	}
	if f.High > 0 {
		spread = fmt.Sprintf("%.2f–%.2f", f.Low, f.High)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %d |\n", f.Name, amount(f.Value, f.Unit), beside, ratio, goal, spread, f.Runs)
}
