package engine

import (
	"context"
	"errors"
	"fmt"

	"platen/internal/release"
	"platen/internal/report"
)

// Status observes what runs.
func (e *Engine) Status(ctx context.Context, o Site) (report.Status, error) {
	env, err := e.open(ctx, o)
	if err != nil {
		return report.Status{}, err
	}
	status, err := env.place.Target.Observe(ctx, env.topology)
	if err != nil {
		return status, fmt.Errorf("see what runs: %w", err)
	}
	if n := env.state.Tasks; n != 0 {
		status.Notes = append(status.Notes, fmt.Sprintf(
			"scaled by hand to %d web tasks; the next up goes back to %s", n, tasks(env.spec.Web.Tasks)))
	}
	switch l, err := holder(ctx, env.place.Store); {
	case err == nil && !e.abandoned(l):
		status.Notes = append(status.Notes, (&LockedError{l, env.spec.Environment}).Error())
	case err == nil:
		status.Notes = append(status.Notes, fmt.Sprintf("%q of %s did not end; run it again and it goes on", l.Command, l.User))
	case !errors.Is(err, release.ErrNotFound):
		return status, fmt.Errorf("read the lock: %w", err)
	}
	return status, nil
}
