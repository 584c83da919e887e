package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"platen/internal/report"
)

// ExecOptions are exec's.
type ExecOptions struct {
	Site
	Command []string // php …, sql …: what the jobs image offers
	Streams report.Streams
}

// Exec runs a one-off task of the jobs image beside the site and returns its exit status.
func (e *Engine) Exec(ctx context.Context, o ExecOptions) (int, error) {
	if len(o.Command) == 0 {
		return 0, &UsageError{errors.New("nothing to run: platen exec -- php -v, platen exec -- sql -e 'select 1'")}
	}
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return 0, err
	}
	if err := e.running(ctx, env); err != nil {
		return 0, err
	}
	exit, err := env.place.Console.Exec(ctx, env.topology, o.Command, o.Streams)
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", o.Command[0], err)
	}
	return exit, nil
}

// running makes one-off tasks run the jobs image of the release that serves, or says that none does.
func (e *Engine) running(ctx context.Context, env *environment) error {
	r, err := e.current(ctx, env)
	if err != nil {
		return err
	}
	images := maps.Clone(env.topology.Images)
	maps.Copy(images, r.Images)
	env.topology.Images = images
	return nil
}
