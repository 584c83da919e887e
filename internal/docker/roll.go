package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
	"golang.org/x/sync/errgroup"

	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/topology"
)

// Roll makes Web.Tasks.Min tasks of the release serve, and no other. What runs decides what is
// done: it may be interrupted anywhere and called again. While there are old tasks, one new one
// comes up and is seen by the edge before one old one is drained.
func (p *Place) Roll(ctx context.Context, t topology.Topology, r release.Release, sink report.Sink) error {
	if err := p.own(ctx, t); err != nil {
		return err
	}
	current, old, err := p.sort(ctx, t, r, sink)
	if err != nil {
		return err
	}
	want := t.Web.Tasks.Min
	for len(current) < want {
		// Beside old tasks one at a time, so that the machine holds it; else all at once.
		adding := want - len(current)
		if len(old) > 0 {
			adding = 1
		}
		added, err := p.add(ctx, t, r, free(append(slices.Clone(current), old...), adding), sink)
		if err != nil {
			return err
		}
		current = append(current, added...)
		// One out for one in: never fewer than served before, unless fewer are wanted.
		if len(old) > 0 && len(current)+len(old) > want {
			if err := p.drain(ctx, t, old[:1], sink); err != nil {
				return err
			}
			old = old[1:]
		}
	}
	// The tasks that stay are known to the edge: the others may go together.
	surplus := append(slices.Clone(old), current[want:]...)
	return p.drain(ctx, t, surplus, sink)
}

// sort finds the tasks that serve: those that are what r asks for, and old ones. What an
// interrupted run left half made is taken away; it serves nobody.
func (p *Place) sort(ctx context.Context, t topology.Topology, r release.Release, sink report.Sink) (current, old []webtask, err error) {
	members, err := p.members(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	var halves []webtask
	for _, w := range webtasks(members) {
		if !w.ran(t) {
			halves = append(halves, w)
			continue
		}
		same, err := sameTask(t, r, w)
		if err != nil {
			return nil, nil, err
		}
		// One that does not serve counts as old: it goes when another has taken its place.
		if same && w.whole(t) && p.comesIn(ctx, t, w) == nil {
			current = append(current, w)
		} else {
			old = append(old, w)
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, w := range halves {
		group.Go(func() error { return p.takeAway(groupCtx, t, w.n, sink) })
	}
	return current, old, group.Wait()
}

// sameTask tells whether a task is what the release and the topology ask for: the same release
// may run with another memory limit, or hardening.
func sameTask(t topology.Topology, r release.Release, w webtask) (bool, error) {
	services, err := webTask(t, r, w.n)
	if err != nil {
		return false, err
	}
	for _, s := range services {
		m, ok := w.containers[s.Name]
		if !ok {
			return false, nil
		}
		hash, err := compose.ServiceHash(s)
		if err != nil {
			return false, fmt.Errorf("hash the configuration of %s: %w", s.Name, err)
		}
		if hash != m.Labels[api.ConfigHashLabel] {
			return false, nil
		}
	}
	return true, nil
}

// free are the n smallest numbers that no task has.
func free(tasks []webtask, n int) []int {
	taken := map[int]bool{}
	for _, w := range tasks {
		taken[w.n] = true
	}
	var numbers []int
	for i := 1; len(numbers) < n; i++ {
		if !taken[i] {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// add makes new tasks and returns when the edge sends them visitors. A task that does not come
// up is taken away again, with those that were made beside it.
func (p *Place) add(ctx context.Context, t topology.Topology, r release.Release, numbers []int, sink report.Sink) ([]webtask, error) {
	project, err := taskProject(t, r, numbers)
	if err != nil {
		return nil, err
	}
	err = p.create(ctx, t, project, sink)
	if err == nil {
		err = p.startTasks(ctx, t, numbers, sink)
	}
	if err != nil {
		// Also after an interruption: nobody should find a task that serves half.
		clean := context.WithoutCancel(ctx)
		for _, n := range numbers {
			err = errors.Join(err, p.takeAway(clean, t, n, nil))
		}
		return nil, rollError(t, r, numbers, err)
	}
	members, err := p.members(ctx, t)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(webtasks(members), func(w webtask) bool { return !slices.Contains(numbers, w.n) }), nil
}

func (p *Place) startTasks(ctx context.Context, t topology.Topology, numbers []int, sink report.Sink) error {
	members, err := p.members(ctx, t)
	if err != nil {
		return err
	}
	services := byService(members)
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range numbers {
		group.Go(func() error { return p.startTask(ctx, t, n, services, sink) })
	}
	return group.Wait()
}

// drain ends tasks: the agent answers the edge's checks with 404, waits until the edge has seen
// it, and ends php when the last request is answered. Then nginx may go.
func (p *Place) drain(ctx context.Context, t topology.Topology, tasks []webtask, sink report.Sink) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range tasks {
		group.Go(func() error {
			step := "web/" + t.WebTask(w.n)
			sink.Step(step, report.Running, "draining")
			for _, service := range []string{t.WebPHP(w.n), t.WebNginx(w.n)} {
				if m := w.containers[service]; m.running() {
					if err := p.stop(ctx, m.ID); err != nil {
						return err
					}
				}
			}
			return p.takeAway(ctx, t, w.n, sink)
		})
	}
	return group.Wait()
}

// rollError says which task failed and what it said last.
func rollError(t topology.Topology, r release.Release, numbers []int, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	rolled := &report.RollError{Release: r.ID, Task: t.WebTask(numbers[0]), Reason: err.Error()}
	var f *failure
	if errors.As(err, &f) {
		rolled.Task, rolled.Reason, rolled.LastLines = f.service, f.reason, f.lines
	}
	return rolled
}

// Running returns the releases that serve now and with how many tasks: those that are whole and
// to which the edge sends visitors.
func (p *Place) Running(ctx context.Context, t topology.Topology) (map[string]int, error) {
	members, err := p.members(ctx, t)
	if err != nil {
		return nil, err
	}
	tasks := slices.DeleteFunc(webtasks(members), func(w webtask) bool { return !w.whole(t) })
	healthy := make([]bool, len(tasks))
	var group errgroup.Group
	for i, w := range tasks {
		group.Go(func() error {
			healthy[i] = p.serves(ctx, t, w) == nil
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	running := map[string]int{}
	for i, w := range tasks {
		if healthy[i] {
			running[w.release]++
		}
	}
	return running, nil
}
