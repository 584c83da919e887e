package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const devSite = `platen: 1
name: blog
admin: {user: editor, email: ops@example.com}
mail: {smtp: "smtp.example.com:587", from: blog@example.com, user: blog}
environments:
  dev:
    target: aws
    account: "123456789012"
    region: eu-west-1
    tags: {Creator: web-team}
    state: {lock: dynamodb}
    network: {cidr: 10.20.0.0/16, nat: single}
    hosts: {type: t4g.medium, count: 1..3, fill: 90, step: 1..2}
    web: {tasks: 1..2}
    database: {class: db.serverless, readers: 1..2, scale: {cpu: 60, connections: 60}}
    sessions: {class: cache.t4g.micro, replicas: 1}
    objects: {class: cache.t4g.micro, replicas: 1}
    backups: {every: 24h, keep: {daily: 7}}
    logs: {days: 3}
`

const prodSite = `platen: 1
name: blog
admin: {user: editor, email: ops@example.com}
environments:
  prod:
    target: aws
    account: "123456789012"
    region: eu-west-1
    domain: www.example.com
    cdn: true
    network: {cidr: 10.30.0.0/16, nat: per-zone}
    hosts: {type: m7g.large, count: 3..8, fill: 100, step: 1..2}
    web: {php: {memory: 768M}, tasks: 3..12, schedule: [{cron: "0 7 * * MON-FRI", tasks: 6..12}], scale: {cpu: 60, requests: 800}}
    database: {class: db.r6g.large, readers: 2..3, scale: {cpu: 60, connections: 700}}
    sessions: {class: cache.t4g.small, replicas: 1}
    objects: {class: cache.r7g.large, replicas: 1..3}
    files: {media: s3}
    backups: {copy_to: eu-central-1}
    alarms: ["mailto:oncall@example.com"]
    logs: {days: 14}
`

// copies is the second region of prod.
const copies = "eu-central-1"

// change is one line of plan --json.
type change struct{ Stack, Address, Action, Reason string }

func (c change) String() string { return c.Action + " " + c.Stack + " " + c.Address }

