package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"

	"platen/internal/release"
	"platen/internal/task"
	"platen/internal/topology"
)

// Labels of everything that belongs to an environment.
const (
	labelSite    = "platen.site"
	labelEnv     = "platen.env"
	labelFolder  = "platen.folder"  // whose site it is
	labelTier    = "platen.tier"    // containers: edge, web, database, sessions, objects, mail, jobs
	labelTask    = "platen.task"    // containers of a web task: its number
	labelRelease = "platen.release" // containers of a web task: its release
)

// The binaries that answer for a container. The agent is in all images but nginx, haproxy and
// jobs, whose own tool answers for the mail catcher.
const (
	agent   = "/usr/bin/platen-agent"
	jobTool = "/usr/bin/platen-job"
)

// Project is the whole environment as a Compose project: what always runs and, when r is not
// nil, the web tasks of those numbers with that release.
func Project(t topology.Topology, r *release.Release, tasks []int) (*types.Project, error) {
	p := resources(t)
	services, err := base(t)
	if err != nil {
		return nil, err
	}
	if r != nil {
		for _, n := range tasks {
			pair, err := webTask(t, *r, n)
			if err != nil {
				return nil, err
			}
			services = append(services, pair...)
			addTaskVolume(p, t, n)
		}
	}
	for _, s := range services {
		p.Services[s.Name] = s
	}
	return p, nil
}

// taskProject is the same project with nothing but the containers of those web tasks: what
// Compose does not see, it does not touch.
func taskProject(t topology.Topology, r release.Release, tasks []int) (*types.Project, error) {
	p, err := Project(t, &r, tasks)
	if err != nil {
		return nil, err
	}
	for name, s := range p.Services {
		if s.Labels[labelTask] == "" {
			delete(p.Services, name)
		}
	}
	return p, nil
}

// resources are the project's networks and volumes. Their labels never change: Compose would want
// to make a volume anew whose labels differ.
func resources(t topology.Topology) *types.Project {
	p := &types.Project{
		Name:       t.Project,
		WorkingDir: t.Folder,
		Services:   types.Services{},
		Networks:   types.Networks{},
		Volumes:    types.Volumes{},
	}
	for name, internal := range map[string]bool{
		topology.NetworkFront: false,
		topology.NetworkBack:  true,
		topology.NetworkData:  true,
	} {
		p.Networks[name] = types.NetworkConfig{
			Name: t.Network(name), Driver: "bridge", Internal: internal,
			// Not the folder's: a site that moves keeps its networks.
			Labels: types.Labels{labelSite: t.Site, labelEnv: t.Env},
		}
	}
	for _, v := range t.Volumes() {
		l := labels(t)
		l[labelTier] = v.Tier
		p.Volumes[volumeKey(t, v.Name)] = types.VolumeConfig{Name: v.Name, Labels: l}
	}
	return p
}

// addTaskVolume adds the folder that the containers of a web task share. It is memory, mounted
// for as long as one of them runs: when both have ended, php writes it anew.
func addTaskVolume(p *types.Project, t topology.Topology, n int) {
	name := t.TaskVolume(n)
	l := labels(t)
	l[labelTier] = "web"
	p.Volumes[volumeKey(t, name)] = types.VolumeConfig{
		Name:   name,
		Driver: "local",
		DriverOpts: types.Options{
			"type":   "tmpfs",
			"device": "tmpfs",
			"o": fmt.Sprintf("size=%d,uid=%d,gid=%d,mode=0750,noexec,nosuid,nodev",
				t.TaskFolder(), task.WebUID, task.WebUID),
		},
		Labels: l,
	}
}

// volumeKey is a volume's name within the project.
func volumeKey(t topology.Topology, name string) string {
	return strings.TrimPrefix(name, t.Project+"-")
}

func labels(t topology.Topology) types.Labels {
	return types.Labels{labelSite: t.Site, labelEnv: t.Env, labelFolder: t.Folder}
}

// base is everything but the web tasks.
func base(t topology.Topology) ([]types.ServiceConfig, error) {
	var services []types.ServiceConfig
	add := func(s types.ServiceConfig, err error) error {
		services = append(services, s)
		return err
	}
	if err := add(initService(t)); err != nil {
		return nil, err
	}
	services = append(services, edge(t), endpoints(t))
	for i := range t.Database.Nodes {
		if err := add(database(t, i)); err != nil {
			return nil, err
		}
	}
	for _, c := range []topology.Cache{t.Sessions, t.Objects} {
		for i := range c.Nodes {
			if err := add(cache(t, c, i)); err != nil {
				return nil, err
			}
		}
	}
	if t.Mail.Catch {
		if err := add(mail(t)); err != nil {
			return nil, err
		}
	}
	return services, nil
}

// initService fills the volumes of secrets and gives every volume its owner. It alone is root:
// a fresh volume belongs to root.
func initService(t topology.Topology) (types.ServiceConfig, error) {
	s := service(t, topology.ServiceInit, "jobs", t.Image("jobs"), 0, t.JobLimits)
	s.Command = types.ShellCommand{"init"}
	s.CapAdd = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER"}
	s.NetworkMode = "none"
	s.Restart = types.RestartPolicyNo
	s.Tmpfs = append(s.Tmpfs, private(task.Private, 0, 16*mib), private(task.Shared, 0, 16*mib))
	for _, v := range t.Volumes() {
		s.Volumes = append(s.Volumes, mount(t, v.Name, topology.InitPath(v.Name), false))
	}
	return withJSON(s, task.EnvInit, t.Init())
}

