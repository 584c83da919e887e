package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Labels of containers that the tests rely on; the container contract fixes them.
const (
	LabelSite    = "platen.site"
	LabelEnv     = "platen.env"
	LabelTier    = "platen.tier"
	LabelTask    = "platen.task" // a web task's number
	labelService = "com.docker.compose.service"
)

// Engine returns the Docker client that looks at what the binary made.
func Engine(t testing.TB) *client.Client {
	t.Helper()
	docker, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	return docker
}

var engine = sync.OnceValues(func() (*client.Client, error) { return client.New(client.FromEnv) })

// Container is one container of a site.
type Container struct {
	ID, Service, Tier, Task, Image, State string
	PID                                   int // of its first process, on the host; 0 when not running
	Started                               string
	Addresses                             []string // reachable from the host
	Inspect                               container.InspectResponse
}

// Containers returns the site's containers, by service name, running or not.
func (s *Site) Containers(t testing.TB) []Container {
	t.Helper()
	ctx := context.Background()
	docker := Engine(t)
	list, err := docker.ContainerList(ctx, client.ContainerListOptions{
		All:     true,
		Filters: client.Filters{}.Add("label", LabelSite+"="+s.Name),
	})
	if err != nil {
		t.Fatal(err)
	}
	var containers []Container
	for _, item := range list.Items {
		inspected, err := docker.ContainerInspect(ctx, item.ID, client.ContainerInspectOptions{})
		if err != nil {
			continue // it went away between the two calls: a roll does that
		}
		c := inspected.Container
		one := Container{
			ID: item.ID, Service: item.Labels[labelService], Tier: item.Labels[LabelTier], Task: item.Labels[LabelTask],
			Image: item.Image, State: string(item.State), PID: c.State.Pid, Started: c.State.StartedAt, Inspect: c,
		}
		if c.NetworkSettings != nil {
			for _, network := range c.NetworkSettings.Networks {
				if network.IPAddress.IsValid() {
					one.Addresses = append(one.Addresses, network.IPAddress.String())
				}
			}
		}
		containers = append(containers, one)
	}
	slices.SortFunc(containers, func(a, b Container) int { return strings.Compare(a.Service, b.Service) })
	return containers
}

// Container returns the one container of a service: web-1-php, db-1, edge.
func (s *Site) Container(t testing.TB, service string) Container {
	t.Helper()
	var names []string
	for _, c := range s.Containers(t) {
		if c.Service == service {
			return c
		}
		names = append(names, c.Service)
	}
	t.Fatalf("%s has no service %s, only %s", s.Name, service, strings.Join(names, " "))
	return Container{}
}

// Task is one web task, reachable from the host without the edge.
type Task struct {
	Name    string // web-1
	Address string // host:port of its nginx
}

// Tasks returns the web tasks whose nginx runs.
func (s *Site) Tasks(t testing.TB) []Task {
	t.Helper()
	var tasks []Task
	for _, c := range s.Containers(t) {
		if c.Task != "" && c.Service == "web-"+c.Task+"-nginx" && c.State == "running" && len(c.Addresses) > 0 {
			tasks = append(tasks, Task{Name: "web-" + c.Task, Address: net.JoinHostPort(c.Addresses[0], "8080")})
		}
	}
	if len(tasks) == 0 {
		t.Fatalf("%s has no web task that runs", s.Name)
	}
	return tasks
}

// Kill sends SIGKILL to a process of the host: Docker's restart policies answer that, while
// they ignore `docker kill`.
func Kill(t testing.TB, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process to kill: pid %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// Child returns the host PID of a direct child of the process whose command name has the prefix.
func Child(t testing.TB, parent int, prefix string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it ended
		}
		// pid (comm) state ppid …; comm may hold spaces and brackets (see proc(5)).
		open, end := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
		fields := strings.Fields(string(stat[end+1:]))
		if strings.HasPrefix(string(stat[open+1:end]), prefix) && fields[1] == strconv.Itoa(parent) {
			return pid
		}
	}
	t.Fatalf("process %d has no child %s…", parent, prefix)
	return 0
}

// sweep removes containers, volumes and networks whose names have the first prefix, and images
// whose references have the second.
func sweep(prefix, imagePrefix string) error {
	docker, err := engine()
	if err != nil {
		return err
	}
	ctx := context.Background()
	var errs []error
	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true})
	errs = append(errs, err)
	for _, c := range containers.Items {
		if slices.ContainsFunc(c.Names, func(name string) bool { return strings.HasPrefix(name, "/"+prefix) }) {
			_, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			errs = append(errs, err)
		}
	}
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{})
	errs = append(errs, err)
	for _, v := range volumes.Items {
		if strings.HasPrefix(v.Name, prefix) {
			_, err := docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
			errs = append(errs, err)
		}
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{})
	errs = append(errs, err)
	for _, n := range networks.Items {
		if strings.HasPrefix(n.Name, prefix) {
			_, err := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
			errs = append(errs, err)
		}
	}
	images, err := docker.ImageList(ctx, client.ImageListOptions{})
	errs = append(errs, err)
	for _, image := range images.Items {
		for _, tag := range image.RepoTags {
			if strings.HasPrefix(tag, imagePrefix) {
				_, err := docker.ImageRemove(ctx, tag, client.ImageRemoveOptions{})
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
