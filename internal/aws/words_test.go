package aws

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/topology"
)

func changed(address, action string, attributes ...string) report.Change {
	c := report.Change{Stack: "data", Address: address, Action: action}
	for i := 0; i+2 < len(attributes); i += 3 {
		c.Attributes = append(c.Attributes, report.Attribute{Name: attributes[i], Old: attributes[i+1], New: attributes[i+2]})
	}
	return c
}

// What an edit of platen.yaml does, in words.
func TestChangesInPlainWords(t *testing.T) {
	for want, c := range map[string]report.Change{
		"a third reader is added":        changed(`aws_rds_cluster_instance.database["4"]`, "create"),
		"the second reader is removed":   changed(`aws_rds_cluster_instance.database["3"]`, "delete"),
		"the writer's instance is added": changed(`aws_rds_cluster_instance.database["1"]`, "create"),
		"the first reader is made anew, since it changes: availability zone: a → b": changed(`aws_rds_cluster_instance.database["2"]`, "replace", "availability_zone", "a", "b"),
		"the first reader: instance class: db.r6g.large → db.r6g.xlarge":            changed(`aws_rds_cluster_instance.database["2"]`, "update", "instance_class", "db.r6g.large", "db.r6g.xlarge"),
		"tasks scale to 12 instead of 10":                                           changed("aws_appautoscaling_target.web", "update", "max_capacity", "10", "12"),
		"tasks scale to 12 instead of 10, tasks scale from 4 instead of 3":          changed("aws_appautoscaling_target.web", "update", "max_capacity", "10", "12", "min_capacity", "3", "4"),
		"readers scale to 3 instead of 2":                                           changed(`aws_appautoscaling_target.readers["readers"]`, "update", "max_capacity", "2", "3"),
		"readers scale by themselves from now on":                                   changed(`aws_appautoscaling_target.readers["readers"]`, "create"),
		"hosts scale to 8 instead of 6":                                             changed("aws_autoscaling_group.hosts", "update", "max_size", "6", "8"),
		"hosts are made of ami-b instead of ami-a":                                  changed("aws_launch_template.hosts", "update", "image_id", "ami-a", "ami-b"),
		"hosts are m7g.xlarge instead of m7g.large":                                 changed("aws_launch_template.hosts", "update", "instance_type", "m7g.large", "m7g.xlarge"),
		"the template of web tasks has a new revision, which the next release brings: container definitions.php.memory: 768 → 1024": changed("aws_ecs_task_definition.web", "replace", "container_definitions.php.memory", "768", "1024"),
		"the session store is cache.t4g.small instead of cache.t4g.micro":                                                           changed("aws_elasticache_replication_group.sessions", "update", "node_type", "cache.t4g.micro", "cache.t4g.small"),
		"the object cache is added":                                 changed(`aws_elasticache_replication_group.objects_scaled["objects"]`, "create"),
		"a gateway out is added in eu-west-1b":                      changed(`aws_nat_gateway.this["eu-west-1b"]`, "create"),
		"days for which the logs of php are kept: 30 instead of 14": changed(`aws_cloudwatch_log_group.this["php"]`, "update", "retention_in_days", "14", "30"),
		"alarms go to mailto:a@example.com no more":                 changed(`aws_sns_topic_subscription.alarms["mailto:a@example.com"]`, "delete"),
		"the alarm latency is added":                                changed(`aws_cloudwatch_metric_alarm.this["latency"]`, "create"),
		"the alarm latency: threshold: 2 → 3":                       changed(`aws_cloudwatch_metric_alarm.this["latency"]`, "update", "threshold", "2", "3"),
		"the database: backup retention period: 7 → 14, master: (secret) → (secret)": {Address: "aws_rds_cluster.database", Action: "update", Attributes: []report.Attribute{
			{Name: "backup_retention_period", Old: "7", New: "14"}, {Name: "master", Old: report.Secret, New: report.Secret}}},
		"the firewall cdn: description: none → x": changed(`module.firewall["cdn"].aws_wafv2_web_acl.cdn`, "update", "description", "", "x"),
		"the dashboard follows another change":    changed("aws_cloudwatch_dashboard.this", "update"),
		"the rights of web are added":             changed(`aws_iam_role_policy.task["web"]`, "create"),
		"glue job nightly is removed":             changed("aws_glue_job.nightly", "delete"),
	} {
		if got := say(c); got != want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.Action, c.Address, got, want)
		}
	}
}

