package docker

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"platen/internal/report"
	"platen/internal/task"
	"platen/internal/topology"
)

// How long a web task may take to answer, and the edge to see it. The edge checks several times
// a second and asks Docker's DNS once a second.
const (
	patienceTask = 60 * time.Second
	patienceEdge = 20 * time.Second
)

// statistics is where the edge tells its helpers which tasks it serves; it is not published.
const statistics = "http://" + topology.ServiceEdge + ":8404/;csv"

// startTask starts php, which writes nginx' configuration, and nginx as soon as php is ready. It
// returns when the edge sends the task visitors.
func (p *Place) startTask(ctx context.Context, t topology.Topology, n int, services map[string]member, sink report.Sink) error {
	php, nginx := services[t.WebPHP(n)], services[t.WebNginx(n)]
	name := t.WebTask(n)
	up := func(m member, part string, probe func(context.Context) error) error {
		step := "web/" + name + "/" + part
		sink.Step(step, report.Running, "starting")
		_, err := p.api.ContainerStart(ctx, m.ID, client.ContainerStartOptions{})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			err = &failure{m.service(), "does not start: " + err.Error(), nil}
		} else {
			err = p.await(ctx, m.service(), m.ID, patienceTask, probe)
		}
		if err != nil {
			sink.Step(step, report.Failed, "")
			return err
		}
		sink.Step(step, report.Done, "started")
		return nil
	}
	sink.Step("web/"+name, report.Running, "starting")
	if err := up(php, "php", func(ctx context.Context) error { return p.healthy(ctx, php.ID, "php") }); err != nil {
		return err
	}
	if err := up(nginx, "nginx", func(ctx context.Context) error { return p.healthy(ctx, php.ID, "task") }); err != nil {
		return err
	}
	err := p.await(ctx, t.WebTask(n), php.ID, patienceEdge, func(ctx context.Context) error { return p.servedByEdge(ctx, t, php, nginx) })
	if err != nil {
		sink.Step("web/"+name, report.Failed, "")
		return err
	}
	sink.Step("web/"+name, report.Done, "serving")
	return nil
}

// address is where the edge finds a task: nginx' address on the edge's network, which changes when
// nginx starts again, and its port.
func (p *Place) address(ctx context.Context, t topology.Topology, nginx member) (string, error) {
	found, err := p.api.ContainerInspect(ctx, nginx.ID, client.ContainerInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", nginx.name(), err)
	}
	front, ok := found.Container.NetworkSettings.Networks[t.Network(topology.NetworkFront)]
	if !ok || !front.IPAddress.IsValid() {
		return "", &failure{nginx.service(), "has no address on the network " + t.Network(topology.NetworkFront), nil}
	}
	return net.JoinHostPort(front.IPAddress.String(), strconv.Itoa(task.Port)), nil
}

// servedByEdge reads the edge's statistics from inside its network, where alone they are.
func (p *Place) servedByEdge(ctx context.Context, t topology.Topology, php, nginx member) error {
	address, err := p.address(ctx, t, nginx)
	if err != nil {
		return err
	}
	page, err := p.ask(ctx, php.ID, agent, "get", statistics)
	if err != nil {
		return fmt.Errorf("ask the edge which tasks it serves: %w", err)
	}
	return serving(page, address)
}

// serving looks an address up in HAProxy's statistics: its server must be up.
func serving(page, address string) error {
	rows := csv.NewReader(strings.NewReader(strings.TrimPrefix(page, "# ")))
	rows.FieldsPerRecord = -1 // every line ends with a comma, the first one too in some versions
	lines, err := rows.ReadAll()
	if err != nil || len(lines) == 0 {
		return errors.Join(errors.New("the edge's statistics are not CSV"), err)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	at, okAddress := column["addr"]
	status, okStatus := column["status"]
	if !okAddress || !okStatus {
		return errors.New("the edge's statistics have no columns addr and status")
	}
	for _, line := range lines[1:] {
		if len(line) <= max(at, status) || line[at] != address {
			continue
		}
		if strings.HasPrefix(line[status], "UP") {
			return nil
		}
		return fmt.Errorf("the edge says of %s: %s", address, line[status])
	}
	return fmt.Errorf("the edge does not know %s yet", address)
}

// stop ends a container with its stop signal, in the time that it was given.
func (p *Place) stop(ctx context.Context, id string) error {
	if _, err := p.api.ContainerStop(ctx, id, client.ContainerStopOptions{}); err != nil && !gone(err) {
		return fmt.Errorf("stop the container %.12s: %w", id, err)
	}
	return nil
}

// takeAway removes what there is of a web task: its containers and its memory.
func (p *Place) takeAway(ctx context.Context, t topology.Topology, n int, sink report.Sink) error {
	members, err := p.members(ctx, t)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, m := range members {
		if m.Labels[labelTask] == strconv.Itoa(n) {
			group.Go(func() error { return p.discard(groupCtx, m.ID) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	_, err = p.api.VolumeRemove(ctx, t.TaskVolume(n), client.VolumeRemoveOptions{})
	if err != nil && !gone(err) {
		return fmt.Errorf("remove the memory of web task %d: %w", n, err)
	}
	sink.Step("web/"+t.WebTask(n), report.Done, "removed")
	return nil
}
