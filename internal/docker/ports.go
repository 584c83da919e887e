package docker

import (
	"context"
	"fmt"
	"strconv"

	"github.com/moby/moby/client"

	"platen/internal/topology"
)

// Published is the port of the environment's edge, running or stopped; 0 = there is none.
func (p *Place) Published(ctx context.Context, t topology.Topology) (int, error) {
	members, err := p.members(ctx, t)
	if err != nil {
		return 0, err
	}
	edge, ok := byService(members)[topology.ServiceEdge]
	if !ok {
		return 0, nil
	}
	// The list tells the ports of what runs; the configuration those of what is stopped too.
	found, err := p.api.ContainerInspect(ctx, edge.ID, client.ContainerInspectOptions{})
	if gone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at %s: %w", edge.name(), err)
	}
	for _, bindings := range found.Container.HostConfig.PortBindings {
		for _, b := range bindings {
			if port, err := strconv.Atoi(b.HostPort); err == nil {
				return port, nil
			}
		}
	}
	return 0, nil
}

// Listener names who listens on a port of this machine. A container's port is held by the
// engine's own proxy: then it is the container.
func (p *Place) Listener(ctx context.Context, port int) string {
	publishing, err := p.api.ContainerList(ctx, client.ContainerListOptions{
		Filters: client.Filters{}.Add("publish", strconv.Itoa(port)),
	})
	if err == nil && len(publishing.Items) > 0 {
		return "the container " + member{publishing.Items[0]}.name()
	}
	return listener(port)
}
