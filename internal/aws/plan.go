package aws

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"platen/internal/report"
	"platen/internal/topology"
)

// Plan says what Apply would do, the loss of data in front. A stack whose upstream is not there
// yet cannot be asked of Terraform: it is shown from the topology, and its reason says so.
func (p *Place) Plan(ctx context.Context, t topology.Topology) (report.Plan, error) {
	return p.look(ctx, t, topology.StackRun{Look: true})
}

// Detail is Plan with Terraform's own text of each stack.
func (p *Place) Detail(ctx context.Context, t topology.Topology) (report.Plan, error) {
	return p.look(ctx, t, topology.StackRun{Look: true, Detail: true})
}

func (p *Place) look(ctx context.Context, t topology.Topology, run topology.StackRun) (report.Plan, error) {
	plan := report.Plan{}
	there, err := p.bucketIsThere(ctx)
	if err != nil {
		return plan, err
	}
	known := map[string]bool{}
	if there {
		pins, _, _, err := p.pins(ctx, t)
		if err == nil {
			err = movesCopies(t, pins)
		}
		if err != nil {
			return plan, err
		}
		for _, stack := range topology.Stacks {
			s, err := p.state(ctx, t, stack)
			if err != nil {
				return plan, err
			}
			known[stack] = len(missingOutputs(s, stack)) == 0
		}
		if slices.ContainsFunc(topology.Stacks, func(stack string) bool { return known[stack] || asked(known, stack) }) && known[topology.StackShared] {
			if err := p.write(ctx, t, pins, nil); err != nil {
				return plan, err
			}
		}
	}
	changes := map[string][]report.Change{}
	look := map[string][]string{}
	for _, stack := range topology.Stacks {
		if known[topology.StackShared] && asked(known, stack) {
			look[stack] = nil
		} else {
			changes[stack] = outline(t, stack)
		}
	}
	found := make(chan struct {
		stack string
		plan  report.StackPlan
	}, len(look))
	// They only look, so no stack waits for another.
	err = inOrder(ctx, look, func(ctx context.Context, stack string) error {
		s, err := p.terraform.Plan(ctx, stack, run)
		if err == nil {
			found <- struct {
				stack string
				plan  report.StackPlan
			}{stack, s}
		}
		return err
	})
	if err != nil {
		return plan, err
	}
	close(found)
	texts := map[string]string{}
	for f := range found {
		changes[f.stack] = describe(f.plan)
		texts[f.stack] = f.plan.Text
	}
	for _, stack := range topology.Stacks {
		plan.Changes = append(plan.Changes, changes[stack]...)
		if texts[stack] != "" {
			plan.Details = append(plan.Details, report.StackDetail{Stack: stack, Text: texts[stack]})
		}
	}
	slices.SortStableFunc(plan.Changes, func(a, b report.Change) int { return cmp.Compare(weight(a), weight(b)) })
	return plan, nil
}

// asked tells whether Terraform can plan a stack: all that it reads is there.
func asked(known map[string]bool, stack string) bool {
	return !slices.ContainsFunc(topology.StackNeeds[stack], func(u string) bool { return !known[u] })
}

// describe makes changes of a stack's plan a person's: with tiers, and drift in words.
func describe(s report.StackPlan) []report.Change {
	others := map[string]bool{}
	for _, d := range drifted(s) {
		others[d.Address] = true
	}
	lost := losesData(s)
	out := make([]report.Change, 0, len(s.Changes))
	for _, c := range s.Changes {
		c.Tier = tierOf(c.Stack, c.Address)
		c.Says, c.Harmless = say(c), c.Action == "replace" && isHarmless(c.Address)
		switch {
		case slices.ContainsFunc(lost, func(l report.Change) bool { return l.Address == c.Address }):
			c.LosesData = true
			c.Reason = strings.TrimPrefix(c.Reason+"; it "+fate(c)+": its data would be lost, so up does not do it", "; ")
		case others[c.Address]:
			c.Reason = "somebody else changed it: up takes that back"
		}
		out = append(out, c)
	}
	return out
}

// weight puts what is dangerous first.
func weight(c report.Change) int {
	switch {
	case c.LosesData:
		return 0
	case c.Action == "replace" && !c.Harmless:
		return 1
	case c.Action == "delete":
		return 2
	default:
		return 3
	}
}

// tiers of resources, by a part of their type and name; the first that fits holds.
var tiers = []struct{ part, tier string }{
	{"_lb", "edge"}, {"cloudfront", "edge"}, {"wafv2", "edge"}, {"acm_", "edge"}, {"route53", "edge"},
	{"sessions", "sessions"}, {"objects", "objects"},
	{"rds", "database"}, {"db_subnet", "database"}, {"readers", "database"}, {"database", "database"},
	{"efs", "files"}, {"media", "files"}, {"backup", "backups"}, {"elasticache", "caches"},
	{"secretsmanager", "secrets"}, {"kms", "secrets"}, {"ecr", "images"},
	{"autoscaling_group", "hosts"}, {"launch_template", "hosts"}, {"capacity_provider", "hosts"}, {"ecs_cluster", "hosts"}, {".hosts", "hosts"},
	{"ecs", "web"}, {"appautoscaling", "web"},
	{"cloudwatch_metric", "alarms"}, {"sns", "alarms"}, {"dashboard", "alarms"}, {"log", "logs"},
}

var stackTiers = map[string]string{
	topology.StackShared: "network", topology.StackCluster: "hosts", topology.StackData: "data", topology.StackServices: "web",
}

func tierOf(stack, address string) string {
	for _, t := range tiers {
		if strings.Contains(address, t.part) {
			return t.tier
		}
	}
	return stackTiers[stack]
}
