package topology

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"platen/internal/site"
)

// Whatever the network, the nine subnets lie in it, none overlaps another, and the private ones
// are the widest.
func TestSubnetsNeverOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(16, 24).Draw(t, "bits")
		addr := netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "c"), 0})
		network := netip.PrefixFrom(addr, bits).Masked()
		subnets, err := Subnets(network.String())
		if err != nil {
			t.Fatal(err)
		}
		if len(subnets) != 9 {
			t.Fatalf("%d subnets", len(subnets))
		}
		for i, s := range subnets {
			last := s.Prefix.Masked()
			if last != s.Prefix || !network.Contains(s.Prefix.Addr()) || s.Prefix.Bits() < network.Bits() {
				t.Errorf("%v does not lie in %v", s.Prefix, network)
			}
			if s.Prefix.Bits() > 28 {
				t.Errorf("%v is narrower than AWS makes", s.Prefix)
			}
			if s.Tier == "private" && slices.ContainsFunc(subnets, func(o Subnet) bool { return o.Tier != "private" && o.Usable() > s.Usable() }) {
				t.Errorf("another subnet is wider than the private %v", s.Prefix)
			}
			for _, o := range subnets[i+1:] {
				if s.Prefix.Overlaps(o.Prefix) {
					t.Errorf("%v and %v overlap", s, o)
				}
			}
		}
	})
}

func TestSubnetsRefuseWhatCannotBeCut(t *testing.T) {
	for _, cidr := range []string{"", "10.0.0.0/8", "10.0.0.0/25", "fd00::/16", "10.0.0.0"} {
		if _, err := Subnets(cidr); err == nil {
			t.Errorf("%q is cut", cidr)
		}
	}
}

var prefixPattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// No name exceeds AWS' limit, and two environments never share one.
func TestNamesFitAWS(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.StringMatching(`[a-z][a-z0-9-]{0,30}[a-z0-9]`)
		envs := rapid.StringMatching(`[a-z][a-z0-9]{0,15}`)
		one := Topology{Site: names.Draw(t, "site"), Env: envs.Draw(t, "env"), AWS: &AWS{AWSSpec: site.AWSSpec{Account: "123456789012", Region: "ap-southeast-2"}}}
		other := Topology{Site: names.Draw(t, "other site"), Env: envs.Draw(t, "other env"), AWS: one.AWS}
		for _, x := range []Topology{one, other} {
			if p := x.AWSPrefix(); len(p) > MaxAWSPrefix || !prefixPattern.MatchString(p) || awsOwn.MatchString(p) {
				t.Errorf("%s/%s: prefix %q", x.Site, x.Env, p)
			}
			if b := x.StateBucket(); len(b) > 63 || strings.HasSuffix(b, "-") {
				t.Errorf("%s: bucket %q", x.Site, b)
			}
		}
		if one.Site+"-"+one.Env != other.Site+"-"+other.Env && one.AWSPrefix() == other.AWSPrefix() {
			t.Errorf("%s/%s and %s/%s are both %q", one.Site, one.Env, other.Site, other.Env, one.AWSPrefix())
		}
	})
}

func TestNamesThatAWSKeepsToItself(t *testing.T) {
	for site, begins := range map[string]string{"internal": "p-internal-dev-", "aws-blog": "p-aws-blog-dev-", "ecsite": "p-ecsite-dev-", "internals": "internals-dev"} {
		if p := (Topology{Site: site, Env: "dev"}).AWSPrefix(); !strings.HasPrefix(p, begins) {
			t.Errorf("%s: %s", site, p)
		}
	}
}

// limits of names in characters, by the type of resource and, where it has several names, the
// attribute (AWS, each service's API reference).
var limits = map[string]int{
	"aws_autoscaling_group": 255, "aws_backup_plan": 50, "aws_backup_selection": 50, "aws_backup_vault": 50,
	"aws_appautoscaling_policy": 256, "aws_appautoscaling_scheduled_action": 256,
	"aws_cloudfront_cache_policy": 128, "aws_cloudfront_origin_access_control": 64, "aws_cloudfront_origin_request_policy": 128,
	"aws_cloudwatch_dashboard": 255, "aws_cloudwatch_event_rule": 64, "aws_cloudwatch_log_group": 512, "aws_cloudwatch_log_metric_filter": 512, "aws_cloudwatch_metric_alarm": 255,
	"aws_db_subnet_group": 255, "aws_ecr_repository": 256, "aws_ecs_capacity_provider": 255, "aws_ecs_cluster": 255, "aws_ecs_service": 255, "aws_ecs_task_definition": 255,
	"aws_efs_file_system": 64, "aws_elasticache_parameter_group": 255, "aws_elasticache_replication_group": 40, "aws_elasticache_subnet_group": 255,
	"aws_iam_instance_profile": 128, "aws_iam_role": 64, "aws_kms_alias": 256, "aws_launch_template": 128, "aws_lb": 32, "aws_lb_target_group": 32,
	"aws_rds_cluster": 63, "aws_rds_cluster.final_snapshot_identifier": 255, "aws_rds_cluster_instance": 63, "aws_rds_cluster_parameter_group": 255,
	"aws_s3_bucket": maxBucketName, "aws_secretsmanager_secret": 512, "aws_security_group": 255, "aws_sns_topic": 256, "aws_wafv2_web_acl": 128,
}