// Every kind of resource in the stacks has words of its own.
func TestEveryKindHasWords(t *testing.T) {
	files, err := filepath.Glob("../../terraform/*/*.tf")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^resource "(\w+)" "(\w+)"`).FindAllStringSubmatch(string(data), -1) {
			if nouns[m[1]] == "" && sentences[m[1]] == nil {
				t.Errorf("%s: no words for %s", file, m[1])
			}
			for _, action := range []string{"create", "update", "replace", "delete"} {
				if text := say(changed(m[1]+"."+m[2], action)); text == "" || strings.Contains(text, "_") || strings.Contains(text, "  ") {
					t.Errorf("%s %s.%s: %q", action, m[1], m[2], text)
				}
			}
		}
	}
}

// What loses data is in front and says so, then replacements and removals; a further revision of a
// task template is neither.
func TestPlanPutsTheLossOfDataInFront(t *testing.T) {
	c := newCanned()
	tf := &applied{plan: report.StackPlan{Differs: true, Text: "Terraform's text", Changes: []report.Change{
		{Stack: "shared", Address: "aws_ecs_task_definition.web", Action: "replace"},
		{Stack: "shared", Address: `aws_subnet.private["a"]`, Action: "update"},
		{Stack: "shared", Address: `aws_nat_gateway.this["eu-west-1b"]`, Action: "delete"},
		{Stack: "shared", Address: "aws_efs_file_system.content", Action: "replace", Reason: "it cannot be changed in place"},
	}}}
	p, topo := openCanned(t, c, tf)
	c.stands(t, topo, "ami-1")
	c.whole(t, topo, topology.StackShared)
	plan, err := p.Plan(t.Context(), topo)
	if err != nil {
		t.Fatal(err)
	}
	// Every stack that can be asked has the same changes here; what matters is their order.
	if first := plan.Changes[0]; !first.LosesData || first.Address != "aws_efs_file_system.content" || !strings.Contains(first.Reason, "up does not do it") || first.Says != "the share is made anew" {
		t.Errorf("in front is %+v", first)
	}
	seen := 0
	for _, change := range plan.Changes {
		place := 2
		switch {
		case change.LosesData:
			place = 0
		case change.Action == "delete":
			place = 1
		}
		if place < seen {
			t.Errorf("%s %s comes too late", change.Action, change.Address)
		}
		seen = place
		if change.Says == "" {
			t.Errorf("%s is not in words", change.Address)
		}
		if change.Address == "aws_ecs_task_definition.web" && !change.Harmless {
			t.Error("a further revision of a template is not marked harmless")
		}
	}
	if len(plan.Details) > 0 && plan.Details[0].Text != "Terraform's text" {
		t.Errorf("details %+v", plan.Details)
	}
}

// Before there is anything, the whole is shown from the topology, in words, and says so.
func TestFirstPlanIsFromTheTopology(t *testing.T) {
	c := newCanned()
	tf := &applied{}
	p, topo := openCanned(t, c, tf)
	c.noBucket = true
	plan, err := p.Plan(t.Context(), topo)
	if err != nil {
		t.Fatal(err)
	}
	if len(tf.calls) != 0 {
		t.Errorf("Terraform was asked: %v", tf.calls)
	}
	if has := slices.ContainsFunc(plan.Changes, func(c report.Change) bool {
		return c.Says == "database: Aurora MySQL db.r6g.large, a writer and 1 reader"
	}); !has {
		t.Errorf("no word of the database in %+v", plan.Changes)
	}
	stacks := map[string]bool{}
	for _, change := range plan.Changes {
		stacks[change.Stack] = true
		if !change.FromTopology || change.Says == "" || change.Action != "create" || !strings.HasSuffix(change.Reason, "(from the topology)") {
			t.Errorf("%+v", change)
		}
	}
	if len(stacks) != len(topology.Stacks) {
		t.Errorf("stacks %v", stacks)
	}
}
