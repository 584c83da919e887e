package capacity

import (
	"fmt"

	"platen/internal/topology"
)

// sums say how much of each limit the topology takes at most, with the arithmetic: what a person
// wants to know of a verdict that is yes.
func sums(t topology.Topology, l Limits) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	children := t.Web.Config.PHP.Children
	if t.AWS == nil {
		if l.Memory > 0 {
			steady, peak := t.CalculateMemory(), max(t.TaskMemory(), t.JobLimits.Memory)
			say("%s of %s memory: %s at rest + %s while a task is replaced or a job runs", Bytes(steady+peak), Bytes(l.Memory), Bytes(steady), Bytes(peak))
		}
		tasks := t.Web.Tasks.Max
		say("%d of %d database connections: (%s + 1 while they are replaced) × (%d php processes + %d), and 0.8 × max_connections %d",
			topology.ConnectionsWanted(tasks+1, children), t.Database.MaxConnections*4/5, webTasks(tasks), children, topology.ExtraConnections, t.Database.MaxConnections)
		return all
	}
	standing := t.DeployingTasks()
	if h := l.Host; h != nil {
		web, job := demands(t)
		count := t.AWS.Hosts.Count.Max
		each, by := h.holds(web)
		say("%d of %d web tasks that the hosts hold beside cron and a job: %s; %d × %s with %d each (%s), and a web task takes %s",
			standing, h.room(count, job, web), replaced(t), count, h.Type, each, by, web)
	}
	there := t.DatabaseConnections()
	say("%d of %d database connections: %d tasks × (%d php processes + %d), and 0.8 × %d of %s",
		topology.ConnectionsWanted(standing, children), there*4/5, standing, children, topology.ExtraConnections, there, t.Database.Class)
	return all
}

func webTasks(n int) string {
	if n == 1 {
		return "1 web task"
	}
	return fmt.Sprintf("%d web tasks", n)
}