var (
	resourceLine = regexp.MustCompile(`^resource "([a-z0-9_]+)"`)
	nameLine     = regexp.MustCompile(`^  (name|name_prefix|bucket|family|[a-z_]*identifier|replication_group_id|creation_token|alarm_name|dashboard_name) +=\s+("[^"]*(?:\["[^"]*"\][^"]*)*"|var\.name)`)
	filled       = regexp.MustCompile(`\$\{[^}]*\}`)
)

// No name that the stacks make of the longest prefix exceeds what AWS takes. What else stands in a
// name is a word of terraform/, the account, or a region; a word is taken for 20 characters.
func TestNamesOfTheStacksFitAWS(t *testing.T) {
	files, err := filepath.Glob("../../terraform/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Glob("../../terraform/*/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, modules...) {
		prefix := strings.Repeat("x", MaxAWSPrefix)
		if slices.Contains(modules, file) {
			prefix += "-cdn" // the firewall's
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kind := ""
		for _, line := range strings.Split(string(text), "\n") {
			if m := resourceLine.FindStringSubmatch(line); m != nil {
				kind = m[1]
			} else if line == "}" {
				kind = ""
			}
			m := nameLine.FindStringSubmatch(line)
			if m == nil || kind == "" || !strings.Contains(m[2], "var.name") {
				continue
			}
			found++
			name := "${var.name}"
			if m[2] != "var.name" {
				name = strings.Trim(m[2], `"`)
			}
			name = filled.ReplaceAllStringFunc(name, func(part string) string {
				switch part {
				case "${var.name}":
					return prefix
				case "${var.account}":
					return "123456789012"
				case "${var.region}":
					return "ap-southeast-2"
				}
				return strings.Repeat("y", 20)
			})
			if m[1] == "name_prefix" {
				name += strings.Repeat("0", 26) // the provider's
			}
			limit, ok := limits[kind+"."+m[1]]
			if !ok {
				limit, ok = limits[kind]
			}
			if !ok {
				t.Errorf("%s: how long may the name of %s be? add it to limits", filepath.Base(file), kind)
			} else if len(name) > limit {
				t.Errorf("%s: %s %s has %d characters, and AWS takes %d", filepath.Base(file), kind, name, len(name), limit)
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d names were found", found)
	}
}

func TestAWSCron(t *testing.T) {
	for five, want := range map[string][]string{
		"0 7 * * MON-FRI": {"cron(0 7 ? * MON-FRI *)"},
		"0 7 * * 1-5":     {"cron(0 7 ? * MON-FRI *)"},
		"0 0 1 * *":       {"cron(0 0 1 * ? *)"},
		"*/5 * * * *":     {"cron(*/5 * * * ? *)"},
		"0 0 1 * 0,6":     {"cron(0 0 1 * ? *)", "cron(0 0 ? * SUN,SAT *)"},
		"0 0 * jan 7":     {"cron(0 0 ? JAN SUN *)"},
	} {
		if got := AWSCron(five); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", five, got, want)
		}
	}
}