// edge is the only container that publishes a port, on this machine's loopback alone.
func edge(t topology.Topology) types.ServiceConfig {
	s := service(t, topology.ServiceEdge, "edge", t.Image("haproxy"), task.HAProxyUID, topology.Container{CPU: 1, Memory: t.Edge.Memory})
	s.Entrypoint = types.ShellCommand{"/usr/sbin/haproxy", "-W", "-db", "-f", "/etc/haproxy/edge.cfg"}
	s.Environment = types.MappingWithEquals{
		"PLATEN_SLOTS": value(strconv.Itoa(t.Edge.Slots)),
		// php ends a request that takes too long, not the balancer before it.
		"PLATEN_TIMEOUT": value(fmt.Sprintf("%ds", t.Web.Config.PHP.Timeout+20)),
	}
	s.Networks = on(topology.NetworkFront)
	s.Ports = []types.ServicePortConfig{{
		Mode: "ingress", Protocol: "tcp", Target: 8080,
		HostIP: t.Edge.Address, Published: strconv.Itoa(t.Edge.Port),
	}}
	return s
}

// endpoints is the balancer before the data: the only way from the web tasks to it.
func endpoints(t topology.Topology) types.ServiceConfig {
	s := service(t, topology.ServiceEndpoints, "edge", t.Image("haproxy"), task.HAProxyUID, topology.Container{CPU: 1, Memory: t.Endpoints.Memory})
	s.Entrypoint = types.ShellCommand{"/usr/sbin/haproxy", "-W", "-db", "-f", "/etc/haproxy/endpoints.cfg"}
	s.Networks = on(topology.NetworkData)
	s.Networks[topology.NetworkBack] = &types.ServiceNetworkConfig{Aliases: []string{"db", "sessions", "objects"}}
	s.StopSignal = "SIGTERM" // at once: a soft stop would wait for connections that php keeps
	return s
}

func database(t topology.Topology, i int) (types.ServiceConfig, error) {
	node := t.Database.Nodes[i]
	s := service(t, node, "database", t.Image("mariadb"), task.MariaDBUID, topology.Container{CPU: 1, Memory: t.Database.Memory})
	s.Tmpfs = types.StringList{shared("/tmp", 256*mib)} // sorts and temporary tables
	s.PidsLimit = int64(t.Database.MaxConnections) + 256
	s.StopGracePeriod = seconds(60)
	s.Networks = on(topology.NetworkData)
	s.Volumes = []types.ServiceVolumeConfig{
		mount(t, t.Secrets(topology.RoleDatabase), task.Secrets, true),
		mount(t, t.Database.Volumes[i], "/var/lib/mysql", false),
	}
	s.HealthCheck = health(agent, "health", "mariadb")
	return withJSON(s, task.EnvDatabase, task.Database{
		Node: node, Name: t.Database.Name, User: t.Database.User,
		MaxConnections: t.Database.MaxConnections, Memory: t.Database.Memory,
	})
}

func cache(t topology.Topology, c topology.Cache, i int) (types.ServiceConfig, error) {
	node := c.Nodes[i]
	s := service(t, node, c.Role, t.Image("valkey"), task.ValkeyUID, topology.Container{CPU: 0.5, Memory: c.Memory})
	s.Networks = on(topology.NetworkData)
	s.Volumes = []types.ServiceVolumeConfig{
		mount(t, t.Secrets(c.Role), task.Secrets, true),
		mount(t, c.Volumes[i], "/var/lib/valkey", false),
	}
	s.StopGracePeriod = seconds(15)
	s.HealthCheck = health(agent, "health", "valkey")
	return withJSON(s, task.EnvCache, task.Cache{
		Node: node, Role: c.Role, Policy: c.Policy, Memory: c.Memory, Append: c.Append,
	})
}

// mail catches what the site sends where no SMTP server is configured.
func mail(t topology.Topology) (types.ServiceConfig, error) {
	s := service(t, topology.ServiceMail, "mail", t.Image("jobs"), task.WebUID, topology.Container{CPU: 0.25, Memory: t.Mail.Memory})
	s.Command = types.ShellCommand{"mail", "serve"}
	s.Networks = on(topology.NetworkBack)
	s.Volumes = []types.ServiceVolumeConfig{mount(t, t.Mail.Volume, "/var/lib/mail", false)}
	s.HealthCheck = health(jobTool, "mail", "health")
	return withJSON(s, task.EnvTask, t.Web.Config)
}

