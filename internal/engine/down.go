package engine

import (
	"context"
	"errors"
	"fmt"

	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
)

// DownOptions are down's.
type DownOptions struct {
	Site
	Volumes bool // remove the data too
	// Confirm asks a person whether the data may go; nil means that it was said already (--yes).
	Confirm func(question string) error
	// ConfirmName has a person type the name of an environment on AWS; nil means that --yes was
	// said, and then Really must be that name.
	ConfirmName func(question, name string) error
	Really      string
}

// Down stops and removes what runs. The data stay unless Volumes, and what stays is returned.
func (e *Engine) Down(ctx context.Context, o DownOptions, sink report.Sink) (Result, []report.Kept, error) {
	steps := &steps{sink: sink, verb: "down"}
	result, kept, err := e.down(ctx, o, steps)
	return result, kept, steps.interrupted(ctx, err)
}

func (e *Engine) down(ctx context.Context, o DownOptions, steps *steps) (Result, []report.Kept, error) {
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return Result{}, nil, err
	}
	if err := confirmDown(env, o); err != nil {
		return Result{}, nil, err
	}
	if o.Volumes && o.Confirm != nil && env.spec.Target == site.Local {
		question := fmt.Sprintf("Remove the database, the files and the secrets of %s (%s) for good?", env.spec.Name, env.spec.Environment)
		if err := o.Confirm(question); err != nil {
			return Result{}, nil, err
		}
	}
	ctx, held, err := e.lock(ctx, env.place.Store, env.spec.Environment, e.Process.Command)
	if err != nil {
		return Result{}, nil, err
	}
	defer held.release(ctx)

	if err := env.reload(ctx); err != nil {
		return Result{}, nil, err
	}
	if err := env.work(); err != nil {
		return Result{}, nil, err
	}
	before, err := env.place.Target.Observe(ctx, env.topology)
	if err != nil {
		return Result{}, nil, fmt.Errorf("see what runs: %w", err)
	}
	var kept []report.Kept
	err = steps.do("down", func() error {
		kept, err = env.place.Target.Destroy(ctx, env.topology, report.Keep{Data: !o.Volumes}, steps.sink)
		return err
	})
	if err != nil {
		return Result{}, kept, err
	}
	result := Result{Changed: Runs(before) || o.Volumes}
	if o.Volumes {
		if err := forget(ctx, env.place.Store); err != nil {
			return result, kept, err
		}
		return result, kept, vanish(ctx, env, held)
	}
	env.state.Tasks = 0
	return result, kept, env.save(ctx)
}

// forget removes the records of an environment whose data are gone; the lock goes by itself.
func forget(ctx context.Context, store Store) error {
	keys, err := store.List(ctx, "")
	if err != nil {
		return fmt.Errorf("list the environment's records: %w", err)
	}
	for _, key := range keys {
		if key == lockKey {
			continue
		}
		_, etag, err := store.Get(ctx, key)
		if err == nil {
			err = store.Delete(ctx, key, etag)
		}
		if err != nil && !errors.Is(err, release.ErrNotFound) {
			return fmt.Errorf("remove the record %s: %w", key, err)
		}
	}
	return nil
}

// Runs tells whether anything of an environment runs: data alone do not.
func Runs(s report.Status) bool {
	for _, t := range s.Tiers {
		if t.Name != "files" && len(t.Members) > 0 {
			return true
		}
	}
	return false
}
