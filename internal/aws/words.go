package aws

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"platen/internal/report"
)

// say is a change in plain words: for what people edit a sentence of its own, else the kind of
// thing, its name and what changes.
func say(c report.Change) string {
	kind, name, key := resourceOf(c.Address)
	if told, ok := sentences[kind]; ok {
		if text := told(c, name, key); text != "" {
			return text
		}
	}
	thing := nouns[kind]
	if thing == "" {
		thing = strings.ReplaceAll(strings.TrimPrefix(kind, "aws_"), "_", " ")
	}
	if which := named(name, key); which != "" && !slices.Contains(alone, kind) {
		thing += " " + which
	}
	switch c.Action {
	case "create":
		return thing + are(thing) + "added"
	case "delete":
		return thing + are(thing) + "removed"
	case "replace":
		return thing + are(thing) + "made anew" + because(c)
	default:
		if text := altered(c.Attributes, nil); text != "" {
			return thing + ": " + text
		}
		// All that changes is known only afterwards: a version, an address of something else.
		if plural.MatchString(thing) {
			return thing + " follow another change"
		}
		return thing + " follows another change"
	}
}

// plural are the heads of nouns that are several.
var plural = regexp.MustCompile(`^(?:the|AWS' own|the [a-z]+'s?) (?:logs|rights|settings|routes|subnets|versions)\b`)

func are(thing string) string {
	if plural.MatchString(thing) {
		return " are "
	}
	return " is "
}

// alone are kinds of which there is one: its name tells nothing.
var alone = []string{
	"aws_autoscaling_group", "aws_db_subnet_group", "aws_default_security_group", "aws_ecs_capacity_provider", "aws_efs_access_point", "aws_efs_file_system", "aws_efs_file_system_policy",
	"aws_elasticache_subnet_group", "aws_iam_instance_profile", "aws_launch_template", "aws_lb_target_group", "aws_rds_cluster", "aws_rds_cluster_parameter_group",
	"aws_sns_topic", "aws_sns_topic_policy", "aws_wafv2_web_acl_association",
}

// nouns of kinds of resources, in a person's words.
var nouns = map[string]string{
	"aws_acm_certificate": "the certificate", "aws_acm_certificate_validation": "the certificate's validation",
	"aws_appautoscaling_policy": "the rule that scales", "aws_appautoscaling_scheduled_action": "the scaling by schedule",
	"aws_autoscaling_group": "the group of hosts", "aws_backup_plan": "the plan of backups", "aws_backup_selection": "what is backed up",
	"aws_backup_vault": "the vault of backups", "aws_cloudfront_distribution": "the CDN", "aws_cloudfront_cache_policy": "the CDN's caching of",
	"aws_cloudfront_origin_access_control": "the CDN's access to", "aws_cloudfront_origin_request_policy": "what the CDN passes on to", "aws_cloudfront_vpc_origin": "the CDN's way to",
	"aws_cloudwatch_dashboard": "the dashboard", "aws_cloudwatch_event_rule": "the watch for", "aws_cloudwatch_event_target": "the notice of",
	"aws_cloudwatch_log_group": "the logs of", "aws_cloudwatch_log_metric_filter": "the metric out of logs", "aws_cloudwatch_metric_alarm": "the alarm",
	"aws_db_subnet_group": "the database's subnets", "aws_default_security_group": "the network's own security group", "aws_ecr_lifecycle_policy": "the clearing of old images of", "aws_ecr_repository": "the repository of images",
	"aws_ecs_capacity_provider": "the scaling of hosts", "aws_ecs_cluster": "the cluster", "aws_ecs_cluster_capacity_providers": "the cluster's scaling of hosts",
	"aws_ecs_service": "the service", "aws_ecs_task_definition": "the task template", "aws_efs_access_point": "the access to the share", "aws_efs_file_system": "the share",
	"aws_efs_file_system_policy": "the rights on the share", "aws_efs_mount_target": "the share in a zone", "aws_eip": "the address of the gateway",
	"aws_elasticache_parameter_group": "the settings of the cache", "aws_elasticache_replication_group": "the cache", "aws_elasticache_subnet_group": "the caches' subnets",
	"aws_flow_log": "the network's log", "aws_iam_instance_profile": "the hosts' role", "aws_iam_role": "the role", "aws_iam_role_policy": "the rights of",
	"aws_iam_role_policy_attachment": "AWS' own rights for", "aws_internet_gateway": "the way to the internet", "aws_kms_alias": "the name of the key",
	"aws_kms_key": "the key", "aws_launch_template": "what hosts are made of", "aws_lb": "the balancer", "aws_lb_listener": "the balancer's listener",
	"aws_lb_target_group": "the balancer's list of tasks", "aws_nat_gateway": "the gateway out", "aws_rds_cluster": "the database",
	"aws_rds_cluster_instance": "the database's instance", "aws_rds_cluster_parameter_group": "the database's settings", "aws_route53_record": "the DNS record",
	"aws_route": "the route", "aws_route_table": "the routes", "aws_route_table_association": "the routes of the subnet", "aws_s3_bucket": "the bucket", "aws_secretsmanager_secret": "the secret",
	"aws_security_group": "the security group", "aws_sns_topic": "the topic of alarms", "aws_sns_topic_policy": "who may send alarms", "aws_sns_topic_subscription": "the receiver of alarms",
	"aws_subnet": "the subnet", "aws_vpc": "the network", "aws_vpc_endpoint": "the network's way to AWS' service", "aws_wafv2_web_acl": "the firewall",
	"aws_wafv2_web_acl_association": "the firewall's place before the balancer", "aws_wafv2_web_acl_logging_configuration": "the firewall's log",
	"aws_vpc_security_group_ingress_rule": "the way in", "aws_vpc_security_group_egress_rule": "the way out",
	"aws_s3_bucket_lifecycle_configuration": "how long things stay in the bucket", "aws_s3_bucket_policy": "the rights on the bucket",
	"aws_s3_bucket_versioning": "the versions in the bucket", "aws_s3_bucket_public_access_block": "the closing of the bucket",
	"aws_s3_bucket_ownership_controls": "who owns what is in the bucket", "aws_s3_bucket_server_side_encryption_configuration": "the encryption of the bucket",
	"terraform_data": "a value kept by Terraform,",
}

