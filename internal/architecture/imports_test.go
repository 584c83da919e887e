// Package architecture holds the test that keeps the arrows of docs/architecture.md true.
package architecture

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "platen"

// rule says what one package may import. A package without a rule fails the test: whoever
// adds one decides here where it stands.
type rule struct {
	own    []string // packages of this module; "internal/x/..." covers what is below
	pure   bool     // values in, values out: none of impure
	std    bool     // the standard library and own alone
	forbid []ban
}

// ban is an import path (or a prefix that ends in "/...") and why it is not wanted.
type ban struct{ path, reason string }

// impure is what the core may not touch: the same input must give the same answer in a test, on
// a laptop and in CI.
var impure = []ban{
	{"os", "the core takes bytes and fs.FS; files and environment belong to cli and adapters"},
	{"os/...", "the core starts nothing and listens to no signal"},
	{"net", "the core talks to nobody; adapters do"},
	{"net/http", "the core talks to nobody; adapters do"},
	{"net/http/...", "the core talks to nobody; adapters do"},
	{"log", "the core says things as report.Event values, which the cli renders"},
	{"log/...", "the core says things as report.Event values, which the cli renders"},
	{"math/rand", "chance is an input: take a seed"},
	{"math/rand/...", "chance is an input: take a seed or a *rand.Rand"},
	{"syscall", "the core does not depend on the system that it runs on"},
	{"golang.org/x/sys/...", "the core does not depend on the system that it runs on"},
}

// core is what every package may import: the words of the domain.
var core = []string{
	"internal/site", "internal/topology", "internal/capacity", "internal/release",
	"internal/report", "internal/task", "internal/image", "internal/chaos",
}

// cobra stays in cli, so that a verb can be called, and tested, without a command line.
var notCobra = []ban{{"github.com/spf13/...", "flags end in internal/cli: a verb takes an options struct"}}

var adapter = rule{own: slices.Concat(core, []string{"rootfs/...", "internal/retry"}), forbid: notCobra}

// mayImport is the table. Test files are judged by it too, but for what testing needs (see allowInTests).
var mayImport = map[string]rule{
	// Core: each may import the words before it, never the other way round.
	"internal/task":     {pure: true, std: true},
	"internal/report":   {pure: true, std: true},
	"internal/site":     {pure: true, own: []string{"internal/report"}}, // problems carry hints
	"internal/topology": {pure: true, own: []string{"internal/site", "internal/task"}},
	"internal/capacity": {pure: true, own: []string{"internal/site", "internal/topology"}},
	"internal/release":  {pure: true, own: []string{"internal/task"}},
	"internal/image":    {pure: true, own: []string{"internal/site"}},
	"internal/chaos":    {pure: true, own: []string{"internal/report", "internal/topology"}},

	// Adapters: core only. cmd/platen hands one to another through small interfaces.
	"internal/debian":    adapter,
	"internal/registry":  adapter,
	"internal/docker":    adapter,
	"internal/terraform": adapter,
	"internal/aws":       adapter,
	"internal/load":      adapter,
	"internal/archive":   adapter,
	"internal/source":    adapter,

	// What the clients among them share.
	"internal/retry": {std: true},

	// The engine decides and calls; it declares the interfaces that adapters satisfy.
	"internal/engine": {own: core, forbid: append(slices.Clone(notCobra),
		ban{"github.com/docker/...", "the engine knows places through engine.Place"},
		ban{"github.com/moby/...", "the engine knows places through engine.Place"},
		ban{"github.com/aws/...", "the engine knows places through engine.Place"})},
	"internal/cli": {own: slices.Concat(core, []string{"internal/engine"})},

	// The containers' programs are small and static: an import here is megabytes there.
	"internal/agent":   {own: []string{"internal/task"}, forbid: notCobra},
	"internal/job":     {own: []string{"internal/agent", "internal/task"}, forbid: notCobra}, // a job renders PHP's configuration as a task does
	"cmd/platen-agent": {std: true, own: []string{"internal/agent", "internal/task"}},
	"cmd/platen-job":   {std: true, own: []string{"internal/job", "internal/task"}},

	// The only place that names concrete adapters.
	"cmd/platen": {own: []string{"internal/...", "rootfs/...", "rootfs", "terraform"}},

	"internal/architecture": {std: true},
	"rootfs":                {pure: true, std: true},
	"terraform":             {pure: true, std: true},
	"tools":                 {std: true, own: []string{"internal/site", "internal/report"}},

	// Tests from outside drive the binary; they share no code with it but what it is told and says,
	// and the files that go into its images, which they may run where these will.
	"tests": {own: []string{"tests/...", "internal/report", "internal/task", "internal/debian/debiantest", "rootfs"}},
}

