package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	groupstypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"platen/internal/report"
	"platen/internal/topology"
)

// Hosts says which image is pinned, which one AWS recommends today, and what each host runs.
// Nothing is written.
func (p *Place) Hosts(ctx context.Context, t topology.Topology) (report.Hosts, error) {
	arch := topology.Architecture(t.AWS.Hosts.Type)
	h := report.Hosts{Environment: t.Env, Architecture: arch, Hosts: []report.Host{}}
	pins, _, err := p.recordedPins(ctx)
	if err != nil {
		return h, err
	}
	if pins.For == arch {
		h.Image = pins.Image
	}
	if h.Newest, h.NewestName, err = p.newestImage(ctx, arch); err != nil {
		return h, err
	}
	group, err := p.group(ctx, t)
	if err != nil || group == "" {
		return h, err
	}
	if h.Hosts, err = p.hosts(ctx, group); err != nil {
		return h, err
	}
	h.Refresh, err = p.lastRefresh(ctx, group)
	return h, err
}

// group is the name of the hosts' group, or "" when there is none.
func (p *Place) group(ctx context.Context, t topology.Topology) (string, error) {
	s, err := p.state(ctx, t, topology.StackCluster)
	if err != nil {
		return "", err
	}
	c, err := readCluster(s)
	return c.Group, err
}

// hosts are the group's instances with the image of each.
func (p *Place) hosts(ctx context.Context, group string) ([]report.Host, error) {
	out, err := p.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return nil, fmt.Errorf("look at the hosts: %w", err)
	}
	hosts := []report.Host{}
	var ids []string
	for _, g := range out.AutoScalingGroups {
		for _, i := range g.Instances {
			ids = append(ids, aws.ToString(i.InstanceId))
			hosts = append(hosts, report.Host{
				ID: aws.ToString(i.InstanceId), Type: aws.ToString(i.InstanceType), Zone: aws.ToString(i.AvailabilityZone), State: string(i.LifecycleState),
			})
		}
	}
	if len(ids) == 0 {
		return hosts, nil
	}
	images, err := p.ec2.images(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("see which image each host runs: %w", err)
	}
	for i := range hosts {
		hosts[i].Image = images[hosts[i].ID]
	}
	return hosts, nil
}

// lastRefresh is the newest refresh of the group, or nil when there never was one.
func (p *Place) lastRefresh(ctx context.Context, group string) (*report.Refresh, error) {
	out, err := p.groups.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &group, MaxRecords: aws.Int32(1)})
	if err != nil {
		return nil, fmt.Errorf("look at the refresh of %s: %w", group, err)
	}
	if len(out.InstanceRefreshes) == 0 {
		return nil, nil
	}
	r := out.InstanceRefreshes[0]
	return &report.Refresh{
		ID: aws.ToString(r.InstanceRefreshId), Status: string(r.Status), Percent: int(aws.ToInt32(r.PercentageComplete)),
		Left: int(aws.ToInt32(r.InstancesToUpdate)), Reason: strings.TrimSpace(aws.ToString(r.StatusReason)), Started: aws.ToTime(r.StartTime),
	}, nil
}

// UpdateHosts pins the image, has Terraform move the group to it, and waits until every host is
// made of it. What somebody interrupted it goes on with: the pin, the plan and the refresh each
// say how far it came.
func (p *Place) UpdateHosts(ctx context.Context, t topology.Topology, image string, sink report.Sink) error {
	pins, etag, incomplete, err := p.pins(ctx, t)
	if err != nil {
		return err
	}
	if incomplete {
		return report.Hint(fmt.Errorf("the configuration of %s changed since its last up (hosts.type or domain)", t.Env), "run platen up %s first", t.Env)
	}
	if err := p.prepareLocks(ctx, t); err != nil {
		return err
	}
	moved := pins.Image != image
	pins.Image = image
	if err := p.write(ctx, t, pins, sink); err != nil {
		return err
	}
	group, err := p.group(ctx, t)
	if err != nil {
		return err
	}
	if group == "" {
		return report.Hint(fmt.Errorf("there are no hosts in %s", t.Env), "run: platen up %s", t.Env)
	}
	before, err := p.lastRefresh(ctx, group)
	if err != nil {
		return err
	}
	sink.Step(topology.StackCluster, report.Running, "planning")
	plan, err := p.terraform.Plan(ctx, topology.StackCluster, topology.StackRun{})
	if err == nil {
		err = onlyHosts(plan.Changes, t.Env)
	}
	if err == nil && moved {
		// Only now: a plan that is refused leaves no pin behind.
		err = p.putPins(ctx, pins, etag)
	}
	if err == nil && plan.Differs {
		err = p.terraform.Apply(ctx, topology.StackCluster, sink)
	}
	if err != nil {
		sink.Step(topology.StackCluster, report.Failed, "")
		return err
	}
	sink.Step(topology.StackCluster, report.Done, counted(len(plan.Changes)))
	started := slices.ContainsFunc(plan.Changes, func(c report.Change) bool {
		kind, _ := kindOf(c.Address)
		return kind == "aws_autoscaling_group"
	})
	former := ""
	if before != nil && (started || !before.Runs()) { // Terraform cancels the one that runs
		former = before.ID
	}
	return p.awaitRefresh(ctx, group, image, former, started, sink)
}

