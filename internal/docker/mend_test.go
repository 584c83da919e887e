package docker

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
	"github.com/moby/moby/client"

	"platen/internal/report"
	"platen/internal/topology"
)

// One site, several misfortunes: each leaves it as it was.
func TestSiteIsMended(t *testing.T) {
	p := openPlace(t)
	ctx, sink := t.Context(), narrate(t)
	r := p.release("one")
	up := func(t *testing.T) {
		t.Helper()
		if err := p.Apply(ctx, p.t, sink); err != nil {
			t.Fatal(err)
		}
		if err := p.Roll(ctx, p.t, r, sink); err != nil {
			t.Fatal(err)
		}
		if page := p.front(t); page != r.ID {
			t.Fatalf("the front page is of release %q, want %s", page, r.ID)
		}
		if running, err := p.Running(ctx, p.t); err != nil || len(running) != 1 || running[r.ID] != 2 {
			t.Fatalf("Running = %v, %v; want two of %s", running, err, r.ID)
		}
		if plan, err := p.Plan(ctx, p.t); err != nil || len(plan.Changes) != 0 {
			t.Fatalf("the plan is %v, %v; want none", plan.Changes, err)
		}
	}

	t.Run("interrupted", func(t *testing.T) {
		// Apply, then Roll, each ended at its n-th event: on it goes.
		for _, n := range []int{1, 12, 24, 30, 36, 42} {
			limited, stop := context.WithCancel(ctx)
			left := n
			count := func(report.Event) {
				if left--; left == 0 {
					stop()
				}
			}
			locked := serial(count)
			err := p.Apply(limited, p.t, locked)
			if err == nil {
				err = p.Roll(limited, p.t, r, locked)
			}
			stop()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("ended at event %d: %v, want that it was canceled", n, err)
			}
		}
		up(t)
	})

	t.Run("half made", func(t *testing.T) {
		// As a Platen leaves it that was killed between two of the engine's connections.
		up(t)
		endpoints := p.t.Project + "-endpoints"
		if _, err := p.api.ContainerRemove(ctx, endpoints, client.ContainerRemoveOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		project, err := Project(p.t, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.create(ctx, p.t, project, sink); err != nil {
			t.Fatal(err)
		}
		if _, err := p.api.NetworkDisconnect(ctx, p.t.Network(topology.NetworkData), client.NetworkDisconnectOptions{Container: endpoints}); err != nil {
			t.Fatal(err)
		}
		up(t)
		made, err := p.api.ContainerInspect(ctx, endpoints, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if networks := made.Container.NetworkSettings.Networks; networks[p.t.Network(topology.NetworkData)] == nil {
			t.Errorf("the endpoints are connected to %v, without the data network", slices.Collect(maps.Keys(networks)))
		}
	})

	t.Run("stopped", func(t *testing.T) {
		for _, service := range []string{"db-1", "edge", "web-1-php", "web-2-nginx"} {
			if _, err := p.api.ContainerKill(ctx, p.t.Project+"-"+service, client.ContainerKillOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		plan, err := p.Plan(ctx, p.t)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"service/db-1", "service/edge", "service/web-1-php", "service/web-2-nginx"} {
			if !slices.ContainsFunc(plan.Changes, func(c report.Change) bool { return c.Address == want && c.Action == "update" }) {
				t.Errorf("the plan does not start %s: %v", want, plan.Changes)
			}
		}
		if status, err := p.Observe(ctx, p.t); err != nil || status.Healthy {
			t.Errorf("Observe finds a site healthy whose database is stopped: %+v, %v", status, err)
		}
		up(t)
	})

	t.Run("paused", func(t *testing.T) {
		if _, err := p.api.ContainerPause(ctx, p.t.Project+"-sessions-1", client.ContainerPauseOptions{}); err != nil {
			t.Fatal(err)
		}
		up(t)
	})

	t.Run("removed", func(t *testing.T) {
		for _, service := range []string{"objects-1", "web-1-nginx"} {
			if _, err := p.api.ContainerRemove(ctx, p.t.Project+"-"+service, client.ContainerRemoveOptions{Force: true}); err != nil {
				t.Fatal(err)
			}
		}
		up(t)
	})

	t.Run("unreached", func(t *testing.T) {
		// Both containers run and say so themselves, but no visitor gets to them.
		if _, err := p.api.NetworkDisconnect(ctx, p.t.Network(topology.NetworkFront), client.NetworkDisconnectOptions{Container: p.t.Project + "-web-1-nginx"}); err != nil {
			t.Fatal(err)
		}
		if running, err := p.Running(ctx, p.t); err != nil || running[r.ID] != 1 {
			t.Errorf("Running = %v, %v; want one of %s", running, err, r.ID)
		}
		plan, err := p.Plan(ctx, p.t)
		if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Address != "service/web-1" {
			t.Errorf("the plan is %v, %v; want web-1 updated", plan.Changes, err)
		}
		if status, err := p.Observe(ctx, p.t); err != nil || status.Healthy {
			t.Errorf("Observe finds a site healthy one of whose tasks serves nobody: %+v, %v", status, err)
		}
		up(t)
	})

	t.Run("a member changes", func(t *testing.T) {
		before := byService(p.list(t))
		p.t.Sessions.Memory += 8 * mib
		plan, err := p.Plan(ctx, p.t)
		if err != nil || len(plan.Changes) != 1 || plan.Changes[0].Address != "service/sessions-1" || plan.Changes[0].Action != "replace" {
			t.Fatalf("the plan is %v, %v; want sessions-1 replaced", plan.Changes, err)
		}
		up(t)
		for name, m := range byService(p.list(t)) {
			if (m.ID != before[name].ID) != (name == "sessions-1") {
				t.Errorf("%s is another container: %v", name, m.ID != before[name].ID)
			}
		}
	})

	t.Run("a tier goes", func(t *testing.T) {
		p.t.Mail.Catch = false
		plan, err := p.Plan(ctx, p.t)
		if err != nil || !slices.ContainsFunc(plan.Changes, func(c report.Change) bool { return c.Address == "service/mail" && c.Action == "delete" }) {
			t.Fatalf("the plan is %v, %v; want mail deleted", plan.Changes, err)
		}
		up(t)
	})

	t.Run("another folder", func(t *testing.T) {
		other := p.t
		other.Folder = t.TempDir()
		var owned *OwnedError
		if err := p.Apply(ctx, other, sink); !errors.As(err, &owned) || owned.Owner != p.t.Folder || report.HintOf(err) == "" {
			t.Errorf("Apply = %v, want an OwnedError with a hint", err)
		}
		if _, err := p.Destroy(ctx, other, report.Keep{}, sink); !errors.As(err, &owned) {
			t.Errorf("Destroy = %v, want an OwnedError", err)
		}
		// The site was moved: its old folder is gone.
		moved := filepath.Join(t.TempDir(), "moved")
		if err := os.Rename(p.t.Folder, moved); err != nil {
			t.Fatal(err)
		}
		p.t.Folder = moved
		up(t)
	})

	t.Run("a tier out of reach", func(t *testing.T) {
		if err := p.Roll(ctx, p.t, p.release("cut off"), sink); err != nil {
			t.Fatal(err)
		}
		status, err := p.Observe(ctx, p.t)
		if err != nil || status.Healthy {
			t.Errorf("Observe finds a site healthy that does not reach a cache: %+v, %v", status, err)
		}
		for _, tier := range status.Tiers {
			if bad := tier.Name == "objects"; tier.Members[0].Healthy == bad {
				t.Errorf("the tier %s is %+v", tier.Name, tier.Members)
			}
		}
		up(t)
	})

	t.Run("logs", func(t *testing.T) {
		var out bytes.Buffer
		if err := p.Logs(ctx, p.t, report.LogsOptions{Tiers: []string{"web"}}, &out); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "web-") {
				t.Errorf("a line of the web tier is %q", line)
			}
		}
	})
}

func TestJobsRunAndEnd(t *testing.T) {
	p := openPlace(t)
	ctx := t.Context()
	p.t.Web.Tasks.Min = 1
	if err := p.Apply(ctx, p.t, narrate(t)); err != nil {
		t.Fatal(err)
	}
	r := p.release("one")

	var lines []string
	sink := serial(func(e report.Event) {
		if e.Event == "log" {
			lines = append(lines, e.Step+" "+e.Detail)
		}
	})
	exit, err := p.Run(ctx, p.t, r, topology.Job{Name: "check", Command: []string{"exit", "7"}}, &bytes.Buffer{}, sink)
	if err != nil || exit != 7 {
		t.Errorf("Run = %d, %v; want 7", exit, err)
	}
	if got := strings.Join(lines, ","); !strings.HasPrefix(got, "jobs/check one,jobs/check two") {
		t.Errorf("the job's standard error is %q", got)
	}

	limited, stop := context.WithCancel(ctx)
	started := &onWrite{do: stop}
	if _, err := p.Run(limited, p.t, r, topology.Job{Name: "long", Command: []string{"wait"}}, started, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want that it was canceled", err)
	}
	stop()

	var out bytes.Buffer
	exit, err = p.Exec(ctx, p.t, []string{"hello", "you"}, report.Streams{In: strings.NewReader("typed"), Out: &out, Err: &out})
	if err != nil || exit != 0 || out.String() != "hello you\ntyped" {
		t.Errorf("Exec = %d, %v, %q", exit, err, out.String())
	}
	if left := slices.DeleteFunc(p.list(t), func(m member) bool { return !m.oneOff() }); len(left) > 0 {
		t.Errorf("a job's container is left: %v", left[0].Names)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	p := openPlace(t)
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(p.t.Edge.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	err = p.Apply(t.Context(), p.t, nil)
	if err == nil || !strings.Contains(err.Error(), "docker.test (pid "+strconv.Itoa(os.Getpid())) || report.HintOf(err) == "" {
		t.Fatalf("Apply = %v (%s), want the name of this process and a hint", err, report.HintOf(err))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), p.t, nil); err != nil {
		t.Fatalf("Apply when the port is free again: %v", err)
	}
}

// Docker's own compose brings the rendered file up, in the right order, without Platen.
func TestRenderedFileRunsWithoutPlaten(t *testing.T) {
	p := openPlace(t)
	ctx := t.Context()
	p.t.Web.Tasks.Min = 1
	r := p.release("one")
	text, err := Compose(p.t, r)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	docker, err := compose.NewComposeService(p.cli)
	if err != nil {
		t.Fatal(err)
	}
	project, err := docker.LoadProject(ctx, api.ProjectLoadOptions{ConfigPaths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	err = docker.Up(ctx, project, api.UpOptions{
		Create: api.CreateOptions{Recreate: api.RecreateDiverged},
		Start:  api.StartOptions{Project: project, Wait: true, WaitTimeout: 3 * time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Compose waits for containers; the edge asks the task once more before it sends visitors there.
	page, err := p.fetch()
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		page, err = p.fetch()
	}
	if err != nil || page != r.ID {
		t.Errorf("the front page is of release %q (%v), want %s", page, err, r.ID)
	}
	log := strings.Join(p.lastLines(ctx, p.t.Project+"-install"), "\n")
	if !strings.HasPrefix(log, "install") {
		t.Errorf("the install job said %q", log)
	}
}

func TestUnreachableEngineSaysWhatToDo(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	for host, want := range map[string]string{
		"unix://" + socket:      "DOCKER_HOST",
		"tcp://127.0.0.1:1":     "DOCKER_HOST",
		"nonsense":              "DOCKER_HOST",
		"tcp://nowhere.invalid": "DOCKER_HOST",
	} {
		t.Setenv("DOCKER_HOST", host)
		_, err := New(t.Context(), Options{State: t.TempDir()})
		if err == nil || !strings.Contains(report.HintOf(err), want) {
			t.Errorf("%s: New = %v, hint %q", host, err, report.HintOf(err))
		}
	}
}

func (p *place) list(t *testing.T) []member {
	t.Helper()
	members, err := p.members(t.Context(), p.t)
	if err != nil {
		t.Fatal(err)
	}
	return members
}
