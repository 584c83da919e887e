package aws

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/topology"
)

// planned is a Terraform whose plans are given; it remembers what it was told to do.
type planned struct {
	plans map[string]report.StackPlan
	calls []string
}

func (p *planned) Prepare(context.Context, []topology.Stack, report.Sink) error { return nil }

func (p *planned) Plan(_ context.Context, stack string, _ topology.StackRun) (report.StackPlan, error) {
	return p.plans[stack], nil
}

func (p *planned) Apply(_ context.Context, stack string, _ report.Sink) error {
	p.calls = append(p.calls, "apply "+stack)
	return nil
}

func (p *planned) Discard(stack string) { p.calls = append(p.calls, "discard "+stack) }

func (p *planned) Forget(stack string) error {
	p.calls = append(p.calls, "forget "+stack)
	return nil
}

// Regression: a share that somebody deleted by hand came back empty with the next up, since its
// plan is one to create.
func TestWhatSomebodyDeletedIsNotMadeAnewEmpty(t *testing.T) {
	share := report.Change{Stack: "data", Address: "aws_efs_file_system.content", Action: "create"}
	plan := report.StackPlan{
		Differs: true,
		Drift:   []report.Change{{Stack: "data", Address: share.Address, Action: "delete"}, {Stack: "data", Address: "aws_efs_mount_target.content[\"a\"]", Action: "delete"}},
		Changes: []report.Change{{Stack: "data", Address: "aws_efs_mount_target.content[\"a\"]", Action: "create"}, share},
	}
	terraform := &planned{plans: map[string]report.StackPlan{"data": plan}}
	p := &Place{terraform: terraform}
	err := p.changeStack(t.Context(), "data", nil)
	var loss *DataLossError
	if !errors.As(err, &loss) || len(loss.Changes) != 1 || loss.Changes[0].Address != share.Address || !strings.Contains(err.Error(), "was deleted by somebody else and would be made anew, empty") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(report.HintOf(err), "-refresh-only") {
		t.Errorf("hint %q", report.HintOf(err))
	}
	if !slices.Equal(terraform.calls, []string{"discard data"}) {
		t.Errorf("calls %q", terraform.calls)
	}
	if shown := describe(plan); !strings.Contains(shown[1].Reason, "up does not do it") || strings.Contains(shown[0].Reason, "does not do it") {
		t.Errorf("shown %+v", shown)
	}
	// What is new, and what holds nothing, is made.
	plan.Drift = plan.Drift[1:]
	terraform.plans["data"] = plan
	if err := p.changeStack(t.Context(), "data", nil); err != nil || !slices.Contains(terraform.calls, "apply data") {
		t.Errorf("%v, calls %q", err, terraform.calls)
	}
}
