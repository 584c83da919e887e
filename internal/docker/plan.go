package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"platen/internal/report"
	"platen/internal/topology"
)

// Plan compares what is with what Apply would make. It is empty when Apply would do nothing.
func (p *Place) Plan(ctx context.Context, t topology.Topology) (report.Plan, error) {
	if err := p.own(ctx, t); err != nil {
		return report.Plan{}, err
	}
	project, err := Project(t, nil, nil)
	if err != nil {
		return report.Plan{}, err
	}
	plan := report.Plan{}
	change := func(kind, name, action, tier, reason string) {
		plan.Changes = append(plan.Changes, report.Change{
			Stack: "docker", Address: kind + "/" + name, Action: action, Tier: tier, Reason: reason,
		})
	}

	networks, err := p.api.NetworkList(ctx, client.NetworkListOptions{Filters: projectFilter(t)})
	if err != nil {
		return plan, fmt.Errorf("list the networks of %s: %w", t.Project, err)
	}
	for _, name := range sorted(project.Networks) {
		there := false
		for _, n := range networks.Items {
			there = there || n.Name == project.Networks[name].Name
		}
		if !there {
			change("network", name, "create", "network", "")
		}
	}
	absent, err := p.absentVolumes(ctx, t)
	if err != nil {
		return plan, err
	}
	for _, v := range absent {
		change("volume", volumeKey(t, v.Name), "create", v.Tier, "")
	}

	members, err := p.members(ctx, t)
	if err != nil {
		return plan, err
	}
	services := byService(members)
	for _, name := range sorted(project.Services) {
		s := project.Services[name]
		m, there := services[name]
		tier := s.Labels[labelTier]
		if !there {
			change("service", name, "create", tier, "")
			continue
		}
		reason, err := p.differs(ctx, s, m)
		if err != nil {
			return plan, err
		}
		if reason != "" {
			change("service", name, "replace", tier, reason)
			continue
		}
		switch {
		case name == topology.ServiceInit:
			if reason, err = p.initDue(ctx, m); err != nil {
				return plan, err
			}
		case !m.running():
			reason = "it is " + string(m.State) + ": it will be started"
		}
		if reason != "" {
			change("service", name, "update", tier, reason)
		}
	}
	surplus, err := surplus(t, members)
	if err != nil {
		return plan, err
	}
	for _, m := range surplus {
		change("service", m.service(), "delete", m.tier(), "no longer part of the site")
	}
	tasks := webtasks(members)
	for _, w := range tasks {
		for _, service := range taskServices(t, w.n) {
			if m, ok := w.containers[service]; ok && !m.running() {
				change("service", service, "update", "web", "it is "+string(m.State)+": it will be started")
			}
		}
	}
	unserved, err := p.unserved(ctx, t, tasks)
	for i, why := range unserved {
		if why != nil {
			change("service", t.WebTask(tasks[i].n), "update", "web", "it does not serve: "+why.Error())
		}
	}
	return plan, err
}

// unserved says of each task why it gets no visitors though both containers run; nil of one that
// does, and of one whose containers do not run.
func (p *Place) unserved(ctx context.Context, t topology.Topology, tasks []webtask) ([]error, error) {
	why := make([]error, len(tasks))
	var group errgroup.Group
	for i, w := range tasks {
		group.Go(func() error {
			if w.whole(t) {
				why[i] = p.serves(ctx, t, w)
			}
			return ctx.Err()
		})
	}
	return why, group.Wait()
}

// differs says in what a container differs from its service, or "". Compose keeps a hash of the
// configuration with the container; the image behind a reference may have changed as well.
func (p *Place) differs(ctx context.Context, s types.ServiceConfig, m member) (string, error) {
	hash, err := compose.ServiceHash(s)
	if err != nil {
		return "", fmt.Errorf("hash the configuration of %s: %w", s.Name, err)
	}
	if m.Image != s.Image && !strings.HasPrefix(m.Image, "sha256:") {
		return "another image", nil
	}
	if hash != m.Labels[api.ConfigHashLabel] {
		return "its configuration changed", nil
	}
	found, err := p.api.ImageInspect(ctx, s.Image)
	if gone(err) {
		return "", nil // what runs, runs; Publish brings it when it is needed
	}
	if err != nil {
		return "", fmt.Errorf("look at the image %s: %w", s.Image, err)
	}
	if found.ID != m.ImageID {
		return "another image", nil
	}
	return "", nil
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
