package aws

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// edit is one line of platen.yaml that is written otherwise, and what plan says then: exactly
// these, and never that data would be lost.
type edit struct {
	from, to string
	want     []string
}

// edits plans all edits at once on the standing environment, and makes none of them. It returns
// what plan says. make prove plans each alone, too.
func (p *place) edits(t *testing.T, env string, all []edit) (planned []change) {
	t.Helper()
	was := p.read("platen.yaml")
	planned = p.planned(t, env, all)
	p.write("platen.yaml", was)
	if !eachEdit {
		return planned
	}
	for _, e := range all {
		t.Run(e.to, func(t *testing.T) {
			p.planned(t, env, []edit{e})
			p.write("platen.yaml", was)
		})
	}
	return planned
}

func (p *place) planned(t *testing.T, env string, all []edit) []change {
	t.Helper()
	want := map[string]bool{}
	for _, e := range all {
		p.edit(e.from, e.to)
		for _, c := range e.want {
			want[c] = true
		}
	}
	plan := p.plan(t, env)
	for _, c := range plan {
		if !want[c.String()] {
			t.Errorf("an edit wants %q as well", c)
		}
		delete(want, c.String())
		if strings.Contains(c.Reason, "data would be lost") {
			t.Errorf("it loses data: %s (%s)", c, c.Reason)
		}
	}
	for c := range want {
		t.Errorf("no edit wants %q", c)
	}
	return plan
}

// each writes an action of one address for several keys.
func each(format string, keys ...string) (all []string) {
	for _, key := range keys {
		all = append(all, fmt.Sprintf(format, key))
	}
	return all
}

var templates = each("replace services aws_ecs_task_definition.%s", "web", "jobs", "init")

var devEdits = []edit{
	{"nat: single", "nat: per-zone", slices.Concat(
		each("create shared aws_eip.nat[%q]", "eu-west-1b", "eu-west-1c"),
		each("create shared aws_nat_gateway.this[%q]", "eu-west-1b", "eu-west-1c"),
		each("update shared aws_route.private[%q]", "eu-west-1b", "eu-west-1c"),
		each("create shared aws_vpc_endpoint.interface[%q]", "logs", "secretsmanager", "ecr.api", "ecr.dkr"),
	)},
	{"type: t4g.medium, ", "type: t4g.large, ", []string{"update cluster aws_launch_template.hosts", "update cluster aws_autoscaling_group.hosts"}},
	{"count: 1..3", "count: 1..4", []string{"update cluster aws_autoscaling_group.hosts"}},
	{"fill: 90", "fill: 80", []string{"update cluster aws_ecs_capacity_provider.hosts"}},
	{"step: 1..2", "step: 1..3", []string{"update cluster aws_ecs_capacity_provider.hosts"}},
	// The bounds of the web tasks go with a release.
	{"web: {tasks: 1..2}", "web: {tasks: 1..3}", nil},
	{"class: db.serverless", "class: db.t4g.medium", append(
		each("update data aws_rds_cluster_instance.database[%q]", "1", "2"), "update data aws_rds_cluster.database")},
	{"readers: 1..2", "readers: 2..3", []string{`create data aws_rds_cluster_instance.database["3"]`, `update data aws_appautoscaling_target.readers["readers"]`}},
	{"scale: {cpu: 60, connections", "scale: {cpu: 50, connections", []string{`update data aws_appautoscaling_policy.readers["cpu"]`}},
	{"sessions: {class: cache.t4g.micro", "sessions: {class: cache.t4g.small", []string{"update data aws_elasticache_replication_group.sessions"}},
	{"objects: {class: cache.t4g.micro", "objects: {class: cache.t4g.small", []string{`update data aws_elasticache_replication_group.objects["objects"]`}},
	{"logs: {days: 3}", "logs: {days: 7}", slices.Concat(
		each("update services aws_cloudwatch_log_group.this[%q]", "nginx", "php", "jobs"),
		each("update data aws_cloudwatch_log_group.database[%q]", "audit", "error", "slowquery"),
		[]string{
			"update shared aws_cloudwatch_log_group.flow", "update cluster aws_cloudwatch_log_group.insights",
			"update cluster aws_s3_bucket_lifecycle_configuration.logs",
			`update services module.firewall_balancer["balancer"].aws_cloudwatch_log_group.this`,
		},
	)},
	{"keep: {daily: 7}", "keep: {daily: 14}", []string{"update data aws_backup_plan.this"}},
	{"user: blog}", "user: press}", templates},
}

var prodEdits = []edit{
	{"mailto:oncall@example.com", "mailto:night@example.com", []string{
		`delete services aws_sns_topic_subscription.alarms["mailto:oncall@example.com"]`,
		`create services aws_sns_topic_subscription.alarms["mailto:night@example.com"]`,
	}},
	{"0 7 * * MON-FRI", "0 6 * * MON-FRI", []string{`update services aws_appautoscaling_scheduled_action.web["1"]`}},
	{"tasks: 6..12", "tasks: 8..12", []string{`update services aws_appautoscaling_scheduled_action.web["1"]`}},
	{"requests: 800", "requests: 600", []string{`update services aws_appautoscaling_policy.web["requests"]`}},
	{"php: {memory: 768M}", "php: {memory: 1G}", templates},
	{"connections: 700", "connections: 500", []string{`update data aws_appautoscaling_policy.readers["connections"]`}},
	{"class: db.r6g.large", "class: db.r6g.xlarge", append(
		each("update data aws_rds_cluster_instance.database[%q]", "1", "2", "3"), `update services aws_cloudwatch_metric_alarm.this["database-connections"]`)},
	{"replicas: 1..3", "replicas: 1..2", []string{`update data aws_appautoscaling_target.objects["objects"]`}},
}
