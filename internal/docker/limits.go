package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"

	"platen/internal/capacity"
	"platen/internal/topology"
)

// Limits are the engine's memory and processors. What other containers use of them comes and
// goes, and is not taken off.
func (p *Place) Limits(ctx context.Context, _ topology.Topology) (capacity.Limits, error) {
	found, err := p.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return capacity.Limits{}, fmt.Errorf("ask the engine for its memory: %w", err)
	}
	return capacity.Limits{Memory: found.Info.MemTotal, CPU: found.Info.NCPU}, nil
}