// allowInTests is what the core's own tests may import although its code may not: golden files,
// folders of fixtures, and another program as the judge.
var allowInTests = []string{"os", "os/exec", "math/rand", "math/rand/v2"}

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	files := goFiles(t, root)
	if len(files) < 10 {
		t.Fatalf("only %d Go files found below %s: the walk is broken", len(files), root)
	}
	for _, file := range files {
		pkg := filepath.ToSlash(filepath.Dir(file))
		name, r, found := ruleFor(pkg)
		if !found {
			t.Errorf("%s: no rule for %s: add one to mayImport", file, pkg)
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: %s: %v", file, spec.Path.Value, err)
				continue
			}
			if why := forbidden(name, r, path, strings.HasSuffix(file, "_test.go")); why != "" {
				t.Errorf("%s imports %s: %s", file, path, why)
			}
		}
	}
}

// The table must bite: each of these was a temptation, and has to stay forbidden.
func TestTableForbids(t *testing.T) {
	for _, c := range []struct{ pkg, imports string }{
		{"internal/site", "os"},
		{"internal/topology", "log/slog"},
		{"internal/image", "net/http"},
		{"internal/task", "github.com/spf13/cobra"},
		{"internal/docker", "platen/internal/engine"},
		{"internal/docker", "platen/internal/debian"},
		{"internal/engine", "platen/internal/docker"},
		{"internal/engine", "github.com/moby/moby/client"},
		{"internal/cli", "platen/internal/docker"},
		{"internal/task", "platen/internal/site"},
		{"cmd/platen-agent", "platen/internal/engine"},
		{"internal/debian", "github.com/spf13/cobra"},
		{"tests/e2e", "platen/internal/engine"},
	} {
		_, r, found := ruleFor(c.pkg)
		if !found || forbidden(c.pkg, r, c.imports, false) == "" {
			t.Errorf("%s may import %s", c.pkg, c.imports)
		}
	}
}

func TestTableAllows(t *testing.T) {
	for _, c := range []struct{ pkg, imports string }{
		{"internal/report", "io"},
		{"internal/report", "time"},
		{"internal/image", "github.com/google/go-containerregistry/pkg/v1"},
		{"internal/docker", "platen/internal/topology"},
		{"internal/cli", "platen/internal/engine"},
		{"cmd/platen", "platen/internal/docker"},
	} {
		_, r, _ := ruleFor(c.pkg)
		if why := forbidden(c.pkg, r, c.imports, false); why != "" {
			t.Errorf("%s may not import %s: %s", c.pkg, c.imports, why)
		}
	}
}

// ruleFor returns the rule of the package, or of the nearest folder above it that has one.
func ruleFor(pkg string) (name string, r rule, found bool) {
	for name = pkg; name != "." && name != "/"; name = filepath.ToSlash(filepath.Dir(name)) {
		if r, found = mayImport[name]; found {
			return name, r, true
		}
	}
	return "", rule{}, false
}

// forbidden returns why the package under the rule may not import path, or "".
func forbidden(name string, r rule, path string, inTest bool) string {
	if own, isOwn := strings.CutPrefix(path, module+"/"); isOwn {
		return forbiddenOwn(name, r, own)
	}
	for _, b := range r.forbid {
		if matches(b.path, path) {
			return b.reason
		}
	}
	if r.pure && (!inTest || !slices.Contains(allowInTests, path)) {
		for _, b := range impure {
			if matches(b.path, path) {
				return b.reason
			}
		}
	}
	if r.std && !inTest && strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
		return name + " keeps to the standard library"
	}
	return ""
}

func forbiddenOwn(name string, r rule, own string) string {
	if own == name || strings.HasPrefix(own, name+"/") {
		return "" // its own parts
	}
	for _, allowed := range r.own {
		if matches(allowed, own) {
			return ""
		}
	}
	return fmt.Sprintf("the arrows do not point that way; %s may import of this module: %s", name, strings.Join(r.own, " "))
}

// matches says whether path is the pattern, or lies below a pattern that ends in "/...".
func matches(pattern, path string) bool {
	if prefix, deep := strings.CutSuffix(pattern, "/..."); deep {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return pattern == path
}

// goFiles lists every Go file of the module, as paths from its root. It reads the folder itself:
// `go list` would leave out files behind build tags, and its answer would not be in the test
// cache's key, so that a broken rule could pass from the cache.
func goFiles(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if rel != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || rel == "bin" || rel == "out") {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(rel, ".go") {
			files = append(files, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("%s is not the module's root: %v", root, err)
	}
	return files
}
