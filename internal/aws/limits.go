package aws

import (
	"context"
	"fmt"

	"platen/internal/capacity"
	"platen/internal/report"
	"platen/internal/topology"
)

// Limits asks EC2 what an instance of the hosts' type has. The other limits are in tables of
// package capacity.
func (p *Place) Limits(ctx context.Context, t topology.Topology) (capacity.Limits, error) {
	kind := t.AWS.Hosts.Type
	types, err := p.ec2.types(ctx, kind)
	if is(err, "InvalidInstanceType") || err == nil && len(types) == 0 {
		return capacity.Limits{}, report.Hint(fmt.Errorf("hosts.type: EC2 has no %s in %s", kind, t.AWS.Region), "take one such as t4g.medium or m7g.large")
	}
	if err != nil {
		return capacity.Limits{}, fmt.Errorf("ask EC2 what a %s has: %w", kind, err)
	}
	host := &capacity.Host{Type: kind, CPU: types[0].CPUs, Memory: types[0].MemoryMiB << 20, Interfaces: types[0].Interfaces}
	return capacity.Limits{Host: host}, nil
}
