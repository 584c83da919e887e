package capacity

import (
	"fmt"
	"math"
	"net/netip"
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

// extraTasks are those beside the web tasks: the one-task service that runs cron, and a job that
// runs at the same time. Neither is doubled by a deployment: the old cron ends first.
const extraTasks = 2

// checkAWS is Check's part for an environment on AWS: what no plan of Terraform's would say, and
// what AWS would say at night.
func checkAWS(t topology.Topology, h *Host) []string {
	reasons := []string{connections(t)}
	for _, c := range []struct{ key, class string }{{"sessions", t.Sessions.Class}, {"objects", t.Objects.Class}} {
		if !topology.IsCache(c.class) {
			reasons = append(reasons, refusal(fmt.Sprintf("%s.class %s is none that ElastiCache has", c.key, c.class), "Supported node types", topology.NearestCache(c.class)))
		}
	}
	if r := t.AWS.ObjectReplicas; r.Min != r.Max && topology.IsCache(t.Objects.Class) && !scales(t.Objects.Class) {
		reasons = append(reasons, refusal(fmt.Sprintf("objects.replicas %d..%d: ElastiCache adds no replicas to %s, only to large to 2xlarge of R5, R6g, R7g, M5, M6g, M7g", r.Min, r.Max, t.Objects.Class),
			"Auto Scaling Valkey and Redis OSS clusters", "cache.r7g.large", fmt.Sprintf("replicas: %d", r.Max)))
	}
	reasons = append(reasons, addresses(t))
	if h != nil {
		reasons = append(reasons, hosts(t, *h)...)
	}
	return slices.DeleteFunc(reasons, func(r string) bool { return r == "" })
}

// refusal is a sum with the page of AWS' documentation that its limit stands on, and what would fit.
func refusal(sum, source string, nearest ...string) string {
	nearest = slices.DeleteFunc(nearest, func(n string) bool { return n == "" })
	if len(nearest) == 0 {
		nearest = []string{"less web.php.memory and fewer web.tasks"}
	}
	return fmt.Sprintf("%s (AWS, %q); nearest: %s", sum, source, strings.Join(nearest, ", or "))
}

// replaced says how many web tasks stand at most, for a person.
func replaced(t topology.Topology) string {
	return fmt.Sprintf("%s, which are %d while they are replaced (%d %% of those wanted)",
		webTasks(t.MostTasks()), t.DeployingTasks(), topology.DeploymentPercent(t.FewestTasks()))
}

// fewer offers the largest number of web tasks that fits, given what fits of those that stand while
// they are replaced; "" when not even one does.
func fewer(t topology.Topology, fits func(standing int) bool) string {
	for n := t.MostTasks() - 1; n >= 1; n-- {
		if fits(topology.Deploying(n, min(n, t.FewestTasks()))) {
			return fmt.Sprintf("web.tasks at most %d", n)
		}
	}
	return ""
}

// connections compares what tasks may open with the class's max_connections.
func connections(t topology.Topology) string {
	const source = "Maximum connections to an Aurora MySQL DB instance"
	children := t.Web.Config.PHP.Children
	tasks := t.DeployingTasks()
	wanted := topology.ConnectionsWanted(tasks, children)
	larger := ""
	if class := topology.SmallestAurora((wanted*5 + 3) / 4); class != "" {
		larger = "database.class " + class
	}
	sum := fmt.Sprintf("%s, × (%d php processes + %d) = %d database connections", replaced(t), children, topology.ExtraConnections, wanted)
	class := t.Database.Class
	if class == topology.Serverless {
		most := t.DatabaseConnections()
		if topology.Connections(tasks, children) <= most {
			return ""
		}
		return refusal(fmt.Sprintf("%s, more than 0.8 × %d less some for people, the max_connections of the largest Aurora Serverless", sum, most), source,
			fewer(t, func(standing int) bool { return topology.Connections(standing, children) <= most }), larger)
	}
	there, ok := topology.AuroraConnections(class)
	if !ok {
		return refusal(fmt.Sprintf("database.class %s is none that Aurora MySQL 3 has", class), "Aurora DB instance classes", strings.TrimPrefix(larger, "database.class "), topology.Serverless)
	}
	if wanted*5 <= there*4 {
		return ""
	}
	return refusal(fmt.Sprintf("%s, more than 0.8 × %d, the max_connections of %s", sum, there, class), source,
		fewer(t, func(standing int) bool { return topology.ConnectionsWanted(standing, children)*5 <= there*4 }), larger)
}

// scales tells whether ElastiCache adds replicas to a class.
func scales(class string) bool {
	family, size, _ := strings.Cut(strings.TrimPrefix(class, "cache."), ".")
	return slices.Contains([]string{"r5", "r6g", "r6gd", "r7g", "m5", "m6g", "m7g", "c7gn"}, family) &&
		slices.Contains([]string{"large", "xlarge", "2xlarge"}, size)
}

// addresses compares the private subnets with what stands in them at most: every task, and every
// host.
func addresses(t topology.Topology) string {
	room, err := privateAddresses(t.AWS.CIDR)
	if err != nil {
		return err.Error()
	}
	// A zone's interface endpoints and gateways take a few of each subnet.
	const endpoints = topology.ZonesWanted * 8
	others := extraTasks + t.AWS.Hosts.Count.Max + endpoints
	wanted := t.DeployingTasks() + others
	if wanted <= room {
		return ""
	}
	wider := ""
	if network, err := netip.ParsePrefix(t.AWS.CIDR); err == nil {
		for bits := network.Bits() - 1; bits >= 16 && wider == ""; bits-- {
			cidr := netip.PrefixFrom(network.Addr(), bits).Masked().String()
			if more, err := privateAddresses(cidr); err == nil && wanted <= more {
				wider = "a wider network.cidr such as " + cidr
			}
		}
	}
	return refusal(fmt.Sprintf("%s, + %d of cron and jobs + %d hosts + %d endpoints = %d addresses, and network.cidr %s leaves %d in its private subnets",
		replaced(t), extraTasks, t.AWS.Hosts.Count.Max, endpoints, wanted, t.AWS.CIDR, room), "Subnet CIDR blocks",
		wider, fewer(t, func(standing int) bool { return standing+others <= room }))
}

func privateAddresses(cidr string) (int, error) {
	subnets, err := topology.Subnets(cidr)
	room := 0
	for _, s := range subnets {
		if s.Tier == "private" {
			room += s.Usable()
		}
	}
	return room, err
}

// asks is what a task asks of a host.
type asks struct {
	units  int   // of CPU, 1024 a core
	memory int64 // bytes
}

func (a asks) String() string {
	return fmt.Sprintf("%s and %.2f cores", Bytes(a.memory), float64(a.units)/coreUnits)
}

// coreUnits are ECS' units of CPU in a core; a container's are rounded down, as in terraform/services.
const coreUnits = 1024

func unitsOf(cores float64) int { return int(cores * coreUnits) }

// beside is how many web tasks fit on a host beside so many of the other kind; negative when those
// alone do not fit. A task takes one of its slots, CPU and memory.
func (h Host) beside(others int, other, web asks) int {
	slots, _ := h.Slots()
	slots -= others
	units := h.CPU*coreUnits - others*other.units
	memory := h.Memory - h.forHost() - int64(others)*other.memory
	if slots < 0 || units < 0 || memory < 0 {
		return -1
	}
	fits := slots
	if web.units > 0 {
		fits = min(fits, units/web.units)
	}
	if web.memory > 0 {
		fits = min(fits, int(memory/web.memory))
	}
	return fits
}

// room is how many web tasks so many hosts hold beside cron and a job, which stand on one host or
// on two, whichever leaves more; negative when there is no room for those.
func (h Host) room(count int, job, web asks) int {
	most := -1
	alone := h.beside(0, job, web)
	if both := h.beside(extraTasks, job, web); both >= 0 {
		most = both + (count-1)*alone
	}
	if each := h.beside(1, job, web); each >= 0 && count >= extraTasks {
		most = max(most, extraTasks*each+(count-extraTasks)*alone)
	}
	return most
}

// hosts compares what tasks ask for with what the largest group gives: interfaces, CPU, memory.
func hosts(t topology.Topology, h Host) []string {
	const sizes = "Amazon ECS task definition parameters for Amazon EC2"
	slots, _ := h.Slots()
	web, job := demands(t)
	usable := h.Memory - h.forHost()
	var reasons []string
	for _, task := range []struct {
		name, less, what string
		asks             asks
	}{{"a web task", "web.php", "its containers, and the folder in memory that they share", web}, {"a job", "", "of cron, too", job}} {
		less := func(what string) string {
			if task.less == "" {
				return ""
			}
			return "less " + task.less + "." + what
		}
		if task.asks.memory > usable {
			reasons = append(reasons, refusal(fmt.Sprintf("%s takes %s of memory (%s), and a %s leaves %s of its %s to tasks",
				task.name, Bytes(task.asks.memory), task.what, h.Type, Bytes(usable), Bytes(h.Memory)), "Reserving Amazon ECS Linux container instance memory",
				"hosts.type with "+Bytes(task.asks.memory+task.asks.memory/10), less("memory")))
		}
		if task.asks.units > h.CPU*coreUnits {
			cores := float64(task.asks.units) / coreUnits
			reasons = append(reasons, refusal(fmt.Sprintf("%s asks for %.2f cores, and a %s has %d", task.name, cores, h.Type, h.CPU), sizes,
				fmt.Sprintf("hosts.type with %d vCPUs", int(math.Ceil(cores))), less("cpu")))
		}
	}
	if slots < 1 {
		reasons = append(reasons, refusal(fmt.Sprintf("a %s has %d network interface, and that is its own", h.Type, h.Interfaces), "Amazon ECS task networking", "hosts.type t4g.medium"))
	}
	if len(reasons) > 0 {
		return reasons
	}
	count := t.AWS.Hosts.Count.Max
	there, standing := h.room(count, job, web), t.DeployingTasks()
	if standing <= there {
		return nil
	}
	each, short := h.holds(web)
	source := "Amazon ECS task networking"
	if each < slots {
		source = sizes
	}
	more := count + 1
	for h.room(more, job, web) < standing {
		more++
	}
	return []string{refusal(fmt.Sprintf("%s, and hosts.count %d × %s hold %d of them beside cron and a job: a host holds %d (%s), a web task takes %s, cron and a job %s each",
		replaced(t), count, h.Type, max(there, 0), each, short, web, job), source,
		fmt.Sprintf("hosts.count up to %d", more), fewer(t, func(standing int) bool { return standing <= there }))}
}

// demands are what a web task and a job ask of a host.
func demands(t topology.Topology) (web, job asks) {
	return asks{unitsOf(t.Web.PHP.CPU) + unitsOf(t.Web.Nginx.CPU), taskMemory(t)}, asks{unitsOf(t.JobLimits.CPU), t.JobLimits.Memory}
}

// holds is how many web tasks fit on a host that has nothing else, and what of it they use up.
func (h Host) holds(web asks) (each int, by string) {
	slots, trunk := h.Slots()
	each = h.beside(0, asks{}, web)
	switch {
	case each < slots:
		return each, fmt.Sprintf("with %s and %d cores for tasks", Bytes(h.Memory-h.forHost()), h.CPU)
	case trunk:
		return each, "with its trunk"
	}
	return each, fmt.Sprintf("its %d interfaces − 1, since it has no trunk", h.Interfaces)
}

// taskMemory is what ECS sets aside for a web task: the limits of its containers, and the folder
// in memory, which the kernel charges to them.
func taskMemory(t topology.Topology) int64 {
	return t.TaskMemory() + t.TaskFolder()
}
