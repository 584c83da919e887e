package topology

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"platen/internal/site"
	"platen/internal/task"
)

const mib = 1 << 20

// Memory of the containers that platen.yaml does not size. Measured idle: HAProxy 11 MiB,
// valkey 4–8, MariaDB 140–230; an agent that only waits 3.
const (
	edgeMemory      = 64 * mib
	endpointsMemory = 64 * mib
	mailMemory      = 48 * mib
	jobMemory       = 384 * mib // installs, updates, and runs PHP with WordPress' own limit of 256M
)

// requestTimeout is how long a request may take, in seconds. The balancers wait longer.
const requestTimeout = 60

// drain is the time in seconds between 404 on /-/task and the end of php: ten of the
// edge's checks (one every 300 ms).
const drain = 3

// For works out the topology of an environment. The spec is valid by construction; an
// error means that the recorded state contradicts itself.
func For(spec site.Spec, state State) (Topology, error) {
	if err := state.check(); err != nil {
		return Topology{}, fmt.Errorf("work out %s/%s: %w", spec.Name, spec.Environment, err)
	}
	t := Topology{
		Site:    spec.Name,
		Env:     spec.Environment,
		Target:  spec.Target,
		Project: project(spec.Name, spec.Environment),
		Install: task.Install{Title: spec.Title, User: spec.Admin.User, Email: spec.Admin.Email},
		Images:  state.Images,
		Live:    max(state.Live, 1),
		Staged:  state.Staged,
	}
	if spec.AWS != nil {
		t.AWS = &AWS{
			AWSSpec: *spec.AWS, Tasks: spec.Web.Tasks, Backups: spec.Backups,
			Readers: spec.Database.Readers, SessionReplicas: spec.Sessions.Replicas, ObjectReplicas: spec.Objects.Replicas,
		}
	}
	t.edge(spec, state)
	t.Endpoints = Endpoints{Memory: endpointsMemory}
	t.web(spec, state)
	t.database(spec)
	t.Sessions = t.cache("sessions", "noeviction", spec.Sessions, true)
	t.Objects = t.cache("objects", "allkeys-lru", spec.Objects, false)
	t.Files = Files{Content: spec.WordPress.Content, Media: spec.Files.Media, Volume: t.dataVolume("content", t.Live)}
	t.mail(spec)
	t.Web.Config = t.config(spec)
	if spec.Mail.User != "" {
		t.Web.Config.Mail.Secret = state.Secrets[task.SecretMail]
	}
	return t, t.jobs()
}

func (s State) check() error {
	switch {
	case s.Port < 0 || s.Port > 65535:
		return fmt.Errorf("the recorded port is %d", s.Port)
	case s.Tasks < 0:
		return fmt.Errorf("the recorded number of web tasks is %d", s.Tasks)
	case s.Live < 0 || s.Staged < 0:
		return fmt.Errorf("the recorded generations are %d and %d", s.Live, s.Staged)
	case s.Staged != 0 && s.Staged == max(s.Live, 1):
		return fmt.Errorf("generation %d is recorded as live and as staged", s.Staged)
	}
	return nil
}

func (t *Topology) edge(spec site.Spec, state State) {
	upper := max(spec.Web.Tasks.Max, state.Tasks)
	t.Edge = Edge{Memory: edgeMemory, Slots: slots(upper)}
	if t.Target != site.Local {
		if t.AWS != nil && t.AWS.Domain != "" {
			t.URL = "https://" + t.AWS.Domain
		}
		return
	}
	t.Edge.Address = "127.0.0.1"
	t.Edge.Port = spec.Port
	if state.Port != 0 && (state.Wanted == 0 || state.Wanted == spec.Port) {
		t.Edge.Port = state.Port
	}
	t.URL = "http://localhost"
	if t.Edge.Port != 80 {
		t.URL += ":" + strconv.Itoa(t.Edge.Port)
	}
}

// slots is how many tasks the edge can find: twice the upper bound, for a roll, and at
// least 16, in steps of 8. The edge and the database are sized by it, so that `scale`
// within it restarts neither.
func slots(upper int) int {
	return max(16, (2*upper+7)/8*8)
}

func (t *Topology) web(spec site.Spec, state State) {
	tasks := spec.Web.Tasks
	if state.Tasks != 0 {
		tasks.Min = state.Tasks
		tasks.Max = max(tasks.Max, state.Tasks)
	}
	t.Web = Web{
		Tasks:    tasks,
		Scale:    spec.Web.Scale,
		Schedule: spec.Web.Schedule,
		PHP:      Container(spec.Web.PHP.Container),
		Nginx:    Container(spec.Web.Nginx),
	}
	// Bodies wait in its /tmp, which the kernel charges to it.
	t.Web.Nginx.Memory += task.PHP{Upload: spec.Web.PHP.Upload}.Bodies().Folder()
}

