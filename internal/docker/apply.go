package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"platen/internal/report"
	"platen/internal/topology"
)

// How long the members of a tier may take. A database that was killed recovers from its log
// first; the others are there within a second.
const (
	patienceInit     = 60 * time.Second
	patienceDatabase = 3 * time.Minute
	patienceCache    = 60 * time.Second
)

// Apply brings everything but the web tasks to what the topology says, and starts again what
// was stopped, web tasks included. It may be interrupted anywhere and called again.
func (p *Place) Apply(ctx context.Context, t topology.Topology, sink report.Sink) error {
	if err := p.own(ctx, t); err != nil {
		return err
	}
	if err := p.clear(ctx, t, sink); err != nil {
		return err
	}
	project, err := Project(t, nil, nil)
	if err != nil {
		return err
	}
	absent, err := p.absentVolumes(ctx, t)
	if err != nil {
		return err
	}
	if err := p.create(ctx, t, project, sink); err != nil {
		return err
	}
	members, err := p.members(ctx, t)
	if err != nil {
		return err
	}
	services := byService(members)
	if err := p.fillVolumes(ctx, t, services[topology.ServiceInit], len(absent) > 0, sink); err != nil {
		return err
	}
	if err := p.startAll(ctx, t, services, sink); err != nil {
		return err
	}
	for _, w := range webtasks(members) {
		if err := p.mend(ctx, t, w, sink); err != nil {
			return err
		}
	}
	return nil
}

// clear takes away what stands in Compose's way or is no longer part of the environment.
func (p *Place) clear(ctx context.Context, t topology.Topology, sink report.Sink) error {
	members, err := p.members(ctx, t)
	if err != nil {
		return err
	}
	surplus, err := surplus(t, members)
	if err != nil {
		return err
	}
	for _, m := range surplus {
		sink.Step(m.tier()+"/"+m.service(), report.Running, "removing")
		if err := p.remove(ctx, m.ID); err != nil {
			return err
		}
		sink.Step(m.tier()+"/"+m.service(), report.Done, "removed")
	}
	for _, m := range members {
		// Compose would start a paused container, which the engine refuses.
		if m.State != container.StatePaused {
			continue
		}
		if _, err := p.api.ContainerUnpause(ctx, m.ID, client.ContainerUnpauseOptions{}); err != nil {
			return fmt.Errorf("unpause %s: %w", m.name(), err)
		}
	}
	return nil
}

// surplus are the containers that the topology no longer has; web tasks are the Fleet's.
func surplus(t topology.Topology, members []member) ([]member, error) {
	project, err := Project(t, nil, nil)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(members), func(m member) bool {
		_, wanted := project.Services[m.service()]
		return wanted || m.oneOff() || m.Labels[labelTask] != ""
	}), nil
}

// absentVolumes are the volumes that Compose is about to make: they are empty and root's.
func (p *Place) absentVolumes(ctx context.Context, t topology.Topology) ([]topology.Volume, error) {
	found, err := p.api.VolumeList(ctx, client.VolumeListOptions{Filters: projectFilter(t)})
	if err != nil {
		return nil, fmt.Errorf("list the volumes of %s: %w", t.Project, err)
	}
	there := map[string]bool{}
	for _, v := range found.Items {
		there[v.Name] = true
	}
	return slices.DeleteFunc(t.Volumes(), func(v topology.Volume) bool { return there[v.Name] }), nil
}

