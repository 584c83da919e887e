package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"platen/internal/report"
	"platen/internal/topology"
)

// mend starts again what was stopped of a web task, php first: it writes nginx' configuration. A
// task that never ran as a whole, or does not come up again, is left to Roll, which takes it away
// or puts another in its place.
func (p *Place) mend(ctx context.Context, t topology.Topology, w webtask, sink report.Sink) error {
	if !w.ran(t) || w.whole(t) {
		return nil
	}
	for _, service := range taskServices(t, w.n) {
		m := w.containers[service]
		if m.running() {
			continue
		}
		step := "web/" + t.WebTask(w.n) + "/" + strings.TrimPrefix(service, t.WebTask(w.n)+"-")
		sink.Step(step, report.Running, "starting")
		// Not a start: the engine may be waiting before it starts it once more by itself.
		now := 0
		_, err := p.api.ContainerRestart(ctx, m.ID, client.ContainerRestartOptions{Timeout: &now})
		if gone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("start %s: %w", m.name(), err)
		}
		if service == t.WebPHP(w.n) {
			var f *failure
			err := p.await(ctx, service, m.ID, patienceTask, func(ctx context.Context) error { return p.healthy(ctx, m.ID, "php") })
			if errors.As(err, &f) {
				sink.Step(step, report.Failed, f.reason)
				return nil
			}
			if err != nil {
				return fmt.Errorf("start again the web task %d: %w", w.n, err)
			}
		}
		sink.Step(step, report.Done, "started")
	}
	return nil
}

// gone tells that the engine no longer has the thing, or is taking it away already.
func gone(err error) bool {
	return errdefs.IsNotFound(err) || errdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress") ||
		errors.Is(err, errdefs.ErrNotFound)
}