// plan is what plan --json lists.
func (p *place) plan(t *testing.T, env string) []change {
	t.Helper()
	path, err := platen()
	if err != nil {
		t.Fatal(err)
	}
	cmd := p.command(nil, path, "plan", env, "--json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	p.log.Write(out)
	p.log.Write(stderr.Bytes())
	if err != nil {
		t.Fatalf("plan %s: %v\n%s", env, err, stderr.String())
	}
	var plan struct{ Changes []change }
	if err := json.Unmarshal(out, &plan); err != nil {
		t.Fatalf("plan %s: %v\n%s", env, err, out)
	}
	return plan.Changes
}

// TestDev brings the small environment up, edits it and its file, and takes it down to nothing.
func TestDev(t *testing.T) {
	t.Parallel()
	p := emulator(t, devSite)
	ctx := context.Background()
	c := p.sdk()
	const password = "a password of a mail server, given by hand"
	out, code := p.runWith([]string{"PLATEN_MAIL_PASSWORD=" + password}, "up", "dev")
	if code != 0 {
		t.Fatalf("up: exit %d\n%s", code, out)
	}
	secrets, arns := p.secrets(ctx)
	if !slices.Contains(slices.Collect(maps.Values(secrets)), password) {
		t.Errorf("the given password of the mail server is in no secret")
	}

	t.Run("what stands", func(t *testing.T) {
		p.stands(ctx, t, "blog-dev", 1)
		instances, err := rds.NewFromConfig(c).DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{})
		if err != nil || len(instances.DBInstances) != 2 {
			t.Fatalf("want a writer and a reader: %v, %v", instances, err)
		}
		for _, i := range instances.DBInstances {
			if class := awssdk.ToString(i.DBInstanceClass); class != "db.serverless" {
				t.Errorf("%s is a %s", awssdk.ToString(i.DBInstanceIdentifier), class)
			}
		}
		tables, err := dynamodb.NewFromConfig(c).ListTables(ctx, &dynamodb.ListTablesInput{})
		if err != nil || len(tables.TableNames) != 1 {
			t.Errorf("lock tables %v, %v", tables, err)
		}
	})
	t.Run("nothing to change", func(t *testing.T) {
		if left := p.plan(t, "dev"); len(left) != 0 {
			t.Errorf("the second plan wants %q", left)
		}
	})
	balancer := elb.NewFromConfig(c)
	described, err := balancer.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{})
	if err != nil || len(described.LoadBalancers) != 1 {
		t.Fatalf("the balancer: %v, %v", described, err)
	}
	arn := described.LoadBalancers[0].LoadBalancerArn
	const idle = "idle_timeout.timeout_seconds"
	if _, err := balancer.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: arn,
		Attributes: []elbtypes.LoadBalancerAttribute{{Key: awssdk.String(idle), Value: awssdk.String("40")}}}); err != nil {
		t.Fatal(err)
	}
	byHand := []string{"update cluster aws_lb.this"}
	t.Run("edits change what they should, and a change by hand is shown", func(t *testing.T) {
		for _, change := range p.edits(t, "dev", append([]edit{{"name: blog", "name: blog", byHand}}, devEdits...)) {
			if others := strings.Contains(change.Reason, "somebody else changed it"); others != (change.String() == byHand[0]) {
				t.Errorf("%s is said to be because of %q", change, change.Reason)
			}
		}
	})
	t.Run("the next up makes edits, and takes the change by hand back", func(t *testing.T) {
		p.edit("days: 3", "days: 7")
		p.edit("count: 1..3", "count: 1..4")
		p.edit("sessions: {class: cache.t4g.micro", "sessions: {class: cache.t4g.small")
		out := p.must("up", "dev")
		if !strings.Contains(out, "aws_lb.this was changed by somebody else since the last up") || strings.Count(out, "changed by somebody else") != 1 {
			t.Errorf("up does not say that it takes the change by hand back, or says it of others:\n%s", out)
		}
		attributes, err := balancer.DescribeLoadBalancerAttributes(ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: arn})
		if err != nil || !slices.ContainsFunc(attributes.Attributes, func(a elbtypes.LoadBalancerAttribute) bool {
			return awssdk.ToString(a.Key) == idle && awssdk.ToString(a.Value) == "70"
		}) {
			t.Errorf("the change by hand is still there: %v", err)
		}
		groups, err := autoscaling.NewFromConfig(c).DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
		if err != nil || len(groups.AutoScalingGroups) != 1 || awssdk.ToInt32(groups.AutoScalingGroups[0].MaxSize) != 4 {
			t.Errorf("the hosts are not at most 4: %v", err)
		}
		caches, err := elasticache.NewFromConfig(c).DescribeReplicationGroups(ctx, &elasticache.DescribeReplicationGroupsInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range caches.ReplicationGroups {
			if sessions := strings.Contains(awssdk.ToString(g.ReplicationGroupId), "sessions"); sessions != (awssdk.ToString(g.CacheNodeType) == "cache.t4g.small") {
				t.Errorf("%s is a %s", awssdk.ToString(g.ReplicationGroupId), awssdk.ToString(g.CacheNodeType))
			}
		}
		if again, _ := p.secrets(ctx); !maps.Equal(again, secrets) {
			t.Error("an edit changed secrets")
		}
	})
	t.Run("no secret leaks", func(t *testing.T) { p.noSecretLeaks(ctx, t, secrets, arns, nil) })
	out = p.must("down", "dev", "--yes", "--really", "dev", "--everything")
	t.Run("nothing is left", func(t *testing.T) { p.nothingLeft(t, out) })
}

