package topology

// What php's memory is divided into.
const (
	opcache   = 128 * mib // shared memory of all children
	overhead  = 32 * mib  // the agent, php-fpm's master, the child that answers health checks
	childSize = 64 * mib  // one worker; 18–54 MiB measured with WordPress and its default theme
)

// MinChildren is the smallest pool that serves: with one child, a request that asks its own
// site for something (loopback, cron, the editor) waits for itself.
const MinChildren = 2

// Children is the size of php-fpm's pool for a container of so many bytes:
//
//	(memory − OPcache 128M − overhead 32M − one upload) / 64M, and at least MinChildren.
//
// One largest upload is taken off because php holds it in /tmp, which is memory, until
// WordPress moves it to the share. The cron child runs once a minute for the whole site and
// lives in what the workers leave of their 64M.
func Children(memory, upload int64) int {
	return max(MinChildren, RoomForChildren(memory, upload))
}

// RoomForChildren is Children without its lower bound: 0 or less means that the container
// does not hold one child.
func RoomForChildren(memory, upload int64) int {
	return int((memory - opcache - overhead - upload) / childSize)
}

// ExtraConnections of a task are those of the child that answers /-/site, of cron's, and of the one that waits for changes.
const ExtraConnections = 3

// adminConnections are kept for people, jobs and checks.
const adminConnections = 10

// ConnectionsWanted is what so many web tasks may open at once.
func ConnectionsWanted(tasks, children int) int { return tasks * (children + ExtraConnections) }

// Connections is max_connections of the database for so many web tasks: what they may open
// is at most 0.8 of it (the share that AWS and we alarm at), and the admin margin comes on top.
func Connections(tasks, children int) int {
	return (ConnectionsWanted(tasks, children)*5+3)/4 + adminConnections
}

// databaseMemory is 384 MiB (buffer pool, write-set cache, the server itself) and 1 MiB a
// connection (stack, network and sort buffers), in steps of 64 MiB.
func databaseMemory(connections int) int64 {
	const step = 64 * mib
	return (384*mib + int64(connections)*mib + step - 1) / step * step
}

// pageCache is a third of nginx' memory: the cache lies in the task's memory-backed folder,
// and the kernel charges its pages to the container that writes them.
func pageCache(nginx int64) int64 { return nginx / 3 }

// TaskFolder is the size in bytes of the memory-backed folder that the containers of a web
// task share: the page cache, and room for configuration and files being replaced in it.
func (t Topology) TaskFolder() int64 { return t.Web.Config.Nginx.Cache + 16*mib }

// TaskMemory is the sum of the limits of one web task's containers, in bytes.
func (t Topology) TaskMemory() int64 {
	return t.Web.PHP.Memory + t.Web.Nginx.Memory
}

// CalculateMemory is the sum in bytes of the limits of everything that runs for good, with
// the web tier at its lower bound. A roll's extra task (TaskMemory) and a job
// (JobLimits.Memory) come on top.
func (t Topology) CalculateMemory() int64 {
	sum := t.Edge.Memory + t.Endpoints.Memory + t.Mail.Memory
	sum += int64(t.Web.Tasks.Min) * t.TaskMemory()
	sum += int64(len(t.Database.Nodes)) * t.Database.Memory
	sum += int64(len(t.Sessions.Nodes)) * t.Sessions.Memory
	sum += int64(len(t.Objects.Nodes)) * t.Objects.Memory
	return sum
}

// MemoryForChild is the smallest memory of php in bytes that holds one child.
func MemoryForChild(upload int64) int64 { return opcache + overhead + upload + childSize }
