package site

import "strings"

// judge reports what is wrong between the keys of one environment. A problem stands where
// the value that wins was written: in the environment, or in the rest of the file.
func judge(e entry, n *node, out *findings) {
	label := "environments." + e.key
	target := targetOf(e.key, n)
	switch {
	case n.get("target") == nil && target == "":
		out.add(e.position, "target: local or target: aws", "%s: has no target", label)
	case target == Local:
		foreign(e, label, awsKeys, AWS, out)
	case target == AWS:
		foreign(e, label, localKeys, Local, out)
		judgeAWS(e, label, n, out)
	}
	judgeSessions(n, out)
	for _, key := range []string{"sessions", "objects"} {
		if engine := n.get(key, "engine"); target == Local && textOr(engine, "") == "redis" {
			out.add(engine.position, "write redis in the environments on AWS only", "%s.engine: redis needs target aws: %s is local, and runs valkey", key, label)
		}
	}
	judgeMail(n, target, out)
	if media := n.get("files", "media"); textOr(media, "") == "s3" {
		if target == Local {
			out.add(media.position, "write s3 in the environments on AWS only", "files.media: s3 needs target aws, and %s is local", label)
		} else if cdn := n.get("cdn"); target == AWS && !valueOr(cdn, cdn != nil && cdn.value == nil) {
			out.add(media.position, "write cdn: true below "+label, "files.media: s3 needs the CDN, and %s has none", label)
		}
	}
}

// foreign reports the keys of another target.
func foreign(e entry, label string, keys []string, owner Target, out *findings) {
	for _, key := range keys {
		if found := e.value.entry(key); found != nil {
			out.add(found.position, "take it out, or write target: "+string(owner), "%s.%s: belongs to target %s", label, key, owner)
		}
	}
}

func judgeAWS(e entry, label string, n *node, out *findings) {
	for _, key := range []string{"account", "region"} {
		if n.get(key) == nil {
			out.add(e.position, grammar().field("environments").item.field(key).doc, "%s: %q is missing", label, key)
		}
	}
	if n.get("admin", "email") == nil {
		out.add(e.position, "admin: {email: you@your.domain}", "%s: admin.email is missing", label)
	}
	replicas := n.get("objects", "replicas")
	class := textOr(n.get("objects", "class"), "cache.t4g.micro")
	if r := valueOr(replicas, Range{}); r.Min != r.Max && !autoscales(class) {
		out.add(replicas.position, "write one number, or take a class such as cache.r7g.large",
			"objects.replicas: %d..%d is a range, and %s cannot autoscale", r.Min, r.Max, class)
	}
	if to := n.get("backups", "copy_to"); to != nil && to.value != nil && to.value == valueOr[any](n.get("region"), "") {
		out.add(to.position, "name another region", "backups.copy_to: %s is the region of %s itself", to.text, label)
	}
}

// judgeSessions holds on every target, so that the file that works here works there.
func judgeSessions(n *node, out *findings) {
	replicas := n.get("sessions", "replicas")
	if r := valueOr(replicas, Range{}); r.Min != r.Max {
		out.add(replicas.position, "write one number",
			"sessions.replicas: %d..%d is a range, and PHP cannot lock sessions in a store that autoscales", r.Min, r.Max)
	}
}

func judgeMail(n *node, target Target, out *findings) {
	server, user := n.get("mail", "smtp"), n.get("mail", "user")
	if user != nil && server == nil {
		out.add(user.position, "mail: {smtp: host:587}", "mail.user: there is no mail.smtp to log in at")
	}
	if server != nil && n.get("mail", "from") == nil && n.get("domain") == nil {
		out.add(server.position, "mail: {from: blog@your.domain}", "mail.from is missing: a mail server takes nothing from wordpress@localhost")
	}
}

// scalingFamilies can have replicas added by ElastiCache's autoscaling, in the sizes large
// to 2xlarge (AWS, "Auto Scaling Valkey and Redis OSS clusters").
var scalingFamilies = []string{"r5", "r6g", "r6gd", "r7g", "m5", "m6g", "m7g", "c7gn"}

func autoscales(class string) bool {
	family, size, _ := strings.Cut(strings.TrimPrefix(class, "cache."), ".")
	for _, f := range scalingFamilies {
		if f == family {
			return size == "large" || size == "xlarge" || size == "2xlarge"
		}
	}
	return false
}