// TestProd brings the large environment up, gives it to Terraform alone, keeps its data in a
// down, finds them in the next up, and takes it down to nothing.
func TestProd(t *testing.T) {
	t.Parallel()
	p := emulator(t, prodSite)
	ctx := context.Background()
	c := p.sdk()
	_, err := route53.NewFromConfig(c).CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: awssdk.String("example.com"), CallerReference: awssdk.String("1")})
	if err != nil {
		t.Fatal(err)
	}
	p.must("up", "prod")
	secrets, arns := p.secrets(ctx)
	first := p.inventory()

	t.Run("what stands", func(t *testing.T) {
		p.stands(ctx, t, "blog-prod", 3)
		for _, one := range []struct{ kind, name string }{
			{"vaults", copies + " "}, {"keys", copies + " "}, {"distributions", ""}, {"VPC origins", ""}, {"firewalls", ""}, {"subscriptions", "oncall@example.com"},
			{"certificates", region + " www.example.com"}, {"certificates", "us-east-1 www.example.com"}, {"DNS records", "www.example.com. A"},
		} {
			if !slices.ContainsFunc(first[one.kind], func(name string) bool { return strings.HasPrefix(name, one.name) }) {
				t.Errorf("among the %s there is no %s: %q", one.kind, one.name, first[one.kind])
			}
		}
		definitions := ecs.NewFromConfig(c)
		for _, name := range first["task definitions"] {
			out, err := definitions.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &name})
			if err != nil || out.TaskDefinition.RuntimePlatform == nil || out.TaskDefinition.RuntimePlatform.CpuArchitecture != ecstypes.CPUArchitectureArm64 {
				t.Errorf("%s is not for arm64: %v, %v", name, out, err)
			}
		}
	})
	var plans map[string][]byte
	t.Run("Terraform alone finds nothing to change", func(t *testing.T) {
		if out, code := p.run("render", "prod", "out"); code != 0 {
			t.Fatalf("render: exit %d\n%s", code, out)
		}
		plans = p.plainTerraform(t, filepath.Join(p.folder, "out"), "prod")
	})
	t.Run("edits change what they should", func(t *testing.T) { p.edits(t, "prod", prodEdits) })
	t.Run("an edit that would lose data is not made", func(t *testing.T) {
		was := p.read("platen.yaml")
		defer p.write("platen.yaml", was)
		p.edit("files: {media: s3}", "files: {media: shared}")
		out, code := p.run("up", "prod")
		if code != 1 || !strings.Contains(out, "nothing of the stack data was changed, since data would be lost") || !strings.Contains(out, "aws_s3_bucket.media") {
			t.Errorf("exit %d\n%s", code, out)
		}
		if now := p.inventory(); !slices.Equal(now["buckets"], first["buckets"]) {
			t.Errorf("buckets %q, want %q", now["buckets"], first["buckets"])
		}
	})

	out := p.must("down", "prod", "--yes", "--really", "prod")
	t.Run("the data stay, and nothing else", func(t *testing.T) {
		for _, part := range []string{"blog-prod-final-", "the share", "media", "backups", "copies of the backups", "secrets", "KMS keys", "--everything"} {
			if !strings.Contains(out, part) {
				t.Errorf("down does not list %q:\n%s", part, out)
			}
		}
		kept := p.inventory()
		want := []string{"buckets", "database snapshots", "file systems", "key aliases", "keys", "secrets", "vaults"}
		if got := kinds(kept); !slices.Equal(got, want) {
			t.Errorf("there are %q, want %q: %q", got, want, kept)
		}
		for _, kind := range []string{"file systems", "key aliases", "keys", "secrets", "vaults"} {
			if !slices.Equal(kept[kind], first[kind]) {
				t.Errorf("%s %q, want %q", kind, kept[kind], first[kind])
			}
		}
		if n := len(kept["database snapshots"]); n != 1 {
			t.Errorf("%d final snapshots", n)
		}
	})

	p.must("up", "prod")
	t.Run("up finds them", func(t *testing.T) {
		again := p.inventory()
		if !slices.Equal(kinds(again), kinds(withSnapshot(first))) {
			t.Errorf("there are %q, want what there was, and the snapshot: %q", kinds(again), kinds(first))
		}
		for _, kind := range []string{"file systems", "keys", "key aliases", "secrets", "vaults"} {
			if !slices.Equal(again[kind], first[kind]) {
				t.Errorf("%s %q, want %q", kind, again[kind], first[kind])
			}
		}
		// The database is new, and so is the password that Aurora keeps by itself.
		database := func(name, _ string) bool { return strings.HasPrefix(name, "rds!") }
		now, _ := p.secrets(ctx)
		was := maps.Clone(secrets)
		maps.DeleteFunc(now, database)
		maps.DeleteFunc(was, database)
		if !maps.Equal(now, was) {
			t.Error("the secrets are other ones")
		}
	})
	t.Run("no secret leaks", func(t *testing.T) { p.noSecretLeaks(ctx, t, secrets, arns, plans) })
	out = p.must("down", "prod", "--yes", "--really", "prod", "--everything")
	t.Run("nothing is left", func(t *testing.T) { p.nothingLeft(t, out) })
}

func withSnapshot(found map[string][]string) map[string][]string {
	found = maps.Clone(found)
	found["database snapshots"] = []string{""}
	return found
}

