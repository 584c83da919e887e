package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"platen/internal/report"
	"platen/internal/topology"
)

// Observe looks at what runs. It changes nothing, and works beside every other verb.
func (p *Place) Observe(ctx context.Context, t topology.Topology) (report.Status, error) {
	status := report.Status{Environment: t.Env, Target: "local", URL: t.URL, Healthy: true}
	members, err := p.members(ctx, t)
	if err != nil {
		return status, err
	}
	services := byService(members)
	tasks := webtasks(members)

	type looked struct {
		tier int
		report.Member
	}
	var jobs []func(context.Context) looked
	look := func(tier int, service, role string, probe ...string) {
		m, ok := services[service]
		if !ok {
			return
		}
		jobs = append(jobs, func(ctx context.Context) looked {
			found := p.condition(ctx, m, probe...)
			found.Name, found.Role, found.Image = service, role, m.Image
			if service == topology.ServiceEdge && found.Healthy {
				found.Summary += fmt.Sprintf(", port %d", t.Edge.Port)
			}
			return looked{tier, found}
		})
	}
	tiers := []report.Tier{{Name: "edge"}, {Name: "web"}, {Name: "database"}, {Name: "sessions"}, {Name: "objects"}, {Name: "files"}}
	look(0, topology.ServiceEdge, "balancer")
	look(0, topology.ServiceEndpoints, "balancer")
	for _, w := range tasks {
		jobs = append(jobs, func(ctx context.Context) looked {
			found := p.taskCondition(ctx, t, w)
			found.Name, found.Role = t.WebTask(w.n), "task"
			return looked{1, found}
		})
	}
	for i, node := range t.Database.Nodes {
		look(2, node, role(i, "writer", "reader"), agent, "health", "mariadb")
	}
	for i, node := range t.Sessions.Nodes {
		look(3, node, role(i, "primary", "replica"), agent, "health", "valkey")
	}
	for i, node := range t.Objects.Nodes {
		look(4, node, role(i, "primary", "replica"), agent, "health", "valkey")
	}
	if t.Mail.Catch {
		tiers = append(tiers, report.Tier{Name: "mail"})
		look(6, topology.ServiceMail, "catcher", jobTool, "mail", "health")
	}

	found := make([]looked, len(jobs))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, job := range jobs {
		group.Go(func() error { found[i] = job(groupCtx); return groupCtx.Err() })
	}
	if err := group.Wait(); err != nil {
		return status, err
	}
	for _, l := range found {
		tiers[l.tier].Members = append(tiers[l.tier].Members, l.Member)
	}
	absent, err := p.absentVolumes(ctx, t)
	if err != nil {
		return status, err
	}
	if there := !slices.ContainsFunc(absent, func(v topology.Volume) bool { return v.Name == t.Files.Volume }); there {
		tiers[5].Members = []report.Member{{Name: volumeKey(t, t.Files.Volume), Role: "share", Healthy: true,
			Summary: t.Files.Content, Detail: "volume " + t.Files.Volume}}
	}
	seen := p.seenFromSite(ctx, t, tasks)
	for i, tier := range tiers {
		if broken := seen[tier.Name]; broken != "" && len(tier.Members) > 0 {
			first := &tiers[i].Members[0]
			first.Healthy, first.Summary, first.Detail = false, broken, broken+", "+first.Detail
		}
	}

	var releases []string
	for _, w := range tasks {
		if !slices.Contains(releases, w.release) {
			releases = append(releases, w.release)
		}
	}
	slices.Sort(releases)
	status.Release = strings.Join(releases, ",")
	for i := range tiers {
		members := tiers[i].Members
		// Two balancers of different things are no redundancy.
		tiers[i].Redundant = len(members) > 1 && tiers[i].Name != "edge"
		unwell := slices.ContainsFunc(members, func(m report.Member) bool { return !m.Healthy })
		status.Healthy = status.Healthy && !unwell && len(members) > 0
	}
	status.Healthy = status.Healthy && len(tasks) >= t.Web.Tasks.Min
	status.Tiers = tiers
	return status, nil
}

func role(i int, first, others string) string {
	if i == 0 {
		return first
	}
	return others
}

// patienceLook bounds one look at one member: a frozen container answers nothing.
const patienceLook = 5 * time.Second

