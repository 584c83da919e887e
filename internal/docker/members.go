package docker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"platen/internal/topology"
)

// member is one container of the environment, as the engine sees it.
type member struct {
	container.Summary
}

func (m member) service() string { return m.Labels[api.ServiceLabel] }
func (m member) tier() string    { return m.Labels[labelTier] }
func (m member) running() bool   { return m.State == container.StateRunning }
func (m member) oneOff() bool    { return m.Labels[api.OneoffLabel] == "True" }

// name is the container's name without the slash.
func (m member) name() string {
	if len(m.Names) == 0 {
		return m.ID[:12]
	}
	return strings.TrimPrefix(m.Names[0], "/")
}

// members lists the containers of the environment, by name; stopped ones too.
func (p *Place) members(ctx context.Context, t topology.Topology) ([]member, error) {
	found, err := p.api.ContainerList(ctx, client.ContainerListOptions{
		All:     true,
		Filters: client.Filters{}.Add("label", api.ProjectLabel+"="+t.Project),
	})
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", t.Project, err)
	}
	members := make([]member, 0, len(found.Items))
	for _, c := range found.Items {
		members = append(members, member{c})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name(), b.name()) })
	return members, nil
}

// byService maps a service to its container, one-off containers left out.
func byService(members []member) map[string]member {
	services := map[string]member{}
	for _, m := range members {
		if !m.oneOff() {
			services[m.service()] = m
		}
	}
	return services
}

// webtask is one web task as it was found: some of its containers may be missing.
type webtask struct {
	n          int
	release    string
	containers map[string]member // service → container
}

// whole tells whether the task has all its containers, of one release, and they run.
func (w webtask) whole(t topology.Topology) bool {
	for _, service := range taskServices(t, w.n) {
		m, ok := w.containers[service]
		if !ok || !m.running() || m.Labels[labelRelease] != w.release {
			return false
		}
	}
	return true
}

// ran tells whether the task has all its containers and each was started at least once.
func (w webtask) ran(t topology.Topology) bool {
	for _, service := range taskServices(t, w.n) {
		if m, ok := w.containers[service]; !ok || m.State == container.StateCreated {
			return false
		}
	}
	return true
}

// taskServices are a task's services in the order in which they start.
func taskServices(t topology.Topology, n int) []string {
	return []string{t.WebPHP(n), t.WebNginx(n)}
}

// webtasks groups the containers of web tasks by the task's number.
func webtasks(members []member) []webtask {
	found := map[int]webtask{}
	for _, m := range members {
		n, err := strconv.Atoi(m.Labels[labelTask])
		if err != nil || m.oneOff() {
			continue
		}
		w, ok := found[n]
		if !ok {
			w = webtask{n: n, release: m.Labels[labelRelease], containers: map[string]member{}}
		}
		w.containers[m.service()] = m
		found[n] = w
	}
	tasks := make([]webtask, 0, len(found))
	for _, w := range found {
		tasks = append(tasks, w)
	}
	slices.SortFunc(tasks, func(a, b webtask) int { return a.n - b.n })
	return tasks
}