// webTask is the n-th web task: php and nginx, each on networks of its own. Neither joins the
// other's namespace, as they do in an ECS task: the engine starts them in any order after a reboot,
// and a container whose namespace is not there yet, or has been replaced, stays out for good.
func webTask(t topology.Topology, r release.Release, n int) ([]types.ServiceConfig, error) {
	of := func(s types.ServiceConfig) types.ServiceConfig {
		s.Labels[labelTask] = strconv.Itoa(n)
		s.Labels[labelRelease] = r.ID
		s.Volumes = append(s.Volumes, mount(t, t.TaskVolume(n), task.Shared, false))
		return s
	}

	php := of(service(t, t.WebPHP(n), "web", r.Images["wordpress"], task.WebUID, t.Web.PHP))
	php.Command = types.ShellCommand{"web"}
	php.Networks = on(topology.NetworkBack)
	php.Networks[topology.NetworkFront] = &types.ServiceNetworkConfig{Priority: 1} // the way out, and to nginx
	php.Environment = types.MappingWithEquals{
		task.EnvNginx: value(net.JoinHostPort(t.WebNginx(n), strconv.Itoa(task.Port))),
	}
	php.Tmpfs = append(php.Tmpfs, private(task.Private, task.WebUID, 16*mib))
	// An upload is in /tmp until WordPress moves it, several at a time.
	php.Tmpfs[0] = shared("/tmp", r.Config.PHP.PHPFolder())
	php.PidsLimit = int64(r.Config.PHP.Children) + 128
	php.StopGracePeriod = seconds(r.Config.Drain + r.Config.PHP.Timeout + 10)
	php.Volumes = append(php.Volumes, mount(t, t.Secrets(topology.RoleWeb), task.Secrets, true), content(t, false))
	php.HealthCheck = health(agent, "health", "php")
	config := r.Config
	config.Release = r.ID
	php, err := withJSON(php, task.EnvTask, config)

	nginx := of(service(t, t.WebNginx(n), "web", r.Images["nginx"], task.WebUID, t.Web.Nginx))
	// The edge finds tasks by this alias.
	nginx.Networks = map[string]*types.ServiceNetworkConfig{topology.NetworkFront: {Aliases: []string{topology.AliasWeb}}}
	// php writes nginx' configuration. Without it nginx ends, and the engine starts it again.
	nginx.DependsOn = types.DependsOnConfig{php.Name: after(types.ServiceConditionHealthy)}
	nginx.Tmpfs[0] = shared("/tmp", r.Config.PHP.Bodies().Folder()) // holds a body until it is whole
	nginx.StopSignal = "SIGQUIT"
	nginx.StopGracePeriod = seconds(r.Config.PHP.Timeout + 10)
	nginx.Volumes = append(nginx.Volumes, content(t, true))
	return []types.ServiceConfig{php, nginx}, err
}

// job is a one-off container of the jobs image.
func job(t topology.Topology, name, image string, config task.Config, command []string) (types.ServiceConfig, error) {
	s := service(t, name, "jobs", image, task.WebUID, t.JobLimits)
	s.Command = command
	s.Restart = types.RestartPolicyNo
	s.Networks = on(topology.NetworkBack)
	s.Networks[topology.NetworkFront] = &types.ServiceNetworkConfig{Priority: 1}
	s.Tmpfs = append(s.Tmpfs,
		private(task.Private, task.WebUID, 16*mib),
		private(task.Shared, task.WebUID, 16*mib))
	s.Volumes = []types.ServiceVolumeConfig{
		mount(t, t.Secrets(topology.RoleJobs), task.Secrets, true),
		content(t, false),
	}
	if t.Mail.Catch {
		s.Volumes = append(s.Volumes, mount(t, t.Mail.Volume, "/var/lib/mail", false))
	}
	return withJSON(s, task.EnvTask, config)
}

// content mounts the share: all that wp-admin may change, or only the uploads where plugins
// and themes are in the images.
func content(t topology.Topology, readOnly bool) types.ServiceVolumeConfig {
	at := task.Content
	if t.Files.Content == "image" {
		at = path.Join(task.Content, "uploads")
	}
	return mount(t, t.Files.Volume, at, readOnly)
}

// withJSON hands the contract to the container. No secret is ever in it: the environment of a
// container can be read with docker inspect.
func withJSON(s types.ServiceConfig, name string, contract any) (types.ServiceConfig, error) {
	data, err := json.Marshal(contract)
	if err != nil {
		return s, fmt.Errorf("encode %s of %s: %w", name, s.Name, err)
	}
	environment := maps.Clone(s.Environment)
	if environment == nil {
		environment = types.MappingWithEquals{}
	}
	environment[name] = value(string(data))
	s.Environment = environment
	return s, nil
}

// stamp adds the labels by which Compose knows its containers; a project that is loaded from a
// file has them from the loader.
func stamp(p *types.Project) {
	for name, s := range p.Services {
		s.CustomLabels = types.Labels{
			api.ProjectLabel:     p.Name,
			api.ServiceLabel:     name,
			api.VersionLabel:     api.ComposeVersion,
			api.WorkingDirLabel:  p.WorkingDir,
			api.ConfigFilesLabel: "",
			api.OneoffLabel:      "False",
		}
		p.Services[name] = s
	}
}

func value(s string) *string { return &s }

func seconds(n int) *types.Duration {
	d := types.Duration(time.Duration(n) * time.Second)
	return &d
}