// sentences of kinds that edits of platen.yaml reach. "" falls back on the general words.
var sentences = map[string]func(c report.Change, name, key string) string{
	"aws_rds_cluster_instance": func(c report.Change, _, key string) string {
		who := "the writer's instance"
		if n := member(key); n > 0 {
			who = ordinal(n) + " reader"
		}
		return instance(c, who, member(key) > 0, nil)
	},
	"aws_appautoscaling_target": func(c report.Change, name, _ string) string {
		what := map[string]string{"web": "tasks scale", "readers": "readers scale", "objects": "the object cache's replicas scale"}[name]
		if what == "" {
			return ""
		}
		switch c.Action {
		case "create":
			return what + " by themselves from now on"
		case "delete":
			return what + " by themselves no more"
		case "update":
			return altered(c.Attributes, map[string]string{"max_capacity": what + " to", "min_capacity": what + " from"})
		}
		return ""
	},
	"aws_autoscaling_group": func(c report.Change, _, _ string) string {
		return ifUpdate(c, "hosts", map[string]string{"max_size": "hosts scale to", "min_size": "hosts scale from", "launch_template.version": ""})
	},
	"aws_launch_template": func(c report.Change, _, _ string) string {
		return ifUpdate(c, "hosts are made anew, one after the other", map[string]string{"image_id": "hosts are made of", "instance_type": "hosts are", "latest_version": "", "default_version": ""})
	},
	"aws_ecs_capacity_provider": func(c report.Change, _, _ string) string {
		p := "auto_scaling_group_provider.managed_scaling."
		return ifUpdate(c, "the scaling of hosts", map[string]string{
			p + "target_capacity": "hosts are filled to", p + "maximum_scaling_step_size": "hosts are added at most", p + "minimum_scaling_step_size": "hosts are added at least",
		})
	},
	"aws_ecs_task_definition": func(c report.Change, name, _ string) string {
		if c.Action == "create" || c.Action == "delete" {
			return ""
		}
		text := "the template of " + name + " tasks has a new revision, which the next release brings"
		if changes := altered(c.Attributes, nil); changes != "" {
			text += ": " + changes
		}
		return text
	},
	"aws_elasticache_replication_group": func(c report.Change, name, _ string) string {
		store := "the session store"
		if !strings.HasPrefix(name, "sessions") {
			store = "the object cache"
		}
		return instance(c, store, false, map[string]string{"node_type": store + " is", "replicas_per_node_group": store + "'s replicas are", "num_cache_clusters": store + "'s nodes are"})
	},
	"aws_nat_gateway": func(c report.Change, _, key string) string {
		if key == "" {
			return ""
		}
		return map[string]string{"create": "a gateway out is added in " + key, "delete": "the gateway out in " + key + " is removed"}[c.Action]
	},
	"aws_cloudwatch_log_group": func(c report.Change, name, key string) string {
		logs := strings.TrimSpace("the logs of " + named(name, key))
		return ifUpdate(c, logs, map[string]string{"retention_in_days": "days for which " + logs + " are kept:"})
	},
	"aws_sns_topic_subscription": func(c report.Change, _, key string) string {
		if key == "" {
			return ""
		}
		return map[string]string{"create": "alarms go to " + key + " too", "delete": "alarms go to " + key + " no more"}[c.Action]
	},
}

