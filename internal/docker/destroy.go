package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"platen/internal/report"
	"platen/internal/topology"
)

// Destroy removes the environment's containers and networks and, unless kept, its volumes: all
// that carries its label, whatever the topology says today. It returns the volumes it left.
func (p *Place) Destroy(ctx context.Context, t topology.Topology, keep report.Keep, sink report.Sink) ([]report.Kept, error) {
	if err := p.own(ctx, t); err != nil {
		return nil, err
	}
	members, err := p.members(ctx, t)
	if err != nil {
		return nil, err
	}
	// The edge first: from then on nobody's request is cut in the middle of the site.
	ends := func(m member) bool { return m.service() == topology.ServiceEdge }
	rest := func(m member) bool { return !ends(m) }
	for _, wanted := range []func(member) bool{ends, rest} {
		group, groupCtx := errgroup.WithContext(ctx)
		for _, m := range members {
			if !wanted(m) {
				continue
			}
			group.Go(func() error {
				step := m.tier() + "/" + m.service()
				sink.Step(step, report.Running, "removing")
				end := p.remove // in its own time: it writes what it holds
				if m.Labels[labelTask] != "" || m.oneOff() {
					end = p.discard // nothing asks it any more, and it holds nothing
				}
				if err := end(groupCtx, m.ID); err != nil {
					return err
				}
				sink.Step(step, report.Done, "removed")
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
	}
	networks, err := p.api.NetworkList(ctx, client.NetworkListOptions{Filters: projectFilter(t)})
	if err != nil {
		return nil, fmt.Errorf("list the networks of %s: %w", t.Project, err)
	}
	for _, n := range networks.Items {
		if _, err := p.api.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !gone(err) {
			return nil, fmt.Errorf("remove the network %s: %w", n.Name, err)
		}
		sink.Step("networks/"+n.Name, report.Done, "removed")
	}
	return p.removeVolumes(ctx, t, keep, sink)
}

func (p *Place) removeVolumes(ctx context.Context, t topology.Topology, keep report.Keep, sink report.Sink) ([]report.Kept, error) {
	volumes, err := p.api.VolumeList(ctx, client.VolumeListOptions{Filters: projectFilter(t)})
	if err != nil {
		return nil, fmt.Errorf("list the volumes of %s: %w", t.Project, err)
	}
	var kept []report.Kept
	for _, v := range volumes.Items {
		// A task's volume is memory and was empty with its last container.
		if keep.Data && v.Options["type"] != "tmpfs" {
			kept = append(kept, report.Kept{Name: v.Name, Why: "data of the " + v.Labels[labelTier] + " tier; platen down --volumes removes it"})
			continue
		}
		if _, err := p.api.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{}); err != nil && !gone(err) {
			return kept, fmt.Errorf("remove the volume %s: %w", v.Name, err)
		}
		sink.Step("volumes/"+v.Name, report.Done, "removed")
	}
	return kept, nil
}
