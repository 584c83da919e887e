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

// The groups in front of all tiers.
const (
	groupLoses    = "loses data: up does not do it"
	groupReplaces = "replaced or removed"
)

// groupOf is the heading that a change stands under. A further revision of a task template replaces
// nothing that runs.
func groupOf(c report.Change) string {
	switch {
	case c.LosesData:
		return groupLoses
	case c.Action == "delete", c.Action == "replace" && !c.Harmless:
		return groupReplaces
	default:
		return c.Tier
	}
}

// signs of actions, as Terraform has them.
var signs = map[string]string{"create": "+", "delete": "-", "replace": "±", "update": "~"}

// changesByTier prints changes of several stacks as a person thinks of them: what loses data first,
// then what is replaced or removed, both in red, and the rest tier by tier, in the order in which
// the plan has them.
func (a *app) changesByTier(changes []report.Change) {
	order := []string{groupLoses, groupReplaces}
	groups := map[string][]report.Change{}
	for _, c := range changes {
		group := groupOf(c)
		if !slices.Contains(order, group) {
			order = append(order, group)
		}
		groups[group] = append(groups[group], c)
	}
	if len(changes) > 0 && !slices.ContainsFunc(changes, func(c report.Change) bool { return !c.FromTopology }) {
		a.printf("%s\n", a.style.dim("Nothing is there yet, so Terraform cannot be asked: this is from the topology."))
	}
	for _, group := range order {
		if len(groups[group]) == 0 {
			continue
		}
		red := group == groupLoses || group == groupReplaces
		if red {
			a.printf("%s\n", a.style.bad(a.style.bold(group)))
		} else {
			a.printf("%s\n", a.style.bold(group))
		}
		for _, c := range groups[group] {
			color := c.Action
			if c.Harmless {
				color = "update"
			}
			line := a.paintAction(color, signs[c.Action]) + " " + said(c)
			if red {
				line = a.style.bad(signs[c.Action] + " " + said(c))
			}
			note := c.Address
			switch {
			case c.FromTopology:
				note = "from the topology"
			case c.Reason != "":
				note += ": " + c.Reason
			}
			a.printf("  %s  %s\n", line, a.style.dim("("+note+")"))
		}
	}
}