// condition tells whether a container runs and its agent is content, and what a person may want
// to know of it.
func (p *Place) condition(ctx context.Context, m member, probe ...string) report.Member {
	ctx, cancel := context.WithTimeout(ctx, patienceLook)
	defer cancel()
	found, err := p.api.ContainerInspect(ctx, m.ID, client.ContainerInspectOptions{})
	if err != nil {
		return report.Member{Summary: err.Error(), Detail: err.Error()}
	}
	state, detail := found.Container.State, describe(found.Container)
	unwell := func(why string) report.Member { return report.Member{Summary: why, Detail: why + ", " + detail} }
	if !state.Running || state.Paused {
		return unwell(string(state.Status))
	}
	if len(probe) > 0 {
		if _, err := p.ask(ctx, m.ID, probe...); err != nil {
			return unwell(err.Error())
		}
	}
	return report.Member{Healthy: true, Summary: summarize(found.Container, time.Now()), Detail: detail}
}

// taskCondition is the condition of a web task: both containers, what php says of the whole, and
// whether the edge sends it visitors.
func (p *Place) taskCondition(ctx context.Context, t topology.Topology, w webtask) report.Member {
	release := "release " + w.release + ", "
	for _, service := range taskServices(t, w.n) {
		m, ok := w.containers[service]
		why := service + " is missing"
		if ok {
			why = service + " is " + string(m.State)
		}
		if !ok || !m.running() {
			return report.Member{Summary: why, Detail: release + why}
		}
	}
	php := w.containers[t.WebPHP(w.n)]
	found := p.condition(ctx, php, agent, "health", "task")
	if found.Healthy {
		ctx, cancel := context.WithTimeout(ctx, patienceLook)
		defer cancel()
		if err := p.servedByEdge(ctx, t, php, w.containers[t.WebNginx(w.n)]); err != nil {
			why := "it gets no visitors: " + err.Error()
			found = report.Member{Summary: why, Detail: why + ", " + found.Detail}
		}
	}
	found.Detail = release + found.Detail
	if found.Healthy {
		found.Summary = release + found.Summary
	}
	return found
}

// seenFromSite asks a web task what it sees of the tiers behind it: tier → what is wrong. A member
// may be well and yet not be reached. Empty when no task can tell.
func (p *Place) seenFromSite(ctx context.Context, t topology.Topology, tasks []webtask) map[string]string {
	i := slices.IndexFunc(tasks, func(w webtask) bool { return w.whole(t) })
	if i < 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*patienceLook)
	defer cancel()
	// It fails when a tier does; the answer is there all the same.
	answer, _ := p.ask(ctx, tasks[i].containers[t.WebPHP(tasks[i].n)].ID, agent, "site")
	var site struct {
		Checks map[string]struct {
			OK    bool   `json:"ok"`
			Error string `json:"error"`
		} `json:"checks"`
	}
	if json.Unmarshal([]byte(answer), &site) != nil {
		return nil // it says nothing: the tier web says why
	}
	broken := map[string]string{}
	for tier, check := range site.Checks {
		if !check.OK {
			broken[tier] = "the site does not reach it: " + check.Error
		}
	}
	return broken
}

// describe is what a person may want to know of a container: image, age, restarts.
func describe(c container.InspectResponse) string {
	parts := []string{c.Config.Image}
	if started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt); err == nil && c.State.Running {
		parts = append(parts, "since "+started.UTC().Format(time.RFC3339))
	}
	if c.RestartCount > 0 {
		parts = append(parts, fmt.Sprintf("restarted %d times", c.RestartCount))
	}
	return strings.Join(parts, ", ")
}

// summarize is what of it fits into a line.
func summarize(c container.InspectResponse, now time.Time) string {
	text := "up"
	if started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt); err == nil {
		text = "up " + age(now.Sub(started))
	}
	switch {
	case c.RestartCount == 1:
		text += ", restarted once"
	case c.RestartCount > 1:
		text += fmt.Sprintf(", restarted %d times", c.RestartCount)
	}
	return text
}

// age is a duration as a person says it.
func age(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}} {
		if d >= 2*unit.size {
			return fmt.Sprintf("%d %s", d/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", max(0, d)/time.Second)
}