// instance is a sentence about a thing that comes, goes or changes.
func instance(c report.Change, who string, several bool, words map[string]string) string {
	switch c.Action {
	case "create":
		if several {
			return "a " + who + " is added"
		}
		return who + " is added"
	case "delete":
		if several {
			who = "the " + who
		}
		return who + " is removed"
	case "replace":
		if several {
			who = "the " + who
		}
		return who + " is made anew" + because(c)
	}
	if several {
		who = "the " + who
	}
	return ifUpdate(c, who, words)
}

// ifUpdate says what an update alters; "" for another action.
func ifUpdate(c report.Change, who string, words map[string]string) string {
	if c.Action != "update" {
		return ""
	}
	text := altered(c.Attributes, words)
	if text == "" {
		return "" // the general words
	}
	// A sentence of its own needs no subject; names of attributes do.
	if !slices.ContainsFunc(c.Attributes, func(a report.Attribute) bool { return words[a.Name] != "" }) {
		return who + ": " + text
	}
	return text
}

// altered says attributes: one with words as "tasks scale to 12 instead of 10", another as
// "name: old → new". Words of "" leave it out.
func altered(attributes []report.Attribute, words map[string]string) string {
	var parts, rest []string
	for _, a := range attributes {
		word, ok := words[a.Name]
		switch {
		case ok && word == "":
		case ok && a.Old != "":
			parts = append(parts, fmt.Sprintf("%s %s instead of %s", word, orNone(a.New), a.Old))
		case ok:
			parts = append(parts, word+" "+orNone(a.New))
		default:
			rest = append(rest, fmt.Sprintf("%s: %s → %s", strings.ReplaceAll(a.Name, "_", " "), orNone(a.Old), orNone(a.New)))
		}
	}
	const most = 6
	if len(rest) > most {
		rest = append(rest[:most], fmt.Sprintf("and %d more", len(rest)-most))
	}
	return strings.Join(append(parts, rest...), ", ")
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// because names what makes a replacement necessary, as far as Terraform says it.
func because(c report.Change) string {
	if text := altered(c.Attributes, nil); text != "" {
		return ", since it changes: " + text
	}
	return ""
}

// named is a resource's own name for a person: the key of its instance, else its name, unless that
// says nothing.
func named(name, key string) string {
	if key != "" {
		return key
	}
	if name == "this" {
		return ""
	}
	return strings.ReplaceAll(name, "_", " ")
}

// resourceOf takes an address apart: kind, name and key, without modules. Of a resource without a
// key in a module with one, that is the key.
func resourceOf(address string) (kind, name, key string) {
	if i := strings.LastIndexByte(address, '['); i >= 0 {
		key, _, _ = strings.Cut(address[i+1:], "]")
		key = strings.Trim(key, `"`)
	}
	kind, name = kindOf(brackets.ReplaceAllString(address, ""))
	return kind, name, key
}

var brackets = regexp.MustCompile(`\["?[^\]]*\]`)

// member is which reader a database's instance is, by its key; 0 is the first writer.
func member(key string) int {
	n := 0
	if _, err := fmt.Sscanf(key, "%d", &n); err != nil || n < 1 {
		return 0
	}
	return n - 1
}

func ordinal(n int) string {
	words := []string{"zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
	if n < len(words) {
		return words[n]
	}
	return fmt.Sprintf("%dth", n)
}

// harmless are replacements that take nothing away: a task definition is never changed, it has a
// further revision.
var harmless = []string{"aws_ecs_task_definition"}

func isHarmless(address string) bool {
	kind, _, _ := resourceOf(address)
	return slices.Contains(harmless, kind)
}