// onlyHosts refuses a plan that would change more than an update of the hosts does: what somebody
// edited meanwhile is up's, which shows it and checks whether it fits.
func onlyHosts(changes []report.Change, env string) error {
	var others []string
	for _, c := range changes {
		kind, _ := kindOf(c.Address)
		if c.Action != "update" || kind != "aws_launch_template" && kind != "aws_autoscaling_group" {
			others = append(others, c.Address+" ("+c.Action+")")
		}
	}
	if len(others) == 0 {
		return nil
	}
	return report.Hint(fmt.Errorf("other changes are pending, so the hosts stay as they are: %s", strings.Join(others, ", ")),
		"make them first: platen plan %s, then platen up %s", env, env)
}

// appears is how many looks a refresh that was started may take to be listed.
const appears = 6

// awaitRefresh waits until no host is of another image. former is the refresh that had ended before
// this command; started tells that Terraform has begun a new one. When none is at work and hosts
// are behind, it starts one itself, once.
func (p *Place) awaitRefresh(ctx context.Context, group, image, former string, started bool, sink report.Sink) error {
	const step = "hosts"
	own := false
	for looks := 0; ; looks++ {
		r, err := p.lastRefresh(ctx, group)
		if err != nil {
			return err
		}
		hosts, err := p.hosts(ctx, group)
		if err != nil {
			return err
		}
		behind := report.Hosts{Image: image, Hosts: hosts}.Behind()
		ended := r != nil && r.ID != former && !r.Runs()
		said := fmt.Sprintf("%d of %d run %s", len(hosts)-len(behind), len(hosts), image)
		switch {
		case r.Runs():
			said = progressOf(r, len(behind), len(hosts))
		case ended && r.Status != string(groupstypes.InstanceRefreshStatusSuccessful),
			ended && own && !leaving(behind):
			sink.Step(step, report.Failed, "")
			return &RefreshError{Group: group, Refresh: *r, Behind: len(behind), Of: len(hosts)}
		case started && !ended && looks < appears, len(behind) > 0 && leaving(behind):
			// Not listed yet, or the last of the old ones are on their way out.
		case len(behind) == 0:
			sink.Step(step, report.Done, said)
			return nil
		default:
			if r != nil {
				former = r.ID
			}
			if err := p.startRefresh(ctx, group); err != nil {
				sink.Step(step, report.Failed, "")
				return err
			}
			own, started, looks = true, true, 0
		}
		sink.Step(step, report.Running, said)
		if err := p.pause(ctx, refreshEvery); err != nil {
			return err
		}
	}
}

// refreshEvery is how often a refresh is looked at. It takes minutes a host.
const refreshEvery = 10 * time.Second

// leaving tells whether all of the hosts are on their way out.
func leaving(hosts []report.Host) bool {
	return !slices.ContainsFunc(hosts, func(h report.Host) bool { return !strings.HasPrefix(h.State, "Terminat") })
}

func progressOf(r *report.Refresh, behind, all int) string {
	text := fmt.Sprintf("refresh %s: %d %%, %d of %d are new", r.ID, r.Percent, all-behind, all)
	if r.Status != string(groupstypes.InstanceRefreshStatusInProgress) {
		text += ", " + strings.ToLower(r.Status)
	}
	if r.Reason != "" {
		text += "; " + r.Reason
	}
	return text
}

// startRefresh begins what Terraform began before and somebody cancelled, or what failed: with the
// preferences of terraform/cluster/hosts.tf.
func (p *Place) startRefresh(ctx context.Context, group string) error {
	_, err := p.groups.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: &group, Strategy: groupstypes.RefreshStrategyRolling,
		Preferences: &groupstypes.RefreshPreferences{
			MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(110), SkipMatching: aws.Bool(true),
			ScaleInProtectedInstances: groupstypes.ScaleInProtectedInstancesRefresh,
		},
	})
	if err == nil || is(err, "InstanceRefreshInProgress", "InstanceRefreshInProgressFault") {
		return nil
	}
	return fmt.Errorf("start replacing the hosts of %s: %w", group, err)
}

// RefreshError is a replacement of hosts that AWS did not finish.
type RefreshError struct {
	Group      string
	Refresh    report.Refresh
	Behind, Of int
}

func (e *RefreshError) Error() string {
	text := fmt.Sprintf("the refresh %s of %s ended as %s at %d %%: %d of %d hosts run the new image",
		e.Refresh.ID, e.Group, e.Refresh.Status, e.Refresh.Percent, e.Of-e.Behind, e.Of)
	if e.Refresh.Reason != "" {
		text += " (" + e.Refresh.Reason + ")"
	}
	return text
}

// Hint implements the interface of report.HintOf.
func (e *RefreshError) Hint() string {
	return "the site runs on the hosts that are there; when the reason is gone, run the same command again: it replaces those that are left"
}
