package capacity

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"platen/internal/topology"
)

// Host is what one EC2 instance has.
type Host struct {
	Type       string
	CPU        int   // vCPUs
	Memory     int64 // bytes
	Interfaces int   // network interfaces; one is the host's own
}

// trunked is how many tasks with an address of their own ECS places on an instance with a trunk,
// by size, for the Graviton families (AWS, "Increasing Amazon ECS Linux container instance
// network interfaces").
var trunked = map[string]int{"medium": 4, "large": 10, "xlarge": 20, "2xlarge": 40, "4xlarge": 60, "8xlarge": 60, "12xlarge": 60, "16xlarge": 120}

// graviton are the families that trunked holds for.
var graviton = []string{"m6g", "c6g", "r6g", "m7g", "c7g", "r7g", "m6gd", "c6gd", "r6gd", "m7gd", "c7gd", "r7gd", "c6gn", "c7gn"}

// branches are EKS' branch interfaces by size. ECS' numbers of the other families are higher;
// what fits here fits there.
var branches = map[string]int{"large": 9, "xlarge": 18, "2xlarge": 38, "4xlarge": 54, "8xlarge": 54, "9xlarge": 54, "12xlarge": 54, "16xlarge": 107, "18xlarge": 107, "24xlarge": 107}

// Slots is how many tasks with a network interface of their own fit on a host: one interface is
// the host's, and a trunk, where the type has one, carries more.
func (h Host) Slots() (slots int, trunk bool) {
	plain := h.Interfaces - 1
	if !topology.Trunks(h.Type) {
		return plain, false
	}
	family, size, _ := strings.Cut(h.Type, ".")
	n := branches[size]
	switch {
	case h.Type == "m7i-flex.large":
		n = 3
	case slices.Contains(graviton, family):
		n = trunked[size]
	}
	if n <= plain {
		return plain, false
	}
	return n, true
}

const mib = 1 << 20

// forHost is what a host keeps for itself: the system, Docker and the ECS agent. ECS registers
// about this much less than the instance has (AWS, "Container instance memory management").
func (h Host) forHost() int64 { return max(256*mib, h.Memory/20) }

// cron is the one-task service that runs cron, and a job that runs beside it.
const extraTasks = 2

// checkAWS is Check's part for an environment on AWS: what no plan of Terraform's would say, and
// what AWS would say at night.
func checkAWS(t topology.Topology, h *Host) []string {
	var reasons []string
	say := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	tasks := mostTasks(t)
	children := t.Web.Config.PHP.Children

	if r := connections(t, tasks, children); r != "" {
		reasons = append(reasons, r)
	}
	if r := t.AWS.ObjectReplicas; r.Min != r.Max && !scales(t.Objects.Class) {
		say("objects.replicas %d..%d: ElastiCache adds no replicas to %s (AWS, \"Auto Scaling Valkey and Redis OSS clusters\": large to 2xlarge of R5, R6g, R7g, M5, M6g, M7g); nearest: cache.r7g.large, or replicas: %d",
			r.Min, r.Max, t.Objects.Class, r.Max)
	}
	if r := addresses(t, tasks); r != "" {
		reasons = append(reasons, r)
	}
	if h == nil {
		return reasons
	}
	return append(reasons, hosts(t, *h, tasks)...)
}

// mostTasks is the highest bound of the web tasks, schedules included.
func mostTasks(t topology.Topology) int {
	most := t.AWSTasks().Max
	for _, s := range t.Web.Schedule {
		most = max(most, s.Tasks.Max)
	}
	return most
}

// connections compares what tasks may open with the class's max_connections.
func connections(t topology.Topology, tasks, children int) string {
	class := t.Database.Class
	if class == topology.Serverless {
		if wanted := topology.Connections(tasks+1, children); wanted > t.DatabaseConnections() {
			return fmt.Sprintf("%d web tasks want %d database connections, and the largest Aurora Serverless allows %d", tasks, wanted, t.DatabaseConnections())
		}
		return ""
	}
	there, ok := topology.AuroraConnections(class)
	if !ok {
		return fmt.Sprintf("database.class %s is none that Aurora MySQL 3 has (AWS, \"Aurora DB instance classes\"); nearest: %s", class, topology.SmallestAurora(topology.ConnectionsWanted(tasks+1, children)*5/4))
	}
	wanted := topology.ConnectionsWanted(tasks+1, children)
	if wanted*5 <= there*4 {
		return ""
	}
	reason := fmt.Sprintf("(%d web tasks + 1 while they are replaced) × (%d php processes + 2) = %d database connections, more than 0.8 × %d, the max_connections of %s (AWS, \"Maximum connections to an Aurora MySQL DB instance\")",
		tasks, children, wanted, there, class)
	if fit := there*4/5/(children+2) - 1; fit >= 1 {
		reason += fmt.Sprintf("; nearest: web.tasks at most %d", fit)
		if larger := topology.SmallestAurora((wanted*5 + 3) / 4); larger != "" {
			reason += ", or database.class " + larger
		}
		return reason
	}
	return reason + "; nearest: database.class " + topology.SmallestAurora((wanted*5+3)/4)
}

