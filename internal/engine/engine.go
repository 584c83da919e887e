package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// FileName is the configuration's name in a site's folder.
const FileName = "platen.yaml"

// Engine runs the verbs. Time, chance, the network and the process it runs in are inputs.
type Engine struct {
	// Open hands out the place of an environment; folder is absolute.
	Open func(ctx context.Context, spec site.Spec, folder string) (Place, error)
	// Build makes the images of a site, or finds them made: unchanged input is the same images.
	Build func(ctx context.Context, r BuildRequest, s report.Sink) ([]image.Image, error)
	// Push brings images to a registry, sending only what it lacks: image name → reference by digest.
	Push func(ctx context.Context, r PushRequest, images []image.Image, s report.Sink) (map[string]string, error)
	// SaveImages writes images into a folder in the OCI layout.
	SaveImages func(dir string, images []image.Image) error
	// RecallImage is what is known of an image by the reference that Publish gave it; ok is false
	// when it was not built here.
	RecallImage func(reference string) (img image.Image, ok bool, err error)
	// Probe looks at what Platen needs of this machine; doctor adds what it finds itself.
	Probe func(ctx context.Context, spec site.Spec) []Check
	// Browse opens an address in the person's browser.
	Browse func(ctx context.Context, url string) error

	HTTP    *http.Client
	Now     func() time.Time
	Process Process
}

// BuildRequest says what images to make.
type BuildRequest struct {
	Spec      site.Spec
	Folder    string   // absolute; relative paths of the spec begin here, and platen.lock lies here
	Names     []string // all when empty
	Platforms []string // linux/amd64, linux/arm64; the target's own when empty
	Update    bool     // resolve packages anew, build, and then write platen.lock
	Locked    bool     // fail rather than change platen.lock
	Dry       bool     // leave platen.lock as it is, and say so when it would change
	// Changed is told what an update changed; nil is told nothing.
	Changed func(image.LockChanges)
}

// Site says which environment of which site a verb is about.
type Site struct {
	Folder      string // where the command runs; "" = the working directory
	File        string // --file; "" = platen.yaml in Folder, when there is one
	Environment string // "" = local
}

// Who is the person behind the command, for records.
func (e *Engine) Who() string { return e.Process.User + "@" + e.Process.Host }

// environment is one environment, opened: what every verb works with.
type environment struct {
	spec     site.Spec
	folder   string // absolute
	assumed  bool   // no file: the defaults hold
	place    Place
	state    topology.State
	saved    topology.State // as it stands in the store
	etag     string         // of the state's record
	topology topology.Topology
}

// load reads and validates the configuration. Nothing is touched.
func (e *Engine) load(o Site) (spec site.Spec, folder string, assumed bool, err error) {
	s, folder, err := e.parse(o)
	if err != nil {
		return spec, "", false, &UsageError{err}
	}
	name := o.Environment
	if name == "" {
		name = "local"
	}
	spec, err = s.Environment(name)
	if err != nil {
		return spec, "", false, &UsageError{err}
	}
	return spec, folder, s.File == "", nil
}

// parse reads the file, or the defaults when there is none and none was asked for.
func (e *Engine) parse(o Site) (*site.Site, string, error) {
	folder, err := filepath.Abs(o.Folder)
	if err != nil {
		return nil, "", fmt.Errorf("find the site's folder: %w", err)
	}
	file := o.File
	if file == "" {
		file = filepath.Join(folder, FileName)
	} else {
		if !filepath.IsAbs(file) {
			file = filepath.Join(folder, file)
		}
		folder = filepath.Dir(file)
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && o.File == "" {
		return site.Default(folder), folder, nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the configuration: %w", err)
	}
	// Named as the person would name it: errors begin with it.
	shown := file
	if o.File != "" {
		shown = o.File
	} else if o.Folder == "" {
		shown = FileName
	}
	s, err := site.Parse(shown, data)
	return s, folder, err
}

// open loads the configuration and the environment's state, and works out its topology.
func (e *Engine) open(ctx context.Context, o Site) (*environment, error) {
	spec, folder, assumed, err := e.load(o)
	if err != nil {
		return nil, err
	}
	place, err := e.Open(ctx, spec, folder)
	if err != nil {
		hint := report.HintOf(err)
		if hint != "" && spec.Target == site.Local {
			err = report.Hint(err, "%s (platen doctor looks at everything)", hint)
		}
		return nil, err
	}
	env := &environment{spec: spec, folder: folder, assumed: assumed, place: place}
	if err := env.reload(ctx); err != nil {
		return nil, err
	}
	return env, env.work()
}

// UsageError is a command that cannot be meant: exit code 2.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// ErrNotUp is the answer of verbs that need a running site.
var ErrNotUp = errors.New("the site is not up")

func notUp(env *environment) error {
	return report.Hint(fmt.Errorf("%s (%s): %w", env.spec.Name, env.spec.Environment, ErrNotUp), "run: %s", env.command("up"))
}

// command is what a person types to have a verb done with this environment.
func (env *environment) command(verb string) string { return command(verb, env.spec.Environment) }

func command(verb, environment string) string {
	if environment == "" || environment == "local" {
		return "platen " + verb
	}
	return "platen " + verb + " " + environment
}
