package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// errNoFleet is the answer of verbs that need tasks, where the place cannot run any yet.
var errNoFleet = report.Hint(errors.New("this version runs no releases on AWS yet: the service there stands with no tasks"),
	"an environment with target: local runs the site today")

// bringInfrastructure is up where the place runs no releases: everything but the tasks.
func (e *Engine) bringInfrastructure(ctx context.Context, env *environment, steps *steps) (Result, error) {
	if err := env.work(); err != nil {
		return Result{}, err
	}
	if err := env.save(ctx); err != nil {
		return Result{}, err
	}
	result := Result{URL: env.topology.URL}
	var changed atomic.Bool
	err := steps.do("apply", func() error {
		return env.place.Target.Apply(ctx, env.topology, func(ev report.Event) {
			if isChange(ev) {
				changed.Store(true)
			}
			if steps.sink != nil {
				steps.sink(ev)
			}
		})
	})
	result.Changed = changed.Load()
	if err != nil {
		return result, err
	}
	status, err := env.place.Target.Observe(ctx, env.topology)
	if err != nil {
		return result, fmt.Errorf("see what stands: %w", err)
	}
	result.URL = status.URL
	result.Notes = append(result.Notes, "Everything stands but the site: the service has no tasks, since this version runs no releases on AWS yet.")
	return result, nil
}

// isChange tells whether an event of Apply says that something of a stack, or in it, is another
// now. What is found as wanted is report.Same; init and the like are steps of no stack.
func isChange(ev report.Event) bool {
	stack, _, _ := strings.Cut(ev.Step, "/")
	return ev.Event == "step" && ev.State == report.Done && slices.Contains(topology.Stacks, stack)
}

// planInfrastructure is plan where the place runs no releases: no images are built for it.
func (e *Engine) planInfrastructure(ctx context.Context, env *environment, o PlanOptions, p Planned) (Planned, error) {
	ask := env.place.Target.Plan
	if o.Detail && env.place.Detail != nil {
		ask = env.place.Detail
	}
	plan, err := ask(ctx, env.topology)
	if err != nil {
		return p, fmt.Errorf("compare what is with what should be: %w", err)
	}
	p.Changes = append(p.Changes, plan.Changes...)
	p.Details = plan.Details
	return p, nil
}

// renderInfrastructure is render where the place runs no releases.
func renderInfrastructure(ctx context.Context, env *environment) (map[string][]byte, error) {
	files, err := env.place.Render(ctx, env.topology, release.Release{})
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", env.topology.Project, err)
	}
	return files, nil
}

// confirmDown asks before an environment on AWS goes: its name is typed, or said with the
// command (--yes --really ENV), since a habit types yes.
func confirmDown(env *environment, o DownOptions) error {
	if env.spec.Target != site.AWS {
		return nil
	}
	name := env.spec.Environment
	if o.Really != "" && o.Really != name {
		return &UsageError{fmt.Errorf("--really %s, but this is %s", o.Really, name)}
	}
	if o.Really == name {
		return nil
	}
	if o.ConfirmName == nil {
		return &UsageError{report.Hint(fmt.Errorf("down %s removes an environment on AWS: --yes alone does not say which", name), "say it with the command: --yes --really %s", name)}
	}
	what := "The database leaves a final snapshot; media, backups and their keys stay."
	if o.Volumes {
		what = "Its database, files, backups and secrets go for good."
	}
	return o.ConfirmName(fmt.Sprintf("Remove %s (%s) in the account %s. %s", env.spec.Name, name, env.spec.AWS.Account, what), name)
}

// vanish removes what keeps the records themselves, where that is more than a folder. The lock is
// one of them, so it is given back first.
func vanish(ctx context.Context, env *environment, held *held) error {
	v, ok := env.place.Target.(interface {
		Vanish(ctx context.Context, environment string) error
	})
	if !ok {
		return nil
	}
	held.release(ctx)
	if err := v.Vanish(context.WithoutCancel(ctx), env.spec.Environment); err != nil {
		return fmt.Errorf("remove what kept the records of %s: %w", env.spec.Environment, err)
	}
	return nil
}