// fillVolumes runs the init job unless it has succeeded lately with this very configuration and
// every volume was there.
func (p *Place) fillVolumes(ctx context.Context, t topology.Topology, init member, again bool, sink report.Sink) error {
	const step = "secrets"
	why, err := p.initDue(ctx, init)
	if err != nil {
		return err
	}
	if why == "" && !again {
		return nil
	}
	sink.Step(step, report.Running, "")
	waitCtx, cancel := context.WithTimeout(ctx, patienceInit)
	defer cancel()
	// A run of an earlier, interrupted Apply may still be going: starting it again is no error,
	// and waiting for it is the same.
	ended := p.api.ContainerWait(waitCtx, init.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := p.api.ContainerStart(ctx, init.ID, client.ContainerStartOptions{}); err != nil {
		sink.Step(step, report.Failed, "")
		return fmt.Errorf("start the init job of %s: %w", t.Project, err)
	}
	select {
	case status := <-ended.Result:
		if status.StatusCode == 0 {
			sink.Step(step, report.Done, "")
			return nil
		}
		err = &failure{topology.ServiceInit, fmt.Sprintf("ended with status %d", status.StatusCode), p.lastLines(ctx, init.ID)}
	case err = <-ended.Error:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if waitCtx.Err() != nil {
			err = &failure{topology.ServiceInit, fmt.Sprintf("was not done after %s", patienceInit), p.lastLines(ctx, init.ID)}
		}
	}
	sink.Step(step, report.Failed, "")
	return fmt.Errorf("fill the volumes of %s: %w", t.Project, err)
}

// filled is how long a run of the init job is good for. Certificates end; the job makes those anew
// that do so within a year.
const filled = 30 * 24 * time.Hour

// initDue says why the init job has to run, or "": it has ended well, and not long ago.
func (p *Place) initDue(ctx context.Context, m member) (string, error) {
	if m.State != container.StateExited {
		return "it is " + string(m.State) + ": it will be started", nil
	}
	found, err := p.api.ContainerInspect(ctx, m.ID, client.ContainerInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", m.name(), err)
	}
	return due(found.Container.State, time.Now()), nil
}

func due(s *container.State, now time.Time) string {
	ended, err := time.Parse(time.RFC3339Nano, s.FinishedAt)
	switch {
	case s.ExitCode != 0:
		return fmt.Sprintf("it ended with status %d: it will run again", s.ExitCode)
	case err != nil || now.Sub(ended) > filled:
		return "it ran more than 30 days ago: it will look after the certificates"
	}
	return ""
}

// startAll starts what is filled and configured, and waits until databases and caches answer.
// The databases go first: they alone have work to do before they answer.
func (p *Place) startAll(ctx context.Context, t topology.Topology, services map[string]member, sink report.Sink) error {
	for _, node := range t.Database.Nodes {
		if err := p.start(ctx, t, services[node], sink); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range t.Database.Nodes {
		group.Go(func() error { return p.ready(ctx, services[node], "mariadb", patienceDatabase, sink) })
	}
	for _, node := range slices.Concat(t.Sessions.Nodes, t.Objects.Nodes) {
		group.Go(func() error {
			if err := p.start(ctx, t, services[node], sink); err != nil {
				return err
			}
			return p.ready(ctx, services[node], "valkey", patienceCache, sink)
		})
	}
	for _, name := range []string{topology.ServiceEndpoints, topology.ServiceEdge, topology.ServiceMail} {
		m, ok := services[name]
		if !ok || m.running() {
			continue
		}
		group.Go(func() error {
			if err := p.start(ctx, t, m, sink); err != nil {
				return err
			}
			sink.Step(m.tier()+"/"+name, report.Done, "started")
			return nil
		})
	}
	return group.Wait()
}

// ready waits until the agent in a container says that what it runs answers.
func (p *Place) ready(ctx context.Context, m member, probe string, patience time.Duration, sink report.Sink) error {
	step := m.tier() + "/" + m.service()
	err := p.await(ctx, m.service(), m.ID, patience, func(ctx context.Context) error { return p.healthy(ctx, m.ID, probe) })
	if err != nil {
		sink.Step(step, report.Failed, "")
		return fmt.Errorf("wait for the %s tier: %w", m.tier(), err)
	}
	if !m.running() { // when it was found, before it was started
		sink.Step(step, report.Done, "healthy")
	}
	return nil
}

// start starts a container unless it runs.
func (p *Place) start(ctx context.Context, t topology.Topology, m member, sink report.Sink) error {
	if m.running() {
		return nil
	}
	step := m.tier() + "/" + m.service()
	sink.Step(step, report.Running, "starting")
	if _, err := p.api.ContainerStart(ctx, m.ID, client.ContainerStartOptions{}); err != nil {
		sink.Step(step, report.Failed, "")
		if text := err.Error(); strings.Contains(text, "address already in use") || strings.Contains(text, "port is already allocated") {
			return p.portTaken(ctx, t, err)
		}
		return fmt.Errorf("start %s: %w", m.name(), err)
	}
	return nil
}

// remove ends a container, in its own time, and takes it away. It may be gone already.
func (p *Place) remove(ctx context.Context, id string) error {
	if _, err := p.api.ContainerStop(ctx, id, client.ContainerStopOptions{}); err != nil && !gone(err) {
		return fmt.Errorf("stop the container %.12s: %w", id, err)
	}
	return p.discard(ctx, id)
}

// discard takes a container away at once. It may be gone already.
func (p *Place) discard(ctx context.Context, id string) error {
	if _, err := p.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true}); err != nil && !gone(err) {
		return fmt.Errorf("remove the container %.12s: %w", id, err)
	}
	return nil
}
