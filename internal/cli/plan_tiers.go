package cli

import (
	"slices"

	"platen/internal/report"
	"platen/internal/topology"
)

// manyStacks tells whether changes are of Terraform's stacks: then there may be a hundred.
func manyStacks(changes []report.Change) bool {
	return slices.ContainsFunc(changes, func(c report.Change) bool { return slices.Contains(topology.Stacks, c.Stack) })
}

// changesByTier prints changes of several stacks as a person thinks of them: what is replaced or
// removed first, in red, and the rest tier by tier, in the order in which the plan has them.
func (a *app) changesByTier(changes []report.Change) {
	var order []string
	tiers := map[string][]report.Change{}
	for _, c := range changes {
		tier := c.Tier
		if c.Action == "replace" || c.Action == "delete" {
			tier = "replaced or removed"
		}
		if !slices.Contains(order, tier) {
			order = append(order, tier)
		}
		tiers[tier] = append(tiers[tier], c)
	}
	for _, tier := range order {
		a.printf("%s\n", a.style.bold(tier))
		for _, c := range tiers[tier] {
			a.printf("  %s %-44s %s\n", a.action(c.Action), c.Address, a.style.dim(c.Reason))
		}
	}
}
