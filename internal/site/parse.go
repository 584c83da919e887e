package site

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"platen/internal/report"
)

// Parse reads a platen.yaml. file is its name for messages. Everything that is wrong is
// reported at once, as *Errors; a Site that is returned is valid in all its environments.
func Parse(file string, data []byte) (*Site, error) {
	out := newFindings(file, data)
	root := read(data, out)
	if root == nil {
		return nil, out.err()
	}
	grammar().check("", root, out)
	s := &Site{Name: textOr(root.get("name"), ""), File: file, environments: map[string]Spec{}}
	for _, e := range environments(root, out) {
		merged := overlay(root, e)
		judge(e, merged, out)
		s.order = append(s.order, e.key)
		s.environments[e.key] = decode(s.Name, e.key, merged)
	}
	if err := out.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Default is the site of a folder without a platen.yaml: its name is the folder's, and it
// has one environment, local.
func Default(folder string) *Site {
	root := &node{kind: mapping}
	e := entry{key: string(Local), value: &node{kind: mapping}}
	s := &Site{Name: nameOf(folder), order: []string{e.key}}
	s.environments = map[string]Spec{e.key: decode(s.Name, e.key, overlay(root, e))}
	return s
}

// nameOf makes a name that nameRule takes out of a folder's.
func nameOf(folder string) string {
	base := strings.ToLower(path.Base(strings.ReplaceAll(folder, `\`, "/")))
	base = compile(`[^a-z0-9]+`).ReplaceAllString(base, "-")
	base = strings.TrimLeft(base, "-0123456789")
	base = strings.TrimRight(base[:min(len(base), 32)], "-")
	if base == "" {
		return "wordpress"
	}
	return base
}

// ErrNoEnvironment is wrapped by the error of Environment for a name that is not there.
var ErrNoEnvironment = errors.New("no such environment")

// Environment returns one environment; an unknown name's error lists those there are.
func (s *Site) Environment(name string) (Spec, error) {
	spec, ok := s.environments[name]
	if !ok {
		err := fmt.Errorf("%w: %q; %s has %s", ErrNoEnvironment, name, s.Name, strings.Join(s.order, ", "))
		if near := nearest(name, s.order); near != "" {
			return Spec{}, report.Hint(err, "did you mean %s?", near)
		}
		return Spec{}, err
	}
	return spec, nil
}

// Environments lists the environments in the order of the file.
func (s *Site) Environments() []string { return slices.Clone(s.order) }

// environments are those of the file that can be looked at, or local when none is named.
func environments(root *node, out *findings) []entry {
	all := root.entry("environments")
	if all == nil {
		return []entry{{key: string(Local), position: root.position, value: &node{kind: mapping, position: root.position}}}
	}
	if all.value.kind != mapping {
		return nil
	}
	if len(all.value.entries) == 0 {
		out.add(all.position, "leave the key out for one environment, local", "environments: names none")
	}
	var found []entry
	for _, e := range all.value.entries {
		if e.value.kind == mapping {
			found = append(found, e)
		}
	}
	return found
}

// overlay is an environment over the rest of the file. size: small means one of each: more
// than the rest of the file says, less than the environment itself.
func overlay(root *node, e entry) *node {
	base := &node{kind: mapping, position: root.position}
	for _, r := range root.entries {
		if r.key != "environments" {
			base.entries = append(base.entries, r)
		}
	}
	if textOr(e.value.get("size"), "ha") == "small" {
		base = merge(base, oneOfEach())
	}
	return merge(base, e.value)
}

func oneOfEach() *node {
	tier := func(name, key string, n int) entry {
		value := &node{kind: integer, text: fmt.Sprint(n), value: Range{n, n}}
		return entry{key: name, value: &node{kind: mapping, entries: []entry{{key: key, value: value}}}}
	}
	return &node{kind: mapping, entries: []entry{
		tier("web", "tasks", 1), tier("database", "readers", 0), tier("sessions", "replicas", 0), tier("objects", "replicas", 0),
	}}
}

// valueOr is what a rule made of a node, or the default when it is not there or wrong.
func valueOr[T any](n *node, otherwise T) T {
	if n == nil {
		return otherwise
	}
	if v, ok := n.value.(T); ok {
		return v
	}
	return otherwise
}

func textOr(n *node, otherwise string) string { return valueOr(n, otherwise) }

func texts(n *node) []string {
	if n == nil {
		return nil
	}
	var all []string
	for _, item := range n.items {
		all = append(all, textOr(item, ""))
	}
	return all
}

func addons(n *node) []Addon {
	if n == nil {
		return nil
	}
	var all []Addon
	for _, item := range n.items {
		all = append(all, Addon{
			Path: textOr(item, ""), URL: textOr(item.get("url"), ""), SHA256: textOr(item.get("sha256"), ""),
		})
	}
	return all
}

func textMap(n *node) map[string]string {
	if n == nil || len(n.entries) == 0 {
		return nil
	}
	all := map[string]string{}
	for _, e := range n.entries {
		all[e.key] = textOr(e.value, "")
	}
	return all
}

// decode fills in a Spec. All defaults are here.
func decode(name, env string, n *node) Spec {
	target := targetOf(env, n)
	sizeName := ""
	readers, replicas := Range{1, 1}, Range{1, 1}
	if target == Local {
		sizeName = textOr(n.get("size"), "ha")
		readers, replicas = Range{2, 2}, Range{2, 2}
	}
	s := Spec{
		Name: name, Environment: env, Target: target, Size: sizeName,
		Title: textOr(n.get("title"), name),
		Admin: Admin{User: textOr(n.get("admin", "user"), "admin"), Email: textOr(n.get("admin", "email"), "admin@example.com")},
		WordPress: WordPress{
			Source:  textOr(n.get("wordpress", "source"), "debian"),
			Content: textOr(n.get("wordpress", "content"), "shared"),
			Plugins: addons(n.get("wordpress", "plugins")),
			Themes:  addons(n.get("wordpress", "themes")),
		},
		Image: Image{
			Packages: texts(n.get("image", "packages")),
			Files:    textMap(n.get("image", "files")),
			Mirror:   textOr(n.get("image", "mirror"), ""),
		},
		Images: textMap(n.get("images")),
		Web:    decodeWeb(n.get("web")),
		Database: Database{
			Readers: valueOr(n.get("database", "readers"), readers),
			Class:   textOr(n.get("database", "class"), "db.t4g.medium"),
			Scale: DatabaseScale{
				CPU:         valueOr(n.get("database", "scale", "cpu"), 0),
				Connections: valueOr(n.get("database", "scale", "connections"), 0),
			},
		},
		Sessions: decodeCache(n.get("sessions"), replicas),
		Objects:  decodeCache(n.get("objects"), Range{1, 1}),
		Files:    Files{Media: textOr(n.get("files", "media"), "shared")},
		Backups:  decodeBackups(n.get("backups")),
		Mail: Mail{
			SMTP: textOr(n.get("mail", "smtp"), ""),
			From: textOr(n.get("mail", "from"), "wordpress@"+textOr(n.get("domain"), name+".localhost")),
			User: textOr(n.get("mail", "user"), ""),
		},
	}
	if target == Local {
		s.Port = valueOr(n.get("port"), 8080)
	} else {
		s.AWS = decodeAWS(n)
	}
	return s
}

func targetOf(env string, n *node) Target {
	otherwise := ""
	if env == string(Local) {
		otherwise = env
	}
	return Target(textOr(n.get("target"), otherwise))
}

func decodeWeb(n *node) Web {
	w := Web{
		Tasks: valueOr(n.get("tasks"), Range{2, 2}),
		Scale: WebScale{CPU: valueOr(n.get("scale", "cpu"), 0), Requests: valueOr(n.get("scale", "requests"), 0)},
		PHP: PHP{
			Container: Container{CPU: valueOr(n.get("php", "cpu"), 0.5), Memory: valueOr(n.get("php", "memory"), 384*mib)},
			Upload:    valueOr(n.get("php", "upload"), 32*mib),
			Env:       textMap(n.get("php", "env")),
			Settings:  textMap(n.get("php", "settings")),
		},
		Nginx: Container{CPU: valueOr(n.get("nginx", "cpu"), 0.1), Memory: valueOr(n.get("nginx", "memory"), 96*mib)},
	}
	if schedule := n.get("schedule"); schedule != nil {
		for _, item := range schedule.items {
			w.Schedule = append(w.Schedule, Schedule{Cron: textOr(item.get("cron"), ""), Tasks: valueOr(item.get("tasks"), Range{})})
		}
	}
	return w
}

func decodeCache(n *node, replicas Range) Cache {
	return Cache{
		Replicas: valueOr(n.get("replicas"), replicas),
		Class:    textOr(n.get("class"), "cache.t4g.micro"),
		Engine:   textOr(n.get("engine"), "valkey"),
		Memory:   valueOr(n.get("memory"), 128*mib),
	}
}

func decodeBackups(n *node) Backups {
	keep := n.get("keep")
	k := Keep{Daily: 7, Weekly: 4}
	if keep != nil {
		k = Keep{
			Hourly: valueOr(keep.get("hourly"), 0), Daily: valueOr(keep.get("daily"), 0),
			Weekly: valueOr(keep.get("weekly"), 0), Monthly: valueOr(keep.get("monthly"), 0),
		}
	}
	return Backups{Every: valueOr(n.get("every"), 24*time.Hour), Keep: k, CopyTo: textOr(n.get("copy_to"), "")}
}

func decodeAWS(n *node) *AWSSpec {
	tags := textMap(n.get("tags"))
	return &AWSSpec{
		Account: textOr(n.get("account"), ""), Region: textOr(n.get("region"), ""),
		Tags:      maps.Clone(tags),
		StateLock: textOr(n.get("state", "lock"), "s3"),
		CIDR:      textOr(n.get("network", "cidr"), "10.20.0.0/16"),
		NAT:       textOr(n.get("network", "nat"), "single"),
		Domain:    textOr(n.get("domain"), ""),
		CDN:       valueOr(n.get("cdn"), false),
		Hosts: Hosts{
			Type:  textOr(n.get("hosts", "type"), "t4g.medium"),
			Count: valueOr(n.get("hosts", "count"), Range{1, 3}),
			Fill:  valueOr(n.get("hosts", "fill"), 100),
			Step:  valueOr(n.get("hosts", "step"), Range{1, 2}),
		},
		LogDays: valueOr(n.get("logs", "days"), 14),
		Alarms:  texts(n.get("alarms")),
	}
}
