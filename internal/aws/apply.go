package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"platen/internal/report"
	"platen/internal/topology"
)

// Apply brings the four stacks to what the topology says: each as soon as those it needs are
// whole, side by side where nothing is needed. It goes on after a kill.
func (p *Place) Apply(ctx context.Context, t topology.Topology, sink report.Sink) error {
	if err := p.ensureBucket(ctx); err != nil {
		return err
	}
	pins, err := p.keepPins(ctx, t)
	if err != nil {
		return err
	}
	if err := movesCopies(t, pins); err != nil {
		return err
	}
	if err := p.prepare(ctx, t, pins, sink); err != nil {
		return err
	}
	if topology.Trunks(t.AWS.Hosts.Type) {
		if err := p.trunk(ctx, sink); err != nil {
			return err
		}
	}
	return inOrder(ctx, topology.StackNeeds, func(ctx context.Context, stack string) error { return p.applyStack(ctx, t, stack, sink) })
}

// prepare writes the stacks with the environment's variables and initialises them.
func (p *Place) prepare(ctx context.Context, t topology.Topology, pins topology.Pins, sink report.Sink) error {
	if err := p.prepareLocks(ctx, t); err != nil {
		return err
	}
	return p.write(ctx, t, pins, sink)
}

func (p *Place) write(ctx context.Context, t topology.Topology, pins topology.Pins, sink report.Sink) error {
	variables, err := t.Variables(pins)
	if err != nil {
		return err
	}
	stacks, err := t.RenderStacks(p.stacks, variables)
	if err != nil {
		return err
	}
	return p.terraform.Prepare(ctx, stacks, sink)
}

func (p *Place) applyStack(ctx context.Context, t topology.Topology, stack string, sink report.Sink) error {
	sink.Step(stack, report.Running, "planning")
	for _, upstream := range topology.StackNeeds[stack] {
		if _, err := p.whole(ctx, t, upstream); err != nil {
			sink.Step(stack, report.Failed, "")
			return fmt.Errorf("apply the stack %s: %w", stack, err)
		}
	}
	err := p.changeStack(ctx, stack, sink)
	if err == nil && stack == topology.StackData {
		err = p.fillData(ctx, t, sink)
	}
	if err != nil {
		sink.Step(stack, report.Failed, "")
	}
	return err
}

func (p *Place) changeStack(ctx context.Context, stack string, sink report.Sink) error {
	plan, err := p.terraform.Plan(ctx, stack, topology.StackRun{})
	if err != nil {
		return err
	}
	for _, d := range drifted(plan) {
		sink.Log(stack, d.Address+" was changed by somebody else since the last up ("+d.Action+")")
	}
	if losing := losesData(plan); len(losing) > 0 {
		p.terraform.Discard(stack)
		return &DataLossError{Stack: stack, Changes: losing}
	}
	if !plan.Differs {
		sink.Step(stack, report.Same, "")
		return nil
	}
	sink.Step(stack, report.Running, counted(len(plan.Changes)))
	if err := p.terraform.Apply(ctx, stack, sink); err != nil {
		return err
	}
	sink.Step(stack, report.Done, counted(len(plan.Changes)))
	return nil
}

// drifted are the changes by somebody else that the plan would take back. Terraform also reports
// what AWS itself fills in later, which nobody changed.
func drifted(plan report.StackPlan) []report.Change {
	return slices.DeleteFunc(slices.Clone(plan.Drift), func(d report.Change) bool {
		return !slices.ContainsFunc(plan.Changes, func(c report.Change) bool { return c.Address == d.Address })
	})
}

func counted(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}

// holders are the types of resources that hold what people made, or open it.
var holders = []string{
	"aws_rds_cluster", "aws_efs_file_system", "aws_s3_bucket", "aws_backup_vault", "aws_kms_key",
	"aws_secretsmanager_secret", "aws_elasticache_replication_group",
}

// holdsData tells whether losing the resource loses data. The object cache may be lost, and the
// balancer's logs leave with it.
func holdsData(address string) bool {
	kind, name := kindOf(address)
	switch kind {
	case "aws_elasticache_replication_group":
		return strings.HasPrefix(name, "sessions")
	case "aws_s3_bucket":
		return strings.HasPrefix(name, "media")
	}
	return slices.Contains(holders, kind)
}

// kindOf takes an address apart: type and name, without modules and the instance's key.
func kindOf(address string) (kind, name string) {
	address, _, _ = strings.Cut(address, "[")
	parts := strings.Split(address, ".")
	if len(parts) < 2 {
		return address, ""
	}
	return parts[len(parts)-2], parts[len(parts)-1]
}

// carriers are the types of resources that data stand in. Nothing is in them, but replacing one
// takes apart what is: the stack shared comes before data, whose own plan would refuse too late.
var carriers = []string{"aws_vpc", "aws_subnet"}

func carriesData(address string) bool {
	kind, _ := kindOf(address)
	return slices.Contains(carriers, kind)
}

