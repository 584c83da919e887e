package engine

import (
	"context"
	"fmt"

	"platen/internal/capacity"
	"platen/internal/report"
)

// ScaleOptions are scale's.
type ScaleOptions struct {
	Site
	Tasks int // web tasks wanted now
}

// Scale changes the number of web tasks now. It is an override on record: status shows it, and
// the next up goes back to the configuration.
func (e *Engine) Scale(ctx context.Context, o ScaleOptions, sink report.Sink) (Result, error) {
	steps := &steps{sink: sink, verb: fmt.Sprintf("scale %d", o.Tasks)}
	result, err := e.scale(ctx, o, steps)
	return result, steps.interrupted(ctx, err)
}

func (e *Engine) scale(ctx context.Context, o ScaleOptions, steps *steps) (Result, error) {
	if o.Tasks < 1 {
		return Result{}, &UsageError{fmt.Errorf("scale to %d web tasks: at least one must serve (platen down stops the site)", o.Tasks)}
	}
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return Result{}, err
	}
	if env.place.Fleet == nil { // before the lock, whose record may be the first of all
		return Result{}, errNoFleet
	}
	ctx, held, err := e.lock(ctx, env.place.Store, env.spec.Environment, e.Process.Command)
	if err != nil {
		return Result{}, err
	}
	defer held.release(ctx)

	if err := env.reload(ctx); err != nil {
		return Result{}, err
	}
	r, err := e.current(ctx, env)
	if err != nil {
		return Result{}, err
	}
	running, err := env.place.Fleet.Running(ctx, env.topology)
	if err != nil {
		return Result{}, fmt.Errorf("see which release runs: %w", err)
	}
	env.state.Tasks = o.Tasks
	if o.Tasks == env.spec.Web.Tasks.Min {
		env.state.Tasks = 0 // what the configuration says is no override
	}
	if err := env.work(); err != nil {
		return Result{}, err
	}
	result := Result{URL: env.topology.URL, Release: r.ID, Changed: !serves(running, r.ID, o.Tasks)}

	limits, err := env.place.Target.Limits(ctx, env.topology)
	if err != nil {
		return result, err
	}
	if verdict := capacity.Check(env.topology, limits); !verdict.Fits {
		return result, &UnfitError{env.spec.Name, env.spec.Environment, verdict}
	}
	if err := steps.do("web", func() error { return env.place.Fleet.Roll(ctx, env.topology, r, steps.sink) }); err != nil {
		return result, err
	}
	// Only what holds is recorded: a scale that failed is not shown as one that is.
	return result, env.save(ctx)
}