// plainTerraform plans the rendered stacks without Platen and wants no change. It returns what the
// plans hold.
func (p *place) plainTerraform(t *testing.T, folder, env string) map[string][]byte {
	t.Helper()
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		plans = map[string][]byte{}
	)
	for _, stack := range stacks {
		wg.Go(func() {
			for _, args := range [][]string{
				{"init", "-input=false", "-no-color"}, {"workspace", "select", env},
				{"plan", "-input=false", "-no-color", "-lock=false", "-detailed-exitcode", "-out=kept.tfplan", "-var-file=terraform." + env + ".tfvars.json"},
				{"show", "-json", "kept.tfplan"},
			} {
				cmd := p.command(nil, terraformIn(t), args...)
				cmd.Dir = filepath.Join(folder, stack)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				mu.Lock()
				p.log.Write(out)
				p.log.Write(stderr.Bytes())
				plans[stack] = out
				mu.Unlock()
				if err != nil {
					t.Errorf("%s: terraform %s: %v\n%s%s", stack, args[0], err, out, stderr.String())
					return
				}
			}
		})
	}
	wg.Wait()
	return plans
}

// stands asks the APIs for what every environment has.
func (p *place) stands(ctx context.Context, t *testing.T, prefix string, gateways int) {
	t.Helper()
	c := p.sdk()
	subnets, err := ec2.NewFromConfig(c).DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{
		Filters: []ec2types.Filter{{Name: awssdk.String("tag:Site"), Values: []string{"blog"}}}})
	if err != nil || len(subnets.Subnets) != 9 {
		t.Errorf("%d subnets, want 9 (%v)", len(subnets.Subnets), err)
	}
	nat, err := ec2.NewFromConfig(c).DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{})
	if err != nil || len(nat.NatGateways) != gateways {
		t.Errorf("%d NAT gateways, want %d (%v)", len(nat.NatGateways), gateways, err)
	}
	clusters, err := ecs.NewFromConfig(c).ListClusters(ctx, &ecs.ListClustersInput{})
	if err != nil || len(clusters.ClusterArns) != 1 {
		t.Fatalf("clusters %v, %v", clusters, err)
	}
	services, err := ecs.NewFromConfig(c).ListServices(ctx, &ecs.ListServicesInput{Cluster: &clusters.ClusterArns[0]})
	if err != nil || len(services.ServiceArns) != 2 {
		t.Fatalf("services %v, %v", services, err)
	}
	described, err := ecs.NewFromConfig(c).DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &clusters.ClusterArns[0], Services: services.ServiceArns})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range described.Services {
		if s.DesiredCount != 0 {
			t.Errorf("%s wants %d tasks before there is a release", awssdk.ToString(s.ServiceName), s.DesiredCount)
		}
	}
	groups, err := elasticache.NewFromConfig(c).DescribeReplicationGroups(ctx, &elasticache.DescribeReplicationGroupsInput{})
	if err != nil || len(groups.ReplicationGroups) != 2 {
		t.Fatalf("caches %v, %v", groups, err)
	}
	for _, g := range groups.ReplicationGroups {
		if !awssdk.ToBool(g.AuthTokenEnabled) || !awssdk.ToBool(g.TransitEncryptionEnabled) {
			t.Errorf("%s answers without a token or without TLS", awssdk.ToString(g.ReplicationGroupId))
		}
	}
	buckets, err := s3.NewFromConfig(c).GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: awssdk.String("platen-blog-" + account + "-" + region)})
	if err != nil || buckets.Status != "Enabled" {
		t.Errorf("the state bucket is not versioned: %v, %v", buckets, err)
	}
	var status struct {
		Tiers []struct{ Name string }
	}
	env := strings.TrimPrefix(prefix, "blog-")
	if err := json.Unmarshal([]byte(p.must("status", env, "--json")), &status); err != nil || len(status.Tiers) < 5 {
		t.Errorf("status %+v, %v", status, err)
	}
}

// nothingLeft asks the APIs after down --everything.
func (p *place) nothingLeft(t *testing.T, said string) {
	t.Helper()
	left := p.inventory()
	if len(left["keys that wait for their deletion"]) == 0 {
		t.Error("no key waits for its deletion: does the inventory see them?")
	}
	delete(left, "keys that wait for their deletion")
	if len(left) != 0 {
		t.Errorf("this is left: %q", left)
	}
	if strings.Contains(said, "Kept") {
		t.Errorf("down --everything says that something is kept:\n%s", said)
	}
}
