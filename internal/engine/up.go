package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"platen/internal/capacity"
	"platen/internal/release"
	"platen/internal/report"
)

// UpOptions are up's.
type UpOptions struct {
	Site
	// MailPassword is that of mail.user, when it is given with the command; "" = the kept one.
	MailPassword string
	// Port is the one to publish from now on, whatever was recorded; nil = as recorded, else as
	// configured. 0 takes any free one.
	Port *int
}

// Result is what a verb that changes an environment came to.
type Result struct {
	URL     string
	Release string
	Changed bool
	Notes   []string // for a person, one sentence each
}

// Up brings an environment to what its configuration says: images, infrastructure, the
// installed site, the release. It is idempotent and goes on after an interruption.
func (e *Engine) Up(ctx context.Context, o UpOptions, sink report.Sink) (Result, error) {
	steps := &steps{sink: sink, verb: "up"}
	result, err := e.up(ctx, o, steps)
	return result, steps.interrupted(ctx, err)
}

func (e *Engine) up(ctx context.Context, o UpOptions, steps *steps) (Result, error) {
	env, err := e.prepare(ctx, o, steps)
	if err != nil {
		return Result{}, err
	}
	ctx, held, err := e.lock(ctx, env.place.Store, env.spec.Environment, e.Process.Command)
	if err != nil {
		return Result{}, err
	}
	defer held.release(ctx)
	result, err := e.bring(ctx, env, o, steps)
	if err != nil && errors.Is(context.Cause(ctx), errLockLost) {
		err = fmt.Errorf("%w (%w)", errLockLost, err)
	}
	return result, err
}

// prepare decides all that can be decided before anything is touched.
func (e *Engine) prepare(ctx context.Context, o UpOptions, steps *steps) (*environment, error) {
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return nil, err
	}
	steps.assumed(env)
	return env, steps.do("check", func() error {
		limits, err := env.place.Target.Limits(ctx, env.topology)
		if err != nil {
			return err
		}
		if verdict := capacity.Check(env.topology, limits); !verdict.Fits {
			return &UnfitError{env.spec.Name, env.spec.Environment, verdict}
		}
		if env.place.Ready != nil {
			if err := env.place.Ready(ctx, steps.sink); err != nil {
				return err
			}
		}
		// Asked before minutes of building: whether this folder may touch the environment at all.
		// Where nothing is built, Apply asks that itself.
		if env.place.Fleet != nil {
			if _, err = env.place.Target.Plan(ctx, env.topology); err != nil {
				return err
			}
		}
		return needSecret(ctx, env, o.MailPassword)
	})
}

// bring does the work under the lock.
func (e *Engine) bring(ctx context.Context, env *environment, o UpOptions, steps *steps) (Result, error) {
	if err := env.reload(ctx); err != nil {
		return Result{}, err
	}
	if env.place.Fleet == nil {
		return e.bringInfrastructure(ctx, env, steps)
	}
	if env.state.Tasks != 0 {
		steps.note("the scale override of %d web tasks ends here: %s says %s", env.state.Tasks, configured(env), tasks(env.spec.Web.Tasks))
		env.state.Tasks = 0
	}
	if err := e.choosePort(ctx, env, o.Port, steps); err != nil {
		return Result{}, err
	}
	if err := env.work(); err != nil {
		return Result{}, err
	}
	// The port is the site's address: it must outlive a kill in the middle.
	if err := env.save(ctx); err != nil {
		return Result{}, err
	}

	if err := e.publish(ctx, env, steps); err != nil {
		return Result{}, err
	}
	if err := takeSecret(ctx, env, o.MailPassword); err != nil {
		return Result{}, err
	}
	r := release.New(webImages(env.topology.Images), env.topology.Web.Config, e.Who(), e.Now())
	result := Result{URL: env.topology.URL, Release: r.ID}

	t := env.topology
	plan, err := env.place.Target.Plan(ctx, t)
	if err != nil {
		return result, fmt.Errorf("compare what is with what should be: %w", err)
	}
	running, err := env.place.Fleet.Running(ctx, t)
	if err != nil {
		return result, fmt.Errorf("see which release runs: %w", err)
	}
	env.state.Images = t.Images
	if err := env.save(ctx); err != nil {
		return result, err
	}
	if len(plan.Changes) == 0 && serves(running, r.ID, t.Web.Tasks.Min) {
		if err := steps.do("smoke", func() error { return e.smoke(ctx, t, false) }); err != nil {
			return result, err
		}
		// An up that was killed right before its end has not recorded it, and records may be lost.
		return result, recordRelease(ctx, env.place.Store, r)
	}

	result.Changed = true
	if len(plan.Changes) > 0 {
		err := steps.do("apply", func() error { return env.place.Target.Apply(ctx, t, steps.sink) })
		if err != nil {
			return result, err
		}
	}
	var fresh bool
	err = steps.do("install", func() (err error) { fresh, err = e.install(ctx, env, r, steps.sink); return err })
	if err != nil {
		return result, err
	}
	if err := steps.do("web", func() error { return e.roll(ctx, env, r, running, steps) }); err != nil {
		return result, err
	}
	if err := steps.do("smoke", func() error { return e.smoke(ctx, t, fresh) }); err != nil {
		return result, err
	}
	return result, recordRelease(ctx, env.place.Store, r)
}

