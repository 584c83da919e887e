//go:build prove

// Package prove measures what `make prove` writes into docs/performance.md and .json. It takes
// too long for every change, and the machine must have nothing else to do.
package prove

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"platen/tests/e2e/site"
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

func TestMain(m *testing.M) {
	code := m.Run()
	if err := site.Sweep(); err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
		code = 1
	}
	os.Exit(code)
}

func TestPerformance(t *testing.T) {
	var figures []Figure
	add := func(name, unit string, goal float64, values ...float64) {
		slices.Sort(values)
		figures = append(figures, Figure{Name: name, Value: values[len(values)/2], Unit: unit, Goal: goal, Runs: len(values)})
	}

	// Nothing cached: downloads, verification, images, start, installation.
	cold := site.New(t)
	cold.Env = []string{"XDG_CACHE_HOME=" + t.TempDir()}
	cold.Configure(t, "web: {tasks: 2}")
	add("first front page, nothing cached", "s", 120, untilFrontPage(t, cold))

	// Images there, volumes empty. The first site fills the cache that the measured ones use.
	warm := site.New(t)
	warm.Configure(t, "web: {tasks: 2}")
	warm.Up(t)
	var values []float64
	for range 3 {
		warm.Run(t, 0, "down", "--volumes", "--yes")
		values = append(values, untilFrontPage(t, warm))
	}
	add("front page, images there, volumes empty", "s", 8, values...)

	values = nil
	for range 5 {
		begin := time.Now()
		warm.Up(t)
		values = append(values, time.Since(begin).Seconds())
	}
	add("up again, nothing to change", "s", 2, values...)

	for _, name := range []string{"nginx", "wordpress", "jobs", "mariadb", "valkey", "haproxy"} {
		values = nil
		for range 3 {
			begin := time.Now()
			warm.Run(t, 0, "image", "build", name)
			values = append(values, time.Since(begin).Seconds())
		}
		add("image build "+name+", nothing changed", "s", 1, values...)
	}

	figures = append(figures, imageFigures(t)...)
	figures = append(figures, sizes(t, warm)...)
	write(t, figures)
	for _, f := range figures {
		t.Logf("%-45s %8.2f %-3s goal %.2f", f.Name, f.Value, f.Unit, f.Goal)
	}
}

// untilFrontPage is the time from the command to the front page, in seconds.
func untilFrontPage(t *testing.T, s *site.Site) float64 {
	t.Helper()
	begin := time.Now()
	s.Up(t)
	s.Visitor(t).Get(t, http.StatusOK, "/")
	return time.Since(begin).Seconds()
}

const megabyte = 1e6

// sizes are as a registry shows them: compressed layers.
func sizes(t *testing.T, s *site.Site) []Figure {
	t.Helper()
	var images []struct {
		Image  string
		Layers []struct {
			Name string
			Size float64 `json:"compressed_bytes"`
		}
		Compressed float64 `json:"compressed_bytes"`
	}
	list := s.Run(t, 0, "image", "list", "--json")
	if err := json.Unmarshal([]byte(list.Stdout), &images); err != nil {
		t.Fatalf("platen image list --json: %v\n%s", err, list.Stdout)
	}
	var figures []Figure
	one := func(name string, bytes, goal float64) {
		figures = append(figures, Figure{Name: name, Value: bytes / megabyte, Unit: "MB", Goal: goal, Runs: 1})
	}
	for _, image := range images {
		without := image.Compressed
		for _, layer := range image.Layers {
			if layer.Name == "assets" && image.Image == "nginx" || layer.Name == "agent" && image.Image == "wordpress" {
				without -= layer.Size
			}
		}
		switch image.Image {
		case "nginx":
			one("nginx without core's assets, compressed", without, 6.2)
		case "wordpress":
			one("wordpress without the agent, compressed", without, 64)
		default:
			one(image.Image+", compressed", image.Compressed, 0)
		}
	}
	binary, err := site.Binary()
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]struct {
		file string
		goal float64
	}{"platen": {binary, 60}, "platen-agent": {filepath.Join(root, "out/agent/platen-agent-linux-"+runtime.GOARCH), 9}} {
		info, err := os.Stat(program.file)
		if err != nil {
			t.Fatal(err)
		}
		one(name+", the program", float64(info.Size()), program.goal)
	}
	slices.SortFunc(figures, func(a, b Figure) int { return strings.Compare(a.Name, b.Name) })
	return figures
}

const root = "../.."

// write renders the figures for people and for machines, with what they are figures of.
func write(t *testing.T, figures []Figure) {
	t.Helper()
	content, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	commit, err := exec.Command("git", "-C", root, "describe", "--always", "--dirty").Output()
	if err != nil {
		t.Fatalf("which commit is this: %v", err)
	}
	var page strings.Builder
	fmt.Fprintf(&page, "# Performance\n\nWritten by `make prove` on %s, commit %s, %d cores, %s/%s. Times are medians.\n"+
		"The same figures for machines: [performance.json](performance.json).\n\n"+
		"| what | value | goal, at most | runs |\n| --- | ---: | ---: | ---: |\n",
		time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit)), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	for _, f := range figures {
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
		if err := os.WriteFile(filepath.Join(root, "docs", name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
