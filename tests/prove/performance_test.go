//go:build prove

// Package prove measures what `make prove` writes into docs/performance.md and .json. It takes
// too long for every change, and the machine must have nothing else to do.
package prove

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"platen/tests/e2e/site"
	"platen/tests/prove/performance"
)

// Figure is one line of docs/performance.json.
type Figure = performance.Figure

func TestMain(m *testing.M) {
	code := m.Run()
	removeShares()
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
	figures = append(figures, shareFigures(t)...)
	if err := performance.Write(root, figures); err != nil {
		t.Fatal(err)
	}
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