func TestArchitectureAndTrunk(t *testing.T) {
	for kind, want := range map[string]string{
		"t4g.medium": "arm64 false", "t3.large": "x86_64 false", "m7g.large": "arm64 true", "c7gn.xlarge": "arm64 true",
		"m7i-flex.large": "x86_64 true", "g5.xlarge": "x86_64 false", "g5g.xlarge": "arm64 false", "a1.large": "arm64 false", "r6i.large": "x86_64 true",
	} {
		if got := fmt.Sprint(Architecture(kind), " ", Trunks(kind)); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func TestRounding(t *testing.T) {
	for days, want := range map[int]int{1: 1, 2: 3, 3: 3, 14: 14, 15: 30, 9999: 3653} {
		if got := LogDays(days); got != want {
			t.Errorf("%d days: %d, want %d", days, got, want)
		}
	}
	for every, want := range map[time.Duration]int{time.Minute: 1, time.Hour: 1, 5 * time.Hour: 6, 13 * time.Hour: 24, 48 * time.Hour: 24} {
		if got := BackupHours(every); got != want {
			t.Errorf("%v: %d, want %d", every, got, want)
		}
	}
}

// Regression: a percentage of the lower bound alone made a deployment stand still where a schedule
// goes below it, and one counted as a single task more lets four stand at 1..2.
func TestDeploymentsHaveRoomForOneMore(t *testing.T) {
	for fewest := 1; fewest <= 200; fewest++ {
		for tasks := fewest; tasks <= 200; tasks++ {
			if got := Deploying(tasks, fewest); got <= tasks {
				t.Fatalf("%d tasks, at least %d: a deployment may have %d", tasks, fewest, got)
			}
		}
	}
	topo := Topology{Web: Web{Tasks: site.Range{Min: 3, Max: 12}}, AWS: &AWS{}}
	if got := topo.DeployingTasks(); got != 16 {
		t.Errorf("3..12: %d while they are replaced, want 16", got)
	}
	topo.Web.Schedule = []site.Schedule{{Cron: "0 22 * * *", Tasks: site.Range{Min: 1, Max: 2}}, {Cron: "0 7 * * *", Tasks: site.Range{Min: 6, Max: 20}}}
	if topo.FewestTasks() != 1 || topo.MostTasks() != 20 || topo.DeployingTasks() != 40 {
		t.Errorf("with schedules: %d..%d, %d while they are replaced", topo.FewestTasks(), topo.MostTasks(), topo.DeployingTasks())
	}
}

// Regression: the size of a serverless database knew the bounds alone, and a schedule may go above.
func TestServerlessKnowsTheSchedules(t *testing.T) {
	topo := Topology{Site: "blog", Env: "dev", Web: Web{Tasks: site.Range{Min: 2, Max: 2}}, AWS: &AWS{}}
	topo.Web.Config.PHP.Children = 8
	topo.Database.Class = Serverless
	capacity := func() float64 {
		t.Helper()
		all, err := topo.Variables(Pins{})
		if err != nil {
			t.Fatal(err)
		}
		return all[StackData].(dataVariables).Database.Capacity.Max
	}
	before, connections := capacity(), topo.DatabaseConnections()
	topo.Web.Schedule = []site.Schedule{{Cron: "0 7 * * *", Tasks: site.Range{Min: 2, Max: 60}}}
	if after, more := capacity(), topo.DatabaseConnections(); after != 16 || before != 1 || connections != 90 || more != 2000 {
		t.Errorf("%v ACUs and %d connections became %v and %d", before, connections, after, more)
	}
}

func TestCacheClasses(t *testing.T) {
	for class, want := range map[string]string{
		"cache.t4g.micro": "", "cache.r7g.large": "", "cache.m6g.16xlarge": "", "cache.z9.large": "cache.r7g.large", "cache.r7g.micro": "cache.t4g.micro",
		"cache.r6gd.large": "cache.r7g.large", "cache.": "cache.r7g.large", "": "cache.r7g.large",
	} {
		if got := IsCache(class); got != (want == "") {
			t.Errorf("%q: %v", class, got)
		}
		if near := NearestCache(class); want != "" && near != want {
			t.Errorf("%q: nearest %s", class, near)
		}
	}
}

// Regression: the engine was valkey, whatever one wrote.
func TestTheEngineOfACacheIsTheFiles(t *testing.T) {
	s, err := site.Parse("platen.yaml", []byte(`platen: 1
name: blog
admin: {email: ops@example.com}
environments:
  prod: {target: aws, account: "123456789012", region: eu-west-1, objects: {engine: redis}}
`))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := s.Environment("prod")
	if err != nil {
		t.Fatal(err)
	}
	topo, err := For(spec, State{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := topo.Variables(Pins{})
	if err != nil {
		t.Fatal(err)
	}
	if data := all[StackData].(dataVariables); data.Sessions.Engine != "valkey" || data.Objects.Engine != "redis" {
		t.Errorf("sessions %s, objects %s", data.Sessions.Engine, data.Objects.Engine)
	}
}
