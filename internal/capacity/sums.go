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
		say("%d of %d database connections: (%s + 1 while they are replaced) × (%d php processes + 2), and 0.8 × max_connections %d",
			topology.ConnectionsWanted(tasks+1, children), t.Database.MaxConnections*4/5, webTasks(tasks), children, t.Database.MaxConnections)
		return all
	}
	tasks := mostTasks(t)
	if h := l.Host; h != nil {
		slots, trunk := h.Slots()
		memory, cpu := taskMemory(t), taskCPU(t)
		how := fmt.Sprintf("%d interfaces − 1", h.Interfaces)
		if trunk {
			how = "with its trunk"
		}
		each := min(slots, int((h.Memory-h.forHost())/memory), int(float64(h.CPU)/cpu))
		if each < slots {
			how = "by its memory and CPU"
		}
		say("%d of %d task slots: %s + 1 while they are replaced + %d of cron and jobs, and %d × %s with %d each (%s)",
			tasks+1+extraTasks, each*t.AWS.Hosts.Count.Max, webTasks(tasks), extraTasks, t.AWS.Hosts.Count.Max, h.Type, each, how)
		say("%s memory and %.2f cores a web task, and a %s leaves %s and has %d", Bytes(memory), cpu, h.Type, Bytes(h.Memory-h.forHost()), h.CPU)
	}
	there := t.DatabaseConnections()
	say("%d of %d database connections: (%s + 1 while they are replaced) × (%d php processes + 2), and 0.8 × %d of %s",
		topology.ConnectionsWanted(tasks+1, children), there*4/5, webTasks(tasks), children, there, t.Database.Class)
	return all
}

func webTasks(n int) string {
	if n == 1 {
		return "1 web task"
	}
	return fmt.Sprintf("%d web tasks", n)
}
