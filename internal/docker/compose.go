package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"platen/internal/report"
	"platen/internal/topology"
)

// create lets Compose make what is missing of the project and make anew what differs, without
// starting any of it: the order of starting and the waiting are ours. Containers of the
// environment that the project does not name stay as they are.
//
// It is not interrupted by the end of ctx, but ends before the next step is begun: a request
// that its client gives up goes on in the engine, and the next run would find half of it and
// make the other half twice. It takes about a second.
func (p *Place) create(ctx context.Context, t topology.Topology, project *types.Project, sink report.Sink) error {
	stamp(project)
	whole := context.WithoutCancel(ctx)
	service, err := compose.NewComposeService(p.cli,
		// Compose asks before it makes a volume anew, empty. Never.
		compose.WithPrompt(func(string, bool) (bool, error) { return false, nil }),
		compose.WithEventProcessor(&narrator{project: project, sink: sink}),
	)
	if err != nil {
		return fmt.Errorf("prepare the Compose library: %w", err)
	}
	// The requests of a Platen that was killed may still be going on.
	const attempts = 10
	for attempt := range attempts {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err = p.uniqueNetworks(whole, t); err != nil {
			return err
		}
		err = service.Create(whole, project, api.CreateOptions{
			IgnoreOrphans:        true,
			Recreate:             api.RecreateDiverged,
			RecreateDependencies: api.RecreateDiverged,
			QuietPull:            true,
		})
		if err == nil {
			err = p.uniqueNetworks(whole, t)
		}
		again := err != nil && overtaken(err)
		if err == nil {
			again, err = p.removeHalfMade(whole, t, project)
		}
		if !again || attempt == attempts-1 {
			break
		}
		if err := pause(ctx, pace); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("make the containers of %s: %w", t.Project, err)
	}
	return ctx.Err()
}

// removeHalfMade takes away containers that never started and lack a network: the engine connects
// one after the other, and a Platen that was killed between two leaves a container that Compose
// takes for whole. It tells whether there was one.
func (p *Place) removeHalfMade(ctx context.Context, t topology.Topology, project *types.Project) (found bool, err error) {
	members, err := p.members(ctx, t)
	if err != nil {
		return false, err
	}
	for _, m := range members {
		if m.State != container.StateCreated || m.oneOff() || m.NetworkSettings == nil {
			continue
		}
		for key := range project.Services[m.service()].Networks {
			if _, connected := m.NetworkSettings.Networks[project.Networks[key].Name]; connected {
				continue
			}
			if err := p.remove(ctx, m.ID); err != nil {
				return found, err
			}
			found = true
			break
		}
	}
	return found, nil
}

// overtaken tells that something was made between Compose's look and its deed.
func overtaken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "is already in use by container") || strings.Contains(text, "is ambiguous")
}

// uniqueNetworks removes networks that bear the name of another: the engine lets two requests
// make the same, and then connects nothing to either.
func (p *Place) uniqueNetworks(ctx context.Context, t topology.Topology) error {
	found, err := p.api.NetworkList(ctx, client.NetworkListOptions{Filters: projectFilter(t)})
	if err != nil {
		return fmt.Errorf("list the networks of %s: %w", t.Project, err)
	}
	byName := map[string][]network.Summary{}
	for _, n := range found.Items {
		byName[n.Name] = append(byName[n.Name], n)
	}
	for _, same := range byName {
		if len(same) < 2 {
			continue
		}
		members, err := p.members(ctx, t)
		if err != nil {
			return err
		}
		used := map[string]bool{}
		for _, m := range members {
			for _, endpoint := range m.NetworkSettings.Networks {
				used[endpoint.NetworkID] = true
			}
		}
		slices.SortFunc(same, func(a, b network.Summary) int {
			if used[a.ID] != used[b.ID] {
				if used[a.ID] {
					return -1
				}
				return 1
			}
			return a.Created.Compare(b.Created)
		})
		for _, n := range same[1:] {
			if _, err := p.api.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !gone(err) {
				return fmt.Errorf("remove the second network named %s: %w", n.Name, err)
			}
		}
	}
	return nil
}

// narrator turns Compose's events into steps. Its Done says the opposite of success; the
// returned error is the truth.
type narrator struct {
	project *types.Project
	sink    report.Sink
	mu      sync.Mutex
	said    map[string]bool
}

func (n *narrator) Start(context.Context, string) {}
func (n *narrator) Done(string, bool)             {}

func (n *narrator) On(events ...api.Resource) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range events {
		if e.Status != api.Working && e.Status != api.Done {
			continue
		}
		kind, name, _ := strings.Cut(e.ID, " ")
		name = strings.TrimPrefix(name, n.project.Name+"-")
		text := strings.ToLower(e.Text)
		if n.said[name+text] || text == "running" {
			continue
		}
		if n.said == nil {
			n.said = map[string]bool{}
		}
		n.said[name+text] = true
		switch kind {
		case "Container":
			n.sink.Step(step(n.project.Services[name]), report.Running, text)
		case "Network", "Volume":
			if e.Status == api.Done {
				n.sink.Step(strings.ToLower(kind)+"s/"+name, report.Done, text)
			}
		}
	}
}

// step is the path of a service in the tree of steps: tier/member, and a container of a web
// task below its task.
func step(s types.ServiceConfig) string {
	tier := s.Labels[labelTier]
	if n := s.Labels[labelTask]; n != "" {
		task := "web-" + n
		return tier + "/" + task + "/" + strings.TrimPrefix(s.Name, task+"-")
	}
	return tier + "/" + s.Name
}
