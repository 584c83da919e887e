package aws

import (
	"fmt"
	"strings"

	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// fromTopology marks what is shown before there is anything that Terraform can ask.
const fromTopology = " (from the topology)"

// outline is a stack as the topology has it, for a first plan.
func outline(t topology.Topology, stack string) []report.Change {
	a := t.AWS
	var out []report.Change
	add := func(tier, what, format string, args ...any) {
		detail := fmt.Sprintf(format, args...)
		out = append(out, report.Change{Stack: stack, Address: stack + "/" + what, Action: "create", Tier: tier,
			Reason: detail + fromTopology, FromTopology: true, Says: strings.ReplaceAll(what, "_", " ") + ": " + detail})
	}
	switch stack {
	case topology.StackShared:
		gateways := "one gateway out"
		if a.NAT == "per-zone" {
			gateways = "a gateway out in each zone"
		}
		add("network", "network", "%s in three zones, nine subnets, %s", a.CIDR, gateways)
		add("network", "security_groups", "tier to tier")
		add("secrets", "keys", "of data, media and secrets")
		add("images", "repositories", "nginx, wordpress, jobs")
	case topology.StackCluster:
		add("hosts", "hosts", "%s × %s over three zones, filled to %d %%", a.Hosts.Type, span(a.Hosts.Count), a.Hosts.Fill)
		name := "on its own name, plain HTTP"
		if a.Domain != "" {
			name = "https://" + a.Domain
		}
		add("edge", "balancer", "%s", name)
	case topology.StackData:
		add("database", "database", "Aurora MySQL %s, a writer and %s", t.Database.Class, several(a.Readers, "reader"))
		add("sessions", "sessions", "%s on %s with %s", t.Sessions.Engine, t.Sessions.Class, several(a.SessionReplicas, "replica"))
		add("objects", "objects", "%s on %s with %s", t.Objects.Engine, t.Objects.Class, several(a.ObjectReplicas, "replica"))
		add("files", "files", "a file system in three zones; media: %s", t.Files.Media)
		add("secrets", "secrets", "generated, in Secrets Manager alone")
		copies, hours := "", topology.BackupHours(a.Backups.Every)
		if a.Backups.CopyTo != "" {
			copies = ", copied to " + a.Backups.CopyTo
		}
		add("backups", "backups", "every %s%s", several(site.Range{Min: hours, Max: hours}, "hour"), copies)
	case topology.StackServices:
		add("web", "web", "%s of nginx and php; the first release starts them", several(t.AWSTasks(), "task"))
		add("web", "jobs", "one task for cron")
		days := topology.LogDays(a.LogDays)
		to := "nobody (alarms: in platen.yaml is empty)"
		if len(a.Alarms) > 0 {
			to = strings.Join(a.Alarms, ", ")
		}
		add("alarms", "alarms", "to %s; one dashboard; logs for %s", to, several(site.Range{Min: days, Max: days}, "day"))
		if a.CDN {
			add("edge", "cdn", "CloudFront and WAF before the balancer")
		} else {
			add("edge", "firewall", "WAF before the balancer")
		}
	}
	return out
}

// several is a number of things.
func several(r site.Range, what string) string {
	if r.Max != 1 {
		what += "s"
	}
	return span(r) + " " + what
}

func span(r site.Range) string {
	if r.Min == r.Max {
		return fmt.Sprint(r.Min)
	}
	return fmt.Sprintf("%d..%d", r.Min, r.Max)
}
