package engine

import (
	"context"
	"fmt"

	"platen/internal/capacity"
	"platen/internal/release"
	"platen/internal/report"
)

// PlanOptions are plan's.
type PlanOptions struct {
	Site
	Detail bool // with the words of whoever makes the changes, where he has some
}

// Planned is what up would do, and whether the result fits its place.
type Planned struct {
	report.Plan
	Verdict capacity.Verdict `json:"verdict"`
}

// Plan says what up would do. It builds the images, since their content decides, and touches
// nothing of the environment.
func (e *Engine) Plan(ctx context.Context, o PlanOptions, sink report.Sink) (Planned, error) {
	steps := &steps{sink: sink, verb: "plan"}
	p, err := e.plan(ctx, o, steps)
	return p, steps.interrupted(ctx, err)
}

func (e *Engine) plan(ctx context.Context, o PlanOptions, steps *steps) (p Planned, err error) {
	p.Changes = []report.Change{}
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return p, err
	}
	steps.assumed(env)
	if env.state.Tasks != 0 { // up takes an override back
		env.state.Tasks = 0
		if err := env.work(); err != nil {
			return p, err
		}
	}
	limits, err := env.place.Target.Limits(ctx, env.topology)
	if err != nil {
		return p, err
	}
	p.Verdict = capacity.Check(env.topology, limits)
	if p.Verdict.Reasons == nil {
		p.Verdict.Reasons = []string{}
	}
	if env.place.Fleet == nil {
		return e.planInfrastructure(ctx, env, o, p)
	}
	err = steps.do("images", func() error {
		images, err := e.Build(ctx, BuildRequest{Spec: env.spec, Folder: env.folder, Dry: true}, steps.sink)
		if err != nil {
			return err
		}
		env.topology.Images = References(env.topology, images)
		return nil
	})
	if err != nil {
		return p, err
	}
	t := env.topology
	plan, err := env.place.Target.Plan(ctx, t)
	if err != nil {
		return p, fmt.Errorf("compare what is with what should be: %w", err)
	}
	p.Changes = append(p.Changes, plan.Changes...)
	running, err := env.place.Fleet.Running(ctx, t)
	if err != nil {
		return p, fmt.Errorf("see which release runs: %w", err)
	}
	r := release.New(webImages(t.Images), t.Web.Config, e.Who(), e.Now())
	if serves(running, r.ID, t.Web.Tasks.Min) {
		return p, nil
	}
	change := report.Change{Stack: "release", Address: "release/" + r.ID, Action: "update", Tier: "web",
		Reason: fmt.Sprintf("%d web tasks of this release", t.Web.Tasks.Min)}
	if len(running) == 0 {
		change.Action = "create"
	}
	p.Changes = append(p.Changes, change)
	return p, nil
}
