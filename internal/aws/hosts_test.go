package aws

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"platen/internal/report"
)

// fleet is a group of hosts as AWS answers about it, one look after the other.
type fleet struct {
	newest    string
	images    []string // of each host
	refreshes []string // the answers to DescribeInstanceRefreshes, one a look; the last stays
	look      int
	started   []url.Values
	onStart   func(*fleet)
}

// refresh is one entry of AWS' answer.
func refresh(id, status string, percent, left int, reason string) string {
	return fmt.Sprintf(`<member><InstanceRefreshId>%s</InstanceRefreshId><AutoScalingGroupName>blog-prod-group_name</AutoScalingGroupName><Status>%s</Status>`+
		`<StatusReason>%s</StatusReason><PercentageComplete>%d</PercentageComplete><InstancesToUpdate>%d</InstancesToUpdate></member>`, id, status, reason, percent, left)
}

func (f *fleet) answers(c *canned) {
	wrap := func(action, inside string) (int, string) {
		return 200, fmt.Sprintf(`<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, action, inside)
	}
	c.answer["GetParameters"] = func(in url.Values) (int, string) {
		arm := strings.Contains(in.Get("body"), "/amazon-linux-2023/arm64/recommended/image_id")
		if !arm {
			return 200, `{"Parameters":[]}`
		}
		prefix := "/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/"
		return 200, fmt.Sprintf(`{"Parameters":[{"Name":"%simage_id","Value":%q},{"Name":"%simage_name","Value":"al2023-ami-ecs-hvm-2023.0.20261118-kernel-6.1-arm64"}]}`, prefix, f.newest, prefix)
	}
	c.answer["DescribeAutoScalingGroups"] = func(url.Values) (int, string) {
		var inside strings.Builder
		for i := range f.images {
			fmt.Fprintf(&inside, `<member><InstanceId>i-%d</InstanceId><InstanceType>m7g.large</InstanceType><AvailabilityZone>eu-west-1a</AvailabilityZone><LifecycleState>InService</LifecycleState><HealthStatus>Healthy</HealthStatus></member>`, i)
		}
		return wrap("DescribeAutoScalingGroups", `<AutoScalingGroups><member><AutoScalingGroupName>blog-prod-group_name</AutoScalingGroupName><Instances>`+inside.String()+`</Instances></member></AutoScalingGroups>`)
	}
	c.answer["DescribeInstances"] = func(in url.Values) (int, string) {
		var inside strings.Builder
		for i, image := range f.images {
			if in.Get(fmt.Sprintf("Filter.1.Value.%d", i+1)) == fmt.Sprintf("i-%d", i) {
				fmt.Fprintf(&inside, `<item><instancesSet><item><instanceId>i-%d</instanceId><imageId>%s</imageId></item></instancesSet></item>`, i, image)
			}
		}
		return 200, `<DescribeInstancesResponse><reservationSet>` + inside.String() + `</reservationSet></DescribeInstancesResponse>`
	}
	c.answer["DescribeInstanceRefreshes"] = func(url.Values) (int, string) {
		now := ""
		if len(f.refreshes) > 0 {
			now = f.refreshes[min(f.look, len(f.refreshes)-1)]
		}
		f.look++
		if strings.Contains(now, "<Status>Successful</Status>") {
			for i := range f.images {
				f.images[i] = f.newest
			}
		}
		return wrap("DescribeInstanceRefreshes", `<InstanceRefreshes>`+now+`</InstanceRefreshes>`)
	}
	c.answer["StartInstanceRefresh"] = func(in url.Values) (int, string) {
		f.started = append(f.started, in)
		if f.onStart != nil {
			f.onStart(f)
		}
		return wrap("StartInstanceRefresh", `<InstanceRefreshId>r-own</InstanceRefreshId>`)
	}
}

func hostChanges() report.StackPlan {
	return report.StackPlan{Differs: true, Changes: []report.Change{
		{Stack: "cluster", Address: "aws_launch_template.hosts", Action: "update"},
		{Stack: "cluster", Address: "aws_autoscaling_group.hosts", Action: "update"},
	}}
}

// The pin moves, Terraform applies, and the refresh that it began is waited for, with its progress.
func TestHostsMoveToTheNewestImage(t *testing.T) {
	f := &fleet{newest: "ami-new", images: []string{"ami-old", "ami-old"}, refreshes: []string{
		"", // none before
		"", // not listed yet
		refresh("r-1", "Pending", 0, 2, ""),
		refresh("r-1", "InProgress", 40, 1, "Waiting for remaining instances to be available. For example: i-9."),
		refresh("r-1", "Successful", 100, 0, ""),
	}}
	c := newCanned()
	f.answers(c)
	tf := &applied{plan: hostChanges()}
	p, topo := openCanned(t, c, tf)
	c.stands(t, topo, "ami-old")

	h, err := p.Hosts(t.Context(), topo)
	if err != nil {
		t.Fatal(err)
	}
	if h.Image != "ami-old" || h.Newest != "ami-new" || !strings.Contains(h.NewestName, "20261118") || len(h.Hosts) != 2 || h.Hosts[1].Image != "ami-old" || h.Current() {
		t.Errorf("hosts %+v", h)
	}
	f.look = 0

	var told []string
	if err := p.UpdateHosts(t.Context(), topo, "ami-new", steps(&told)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"prepare ami-new", "plan cluster", "apply cluster"}; !slices.Equal(tf.calls, want) {
		t.Errorf("Terraform did %v, want %v", tf.calls, want)
	}
	if got := c.pinned(t, topo); got != "ami-new" {
		t.Errorf("pinned %s", got)
	}
	for _, part := range []string{"hosts running refresh r-1: 0 %, 0 of 2 are new, pending", "refresh r-1: 40 %, 0 of 2 are new; Waiting for remaining instances", "hosts done 2 of 2 run ami-new"} {
		if !has(told, part) {
			t.Errorf("it does not tell %q:\n%s", part, strings.Join(told, "\n"))
		}
	}
	if len(f.started) != 0 {
		t.Error("a second refresh was started beside Terraform's")
	}
	if h, err := p.Hosts(t.Context(), topo); err != nil || !h.Current() {
		t.Errorf("afterwards: %+v, %v", h, err)
	}
}

// What was interrupted after the pin had moved goes on: with the refresh that is at work, or with a
// new one for the hosts that are left.
func TestHostsGoOnAfterAnInterruption(t *testing.T) {
	for name, refreshes := range map[string][]string{
		"a refresh is at work": {refresh("r-1", "InProgress", 50, 1, ""), refresh("r-1", "InProgress", 50, 1, ""), refresh("r-1", "Successful", 100, 0, "")},
		"one was cancelled":    {refresh("r-1", "Cancelled", 50, 1, "Cancelled by user.")},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fleet{newest: "ami-new", images: []string{"ami-new", "ami-old"}, refreshes: refreshes}
			f.onStart = func(f *fleet) {
				f.look, f.refreshes = 0, []string{refresh("r-own", "InProgress", 0, 1, ""), refresh("r-own", "Successful", 100, 0, "")}
			}
			c := newCanned()
			f.answers(c)
			tf := &applied{}
			p, topo := openCanned(t, c, tf)
			c.stands(t, topo, "ami-new")
			if err := p.UpdateHosts(t.Context(), topo, "ami-new", nil); err != nil {
				t.Fatal(err)
			}
			if slices.Contains(tf.calls, "apply cluster") {
				t.Error("applied without a difference")
			}
			if want := strings.Contains(name, "cancelled"); (len(f.started) == 1) != want {
				t.Errorf("started %d refreshes", len(f.started))
			}
		})
	}
}

// The refresh that Platen starts itself is the one that the stack describes.
func TestOwnRefreshIsTheStacks(t *testing.T) {
	f := &fleet{newest: "ami-new", images: []string{"ami-old"}}
	f.onStart = func(f *fleet) { f.refreshes = []string{refresh("r-own", "Successful", 100, 0, "")} }
	c := newCanned()
	f.answers(c)
	p, topo := openCanned(t, c, &applied{})
	c.stands(t, topo, "ami-new")
	if err := p.UpdateHosts(t.Context(), topo, "ami-new", nil); err != nil {
		t.Fatal(err)
	}
	if len(f.started) != 1 {
		t.Fatalf("started %d", len(f.started))
	}
	hcl, err := os.ReadFile("../../terraform/cluster/hosts.tf")
	if err != nil {
		t.Fatal(err)
	}
	for argument, parameter := range map[string]string{
		"min_healthy_percentage": "MinHealthyPercentage", "max_healthy_percentage": "MaxHealthyPercentage",
		"scale_in_protected_instances": "ScaleInProtectedInstances", "skip_matching": "SkipMatching",
	} {
		m := regexp.MustCompile(`(?m)^\s*` + argument + `\s*=\s*"?(\w+)"?`).FindSubmatch(hcl)
		if m == nil {
			t.Errorf("hosts.tf says no %s", argument)
			continue
		}
		if got := f.started[0].Get("Preferences." + parameter); got != string(m[1]) {
			t.Errorf("%s is %q, and hosts.tf says %s", parameter, got, m[1])
		}
	}
}

func TestHostsSayWhyARefreshFailed(t *testing.T) {
	f := &fleet{newest: "ami-new", images: []string{"ami-old"}, refreshes: []string{
		"", refresh("r-1", "InProgress", 0, 1, ""), refresh("r-1", "Failed", 0, 1, "You have requested more vCPU capacity than your current limit"),
	}}
	c := newCanned()
	f.answers(c)
	p, topo := openCanned(t, c, &applied{plan: hostChanges()})
	c.stands(t, topo, "ami-old")
	err := p.UpdateHosts(t.Context(), topo, "ami-new", nil)
	var failed *RefreshError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "ended as Failed at 0 %: 0 of 1 hosts run the new image (You have requested more vCPU") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(report.HintOf(err), "run the same command again") {
		t.Errorf("hint %q", report.HintOf(err))
	}
}

// An edit of platen.yaml that up has not made is not made by the way, and the pin stays.
func TestHostsLeaveOtherChangesToUp(t *testing.T) {
	f := &fleet{newest: "ami-new", images: []string{"ami-old"}}
	c := newCanned()
	f.answers(c)
	plan := hostChanges()
	plan.Changes = append(plan.Changes, report.Change{Stack: "cluster", Address: "aws_lb.this", Action: "replace"})
	tf := &applied{plan: plan}
	p, topo := openCanned(t, c, tf)
	c.stands(t, topo, "ami-old")
	err := p.UpdateHosts(t.Context(), topo, "ami-new", nil)
	if err == nil || !strings.Contains(err.Error(), "aws_lb.this (replace)") || !strings.Contains(report.HintOf(err), "platen up prod") {
		t.Errorf("error %v, hint %s", err, report.HintOf(err))
	}
	if slices.Contains(tf.calls, "apply cluster") || c.pinned(t, topo) != "ami-old" {
		t.Errorf("did %v, pinned %s", tf.calls, c.pinned(t, topo))
	}
}

func TestHostsCanBeInterrupted(t *testing.T) {
	f := &fleet{newest: "ami-new", images: []string{"ami-old"}, refreshes: []string{"", refresh("r-1", "InProgress", 10, 1, "")}}
	c := newCanned()
	f.answers(c)
	p, topo := openCanned(t, c, &applied{plan: hostChanges()})
	c.stands(t, topo, "ami-old")
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	p.pause = func(ctx context.Context, _ time.Duration) error {
		if looks++; looks == 3 {
			cancel()
		}
		return ctx.Err()
	}
	if err := p.UpdateHosts(ctx, topo, "ami-new", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if c.pinned(t, topo) != "ami-new" {
		t.Error("the pin is lost: the next plan would go back")
	}
}