// publish makes the images and brings them to where the target runs them.
func (e *Engine) publish(ctx context.Context, env *environment, steps *steps) error {
	return steps.do("images", func() error {
		images, err := e.Build(ctx, BuildRequest{Spec: env.spec, Folder: env.folder}, steps.sink)
		if err != nil {
			return err
		}
		if env.topology.Images, err = env.place.Fleet.Publish(ctx, images, steps.sink); err != nil {
			return fmt.Errorf("bring the images to the engine: %w", err)
		}
		return nil
	})
}

// install runs the install job, which finds out by itself what is left to do. It tells whether
// WordPress was installed just now: a site that only stood still belongs to its editors.
func (e *Engine) install(ctx context.Context, env *environment, r release.Release, sink report.Sink) (fresh bool, err error) {
	job, err := env.topology.Job("install")
	if err != nil {
		return false, err
	}
	var answer, said lines
	exit, err := env.place.Fleet.Run(ctx, env.topology, r, job, io.MultiWriter(&answer, &said), report.Sink(func(ev report.Event) {
		if ev.Event == "log" {
			fmt.Fprintln(&said, ev.Detail)
		}
		if sink != nil {
			sink(ev)
		}
	}))
	if err != nil {
		return false, fmt.Errorf("run the install job: %w", err)
	}
	if exit != 0 {
		return false, report.Hint(fmt.Errorf("the install job ended with status %d%s", exit, tail(said.String())),
			"what served before serves on; mend what it says and run platen up again (platen logs database may say more)")
	}
	return installed(answer.String())
}

// installed reads the install job's last line, one JSON object; plugins may have printed before it.
func installed(answer string) (bool, error) {
	answer = strings.TrimSpace(answer)
	var last struct {
		Installed *bool `json:"installed"`
	}
	err := json.Unmarshal([]byte(answer[strings.LastIndexByte(answer, '\n')+1:]), &last)
	if err == nil && last.Installed == nil {
		err = errors.New("it does not say whether it installed WordPress")
	}
	if err != nil {
		return false, fmt.Errorf("read the install job's answer %q: %w", answer, err)
	}
	return *last.Installed, nil
}

// lines collects what a job writes to its standard output and says in its log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// roll replaces the web tasks. When it fails while another release served, that one is rolled
// back to: a half-replaced fleet is worse than either.
func (e *Engine) roll(ctx context.Context, env *environment, r release.Release, before map[string]int, steps *steps) error {
	err := env.place.Fleet.Roll(ctx, env.topology, r, steps.sink)
	var rolled *report.RollError
	if err == nil || !errors.As(err, &rolled) || ctx.Err() != nil {
		return err
	}
	previous, ok := e.previous(ctx, env, r.ID, before)
	if !ok {
		return report.Hint(err, "platen logs web shows what the task said; fix it and run platen up again")
	}
	steps.sink.Log("web", fmt.Sprintf("release %s did not come up: going back to %s", r.ID, previous.ID))
	if back := env.place.Fleet.Roll(ctx, env.topology, previous, steps.sink); back != nil {
		return fmt.Errorf("%w; going back to %s failed as well: %w", err, previous.ID, back)
	}
	return &RolledBackError{Release: r.ID, Serving: previous.ID, Cause: err}
}

// previous is the recorded release that served most tasks before.
func (e *Engine) previous(ctx context.Context, env *environment, now string, before map[string]int) (release.Release, bool) {
	best, count := "", 0
	for id, n := range before {
		if id != now && (n > count || n == count && id < best) {
			best, count = id, n
		}
	}
	if best == "" {
		return release.Release{}, false
	}
	r, err := readRelease(ctx, env.place.Store, best)
	return r, err == nil
}

// UnfitError says why a topology does not fit its place.
type UnfitError struct {
	Site, Environment string
	Verdict           capacity.Verdict
}

func (e *UnfitError) Error() string {
	return fmt.Sprintf("%s (%s) cannot fit:\n  %s", e.Site, e.Environment, strings.Join(e.Verdict.Reasons, "\n  "))
}

// Hint implements the interface of report.HintOf.
func (e *UnfitError) Hint() string {
	return "give it less (size: small, fewer web.tasks, less memory) or the place more"
}

// RolledBackError is a release that did not come up, after which the former serves again.
type RolledBackError struct {
	Release, Serving string
	Cause            error
}

func (e *RolledBackError) Error() string {
	return fmt.Sprintf("release %s did not come up, %s serves again: %v", e.Release, e.Serving, e.Cause)
}
func (e *RolledBackError) Unwrap() error { return e.Cause }

// Hint implements the interface of report.HintOf.
func (e *RolledBackError) Hint() string {
	return "nothing is lost; fix what the last lines say and run platen up again"
}

// serves tells whether this release alone serves, with exactly so many healthy tasks.
func serves(running map[string]int, id string, tasks int) bool {
	return len(running) == 1 && running[id] == tasks
}

// webImages are the images that make a release; the others belong to the infrastructure.
func webImages(images map[string]string) map[string]string {
	web := map[string]string{}
	for _, name := range []string{"nginx", "wordpress", "jobs"} {
		if ref, ok := images[name]; ok {
			web[name] = ref
		}
	}
	return web
}

// tail is the end of a job's output, to go behind an error.
func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	if s = strings.TrimSpace(strings.Join(lines, "\n  ")); s == "" {
		return ""
	}
	return ":\n  " + s
}