// scales tells whether ElastiCache adds replicas to a class.
func scales(class string) bool {
	family, size, _ := strings.Cut(strings.TrimPrefix(class, "cache."), ".")
	return slices.Contains([]string{"r5", "r6g", "r6gd", "r7g", "m5", "m6g", "m7g", "c7gn"}, family) &&
		slices.Contains([]string{"large", "xlarge", "2xlarge"}, size)
}

// addresses compares the private subnets with what stands in them at most: every task of two
// releases, and every host.
func addresses(t topology.Topology, tasks int) string {
	subnets, err := topology.Subnets(t.AWS.CIDR)
	if err != nil {
		return err.Error()
	}
	room := 0
	for _, s := range subnets {
		if s.Tier == "private" {
			room += s.Usable()
		}
	}
	// A zone's interface endpoints and gateways take a few of each subnet.
	const endpoints = 8
	wanted := 2*tasks + extraTasks + t.AWS.Hosts.Count.Max + topology.ZonesWanted*endpoints
	if wanted <= room {
		return ""
	}
	return fmt.Sprintf("network.cidr %s leaves %d addresses in its private subnets, and 2 × %d tasks while they are replaced + %d + %d hosts + %d endpoints want %d; nearest: a wider network.cidr such as 10.20.0.0/16",
		t.AWS.CIDR, room, tasks, extraTasks, t.AWS.Hosts.Count.Max, topology.ZonesWanted*endpoints, wanted)
}

// hosts compares what tasks ask for with what the largest group gives: interfaces, CPU, memory.
func hosts(t topology.Topology, h Host, tasks int) []string {
	var reasons []string
	say := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	slots, trunk := h.Slots()
	how := fmt.Sprintf("%d interfaces − 1, since %s has no trunk", h.Interfaces, h.Type)
	if trunk {
		how = "with its trunk"
	}
	source := "(AWS, \"Amazon ECS task networking\")"
	memory, cpu := taskMemory(t), taskCPU(t)
	usable := h.Memory - h.forHost()
	if memory > usable {
		say("a web task takes %s of memory (its containers, and the folder in memory that they share), and a %s leaves %s of its %s to tasks; nearest: hosts.type with %s, or less web.php.memory",
			Bytes(memory), h.Type, Bytes(usable), Bytes(h.Memory), Bytes(memory+memory/10))
	}
	if cpu > float64(h.CPU) {
		say("a web task asks for %.2f cores, and a %s has %d; nearest: hosts.type with %d vCPUs, or less web.php.cpu", cpu, h.Type, h.CPU, int(math.Ceil(cpu)))
	}
	if len(reasons) > 0 || slots < 1 {
		return reasons
	}
	each := min(slots, int(usable/memory), int(float64(h.CPU)/cpu))
	short := "network interfaces: " + how
	if each < slots {
		short = fmt.Sprintf("memory and CPU: a task takes %s and %.2f cores of %s and %d", Bytes(memory), cpu, Bytes(usable), h.CPU)
	}
	if each < 1 {
		return reasons
	}
	// While releases change, one task more than wanted stands: minimum healthy 100 %.
	wanted := tasks + 1 + extraTasks
	there := each * t.AWS.Hosts.Count.Max
	if wanted > there {
		reason := fmt.Sprintf("%d web tasks + 1 while they are replaced + %d of cron and jobs = %d, and hosts.count %d × %d tasks on a %s = %d (%s) %s",
			tasks, extraTasks, wanted, t.AWS.Hosts.Count.Max, each, h.Type, there, short, source)
		reason += fmt.Sprintf("; nearest: hosts.count up to %d", (wanted+each-1)/each)
		if fit := there - 1 - extraTasks; fit >= 1 {
			reason += fmt.Sprintf(", or web.tasks at most %d", fit)
		}
		say("%s", reason)
	}
	return reasons
}

// taskMemory is what ECS sets aside for a web task: the limits of its containers, and the folder
// in memory, which the kernel charges to them.
func taskMemory(t topology.Topology) int64 {
	return t.Web.PHP.Memory + t.Web.Nginx.Memory + t.TaskFolder()
}

func taskCPU(t topology.Topology) float64 { return t.Web.PHP.CPU + t.Web.Nginx.CPU }
