package terraform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-exec/tfexec"

	"platen/internal/report"
	"platen/internal/topology"
)

// planFile is where a plan lies between plan and apply. It is removed with the apply, or at once when
// there is nothing to apply.
const planFile = "platen.tfplan"

// lookFile is the plan that is only looked at.
const lookFile = "platen.look.tfplan"

// Plan compares a prepared stack with what is there. Unless it is only a look, the plan is kept
// for Apply.
func (r *Runner) Plan(ctx context.Context, stack string, o topology.StackRun) (report.StackPlan, error) {
	tf, err := r.terraform(stack)
	if err != nil {
		return report.StackPlan{}, err
	}
	s := &stream{stack: stack}
	options := []tfexec.PlanOption{tfexec.VarFile(topology.VariablesFile(r.Workspace))}
	if o.Look {
		// Kept while it is read: only the file says what changes in a resource.
		defer func() { _ = os.Remove(filepath.Join(r.Folder, stack, lookFile)) }()
		options = append(options, tfexec.Lock(false), tfexec.Out(lookFile))
	} else {
		options = append(options, tfexec.Out(planFile))
	}
	if o.Destroy {
		options = append(options, tfexec.Destroy(true))
	}
	for _, target := range o.Targets {
		options = append(options, tfexec.Target(target))
	}
	var differs bool
	run := func() error {
		differs, err = tf.PlanJSON(ctx, s, options...)
		return err
	}
	if o.Look {
		err = run()
	} else {
		err = r.locked(ctx, tf, stack, s, run)
	}
	if err != nil {
		return report.StackPlan{}, r.failed(ctx, "plan", stack, err, s)
	}
	if !differs {
		r.Discard(stack)
	}
	found := report.StackPlan{Changes: s.changes, Drift: s.drift, Differs: differs}
	// Only the plan's file says what changes in a resource.
	if len(found.Changes) > 0 && (o.Look || len(found.Drift) > 0) {
		file := planFile
		if o.Look {
			file = lookFile
		}
		if err := r.read(ctx, tf, file, o.Look && o.Detail, &found); err != nil {
			return report.StackPlan{}, r.failed(ctx, "read the plan of", stack, err, nil)
		}
	}
	return found, nil
}

// read takes out of the plan's file what changes in each resource, and of the drift what the plan
// takes back: Terraform also reports what AWS itself filled in since, which nobody changed.
func (r *Runner) read(ctx context.Context, tf *tfexec.Terraform, file string, detail bool, found *report.StackPlan) error {
	plan, err := tf.ShowPlanFile(ctx, file)
	if err != nil {
		return err
	}
	at := map[string][]report.Attribute{}
	for _, c := range plan.ResourceChanges {
		at[c.Address] = attributes(c.Change)
	}
	for i, c := range found.Changes {
		found.Changes[i].Attributes = at[c.Address]
	}
	strayed := map[string][]report.Attribute{}
	for _, d := range plan.ResourceDrift {
		strayed[d.Address] = attributes(d.Change)
	}
	found.Drift = slices.DeleteFunc(found.Drift, func(d report.Change) bool {
		return d.Action == "update" && !takesBack(at[d.Address], strayed[d.Address])
	})
	if detail {
		found.Text, err = tf.ShowPlanFileRaw(ctx, file)
	}
	return err
}

// Discard removes a plan that nobody applies.
func (r *Runner) Discard(stack string) { _ = os.Remove(filepath.Join(r.Folder, stack, planFile)) }

// takesBack tells whether a plan alters what has strayed.
func takesBack(planned, strayed []report.Attribute) bool {
	return slices.ContainsFunc(strayed, func(s report.Attribute) bool {
		return slices.ContainsFunc(planned, func(p report.Attribute) bool { return p.Name == s.Name && p.Old == s.New })
	})
}

// Apply does what Plan planned, and narrates it. When it fails or is interrupted, what was
// made is in the state, and the next Plan goes on from there.
func (r *Runner) Apply(ctx context.Context, stack string, sink report.Sink) error {
	defer r.Discard(stack)
	tf, err := r.terraform(stack)
	if err != nil {
		return err
	}
	s := &stream{stack: stack, sink: sink}
	err = r.locked(ctx, tf, stack, s, func() error { return r.apply(ctx, stack, s) })
	if err != nil {
		return r.failed(ctx, "apply", stack, err, s)
	}
	return nil
}

// failed says what Terraform said. Its own error is "exit status 1"; the reason is in the stream.
func (r *Runner) failed(ctx context.Context, verb, stack string, err error, s *stream) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s the stack %s: %w", verb, stack, context.Cause(ctx))
	}
	var held *report.HeldError
	if errors.As(err, &held) {
		return err
	}
	said := strings.TrimSpace(err.Error())
	if s != nil && len(s.errors) > 0 {
		var lines []string
		for _, d := range s.errors {
			lines = append(lines, d.String())
		}
		said = strings.Join(lines, "\n  ")
	}
	failure := &Error{Verb: verb, Stack: stack, Said: said}
	if s != nil {
		failure.Diagnostics = s.errors
	}
	return failure
}

// AWS' codes, in small letters (each service's "Common errors"). A quota's end in LimitExceeded,
// LimitExceededException or QuotaExceeded, or begin with TooMany, as TooManyBuckets does.
var (
	pause = regexp.MustCompile(`requestlimitexceeded|request limit exceeded|toomanyrequests(exception)?|throttl(ing|ed)[a-z]*|requestthrottled[a-z]*|rate exceeded|slowdown|provisionedthroughputexceeded[a-z]*`)
	quota = regexp.MustCompile(`limitexceeded|limit exceeded|quotaexceeded|quota|\btoomany[a-z]+`)
)

// Error is a Terraform that failed.
type Error struct {
	Verb, Stack, Said string
	Diagnostics       []Diagnostic
}

func (e *Error) Error() string { return fmt.Sprintf("%s the stack %s: %s", e.Verb, e.Stack, e.Said) }

// Hint implements the interface of report.HintOf.
func (e *Error) Hint() string {
	said := strings.ToLower(e.Said)
	// What asks for a pause is worded as a limit, too.
	rest := pause.ReplaceAllString(said, "")
	switch {
	case quota.MatchString(rest):
		return "the account has no room for it: raise that quota in the AWS console (Service Quotas), then run the same command again: it goes on"
	case rest != said:
		return "AWS asked for a pause, and Terraform's own did not do: wait some minutes, then run the same command again: it goes on"
	case strings.Contains(said, "no space left on device"):
		return "free some disk space, then run the same command again"
	case strings.Contains(said, "accessdenied") || strings.Contains(said, "unauthorizedoperation"):
		return "the credentials may not do this; docs/aws.md lists, service by service, what Platen needs"
	case strings.Contains(said, "could not connect to registry.terraform.io") || strings.Contains(said, "failed to query available provider packages"):
		return "the AWS provider cannot be downloaded: check the network, or have a mirror in Terraform's own CLI configuration (TF_CLI_CONFIG_FILE)"
	default:
		return "what was made before is in the state; run the same command again and it goes on"
	}
}

var _ io.Writer = (*stream)(nil)