// losesData are the changes of a plan that would lose what people made: what holds data replaced
// or removed, the network replaced under it, and what somebody deleted by hand made anew, empty.
func losesData(s report.StackPlan) []report.Change {
	gone := map[string]bool{}
	for _, d := range s.Drift {
		gone[d.Address] = d.Action == "delete"
	}
	var losing []report.Change
	for _, c := range s.Changes {
		switch c.Action {
		case "replace", "delete":
			if holdsData(c.Address) || carriesData(c.Address) {
				losing = append(losing, c)
			}
		case "create":
			if gone[c.Address] && holdsData(c.Address) {
				losing = append(losing, c)
			}
		}
	}
	return losing
}

// DataLossError is a change that up does not make: it would lose what people made.
type DataLossError struct {
	Stack   string
	Changes []report.Change
}

func (e *DataLossError) Error() string {
	var lines []string
	for _, c := range e.Changes {
		lines = append(lines, c.Address+" "+fate(c))
	}
	return fmt.Sprintf("nothing of the stack %s was changed, since data would be lost: %s", e.Stack, strings.Join(lines, "; "))
}

// fate says what would become of a resource that losesData names.
func fate(c report.Change) string {
	switch {
	case c.Action == "create":
		return "was deleted by somebody else and would be made anew, empty"
	case carriesData(c.Address):
		return "would be taken away under the data that stand in it"
	case c.Action == "replace":
		return "would be replaced by an empty one"
	default:
		return "would be removed"
	}
}

// Hint implements the interface of report.HintOf.
func (e *DataLossError) Hint() string {
	if slices.ContainsFunc(e.Changes, func(c report.Change) bool { return c.Action == "create" }) {
		return "restore it, if AWS still can (keys and secrets for seven days); to go on without what was in it: platen render, then in that stack's folder terraform apply -refresh-only, then platen up"
	}
	return "take that edit of platen.yaml back (platen plan shows it), or make a new environment beside this one and move the data"
}

// trunk asks ECS to give instances many task addresses. The setting is the account's: instances
// that start later follow it, and it stays when the environment goes.
func (p *Place) trunk(ctx context.Context, sink report.Sink) error {
	out, err := p.ecs.ListAccountSettings(ctx, &ecs.ListAccountSettingsInput{Name: ecstypes.SettingNameAwsvpcTrunking, EffectiveSettings: true})
	if err != nil {
		return fmt.Errorf("see whether ECS trunks network interfaces: %w", err)
	}
	for _, s := range out.Settings {
		if s.Name == ecstypes.SettingNameAwsvpcTrunking && aws.ToString(s.Value) == "enabled" {
			return nil
		}
	}
	sink.Log("", "the account's setting awsvpcTrunking is switched on, for more tasks an instance; down leaves it")
	_, err = p.ecs.PutAccountSettingDefault(ctx, &ecs.PutAccountSettingDefaultInput{Name: ecstypes.SettingNameAwsvpcTrunking, Value: aws.String("enabled")})
	if err != nil {
		return fmt.Errorf("switch on trunking of network interfaces in ECS: %w", err)
	}
	return nil
}

// inOrder does each stack as soon as all that it needs is done, side by side otherwise. After a
// failure what depends on it is left, the rest is finished, and the error says both.
func inOrder(ctx context.Context, needs map[string][]string, do func(context.Context, string) error) error {
	var (
		mu     sync.Mutex
		wg     sync.WaitGroup
		failed = map[string]error{}
		left   = map[string]bool{}
		ended  = map[string]chan struct{}{}
	)
	for stack := range needs {
		ended[stack] = make(chan struct{})
	}
	for stack, upstreams := range needs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer close(ended[stack])
			for _, upstream := range upstreams {
				<-ended[upstream]
			}
			mu.Lock()
			skip := ctx.Err() != nil || slices.ContainsFunc(upstreams, func(u string) bool { return failed[u] != nil || left[u] })
			left[stack] = skip
			mu.Unlock()
			if skip {
				return
			}
			err := do(ctx, stack)
			mu.Lock()
			failed[stack] = err
			mu.Unlock()
		}()
	}
	wg.Wait()
	var errs []error
	var done, waiting []string
	for _, stack := range topology.Stacks {
		switch {
		case left[stack]:
			waiting = append(waiting, stack)
		case failed[stack] != nil:
			errs = append(errs, failed[stack])
		default:
			done = append(done, stack)
		}
	}
	if len(errs) == 0 && len(waiting) == 0 {
		return nil
	}
	if len(errs) == 0 {
		return context.Cause(ctx)
	}
	return &partError{err: errors.Join(errs...), done: done, waiting: waiting}
}

// partError is a failure of some stacks, and says how far the others came.
type partError struct {
	err           error
	done, waiting []string
}

func (e *partError) Error() string {
	text := e.err.Error()
	if len(e.done) > 0 {
		text += "\n  done: " + strings.Join(e.done, ", ")
	}
	if len(e.waiting) > 0 {
		text += "\n  not begun: " + strings.Join(e.waiting, ", ")
	}
	return text
}

func (e *partError) Unwrap() error { return e.err }