// NodesNow is the number of members that a data tier has today, whatever readers and
// replicas ask for: the topology, its names and the certificates have room for more, and
// making the tiers redundant changes this function alone.
func NodesNow(site.Range) int { return 1 }

func nodes(prefix string, others site.Range) []string {
	names := make([]string, NodesNow(others))
	for i := range names {
		names[i] = prefix + "-" + strconv.Itoa(i+1)
	}
	return names
}

func (t *Topology) database(spec site.Spec) {
	connections := Connections(t.Edge.Slots, Children(spec.Web.PHP.Memory, spec.Web.PHP.Upload))
	t.Database = Database{
		Nodes:          nodes("db", spec.Database.Readers),
		Class:          spec.Database.Class,
		Scale:          spec.Database.Scale,
		MaxConnections: connections,
		Memory:         databaseMemory(connections),
		Name:           "wordpress",
		User:           "wordpress",
	}
	t.Database.Volumes = t.volumesOf(t.Database.Nodes)
}

func (t *Topology) cache(role, policy string, spec site.Cache, keep bool) Cache {
	c := Cache{
		Role:   role,
		Nodes:  nodes(role, spec.Replicas),
		Policy: policy,
		Memory: spec.Memory,
		Class:  spec.Class,
		Engine: spec.Engine,
		Append: keep,
	}
	c.Volumes = t.volumesOf(c.Nodes)
	return c
}

func (t *Topology) volumesOf(nodes []string) []string {
	volumes := make([]string, len(nodes))
	for i, node := range nodes {
		volumes[i] = t.dataVolume(node, t.Live)
	}
	return volumes
}

func (t *Topology) mail(spec site.Spec) {
	if t.Target == site.Local && spec.Mail.SMTP == "" {
		t.Mail = Mail{Catch: true, Memory: mailMemory, Volume: t.Project + "-mail"}
	}
}

func (t *Topology) config(spec site.Spec) task.Config {
	c := task.Config{
		Site:    t.Site,
		Env:     t.Env,
		URL:     t.URL,
		Content: t.Files.Content,
		PHP: task.PHP{
			Children: Children(spec.Web.PHP.Memory, spec.Web.PHP.Upload),
			Memory:   spec.Web.PHP.Memory,
			Upload:   spec.Web.PHP.Upload,
			Timeout:  requestTimeout,
			Env:      spec.Web.PHP.Env,
			Settings: spec.Web.PHP.Settings,
		},
		Nginx:    task.Nginx{Memory: spec.Web.Nginx.Memory, Cache: pageCache(spec.Web.Nginx.Memory)},
		Database: task.Endpoint{Name: t.Database.Name, User: t.Database.User},
		Mail:     task.Mail{Address: spec.Mail.SMTP, From: spec.Mail.From, User: spec.Mail.User, TLS: mailTLS(spec.Mail.SMTP)},
		Drain:    drain,
	}
	if t.Mail.Catch {
		c.Mail.Address, c.Mail.TLS = "mail:2525", "none"
	}
	if t.Target == site.Local {
		c.Database.Writer, c.Database.Reader = "db:3306", "db:3307"
		c.Sessions.Address, c.Objects.Address = "sessions:6379", "objects:6380"
		// Docker gives the edge's network a range out of these; only the edge and the
		// site's own jobs are on it.
		c.Trusted = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
	}
	if t.AWS != nil {
		c.Trusted = []string{t.AWS.CIDR}
	}
	return c
}

// mailTLS follows the port: 465 speaks TLS from the first byte, every other port must
// offer STARTTLS; a password never crosses a plain connection.
func mailTLS(address string) string {
	if strings.HasSuffix(address, ":465") {
		return "tls"
	}
	return "starttls"
}

func (t *Topology) jobs() error {
	t.JobLimits = Container{CPU: 1, Memory: jobMemory}
	input, err := json.Marshal(t.Install)
	if err != nil {
		return fmt.Errorf("encode the install job's input: %w", err)
	}
	t.Jobs = []Job{{Name: "install", Command: []string{"install"}, Input: input}}
	return nil
}

// ErrNoJob is returned by Job for a name that the topology does not have.
var ErrNoJob = errors.New("no such job")

// Job returns the job of that name.
func (t Topology) Job(name string) (Job, error) {
	for _, job := range t.Jobs {
		if job.Name == name {
			return job, nil
		}
	}
	return Job{}, fmt.Errorf("%w: %s", ErrNoJob, name)
}
