package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"platen/internal/report"
	"platen/internal/topology"
)

// pace is the time between two probes of something that is about to come up. A probe is three
// calls of the engine and a process, some 60 ms of work.
const pace = 150 * time.Millisecond

// ask runs a command in a running container and returns its standard output, also when it
// failed: the error is then its standard error.
func (p *Place) ask(ctx context.Context, id string, command ...string) (string, error) {
	created, err := p.api.ExecCreate(ctx, id, client.ExecCreateOptions{
		Cmd: command, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return "", err
	}
	attached, err := p.api.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return "", err
	}
	// A hijacked connection knows no context.
	stop := context.AfterFunc(ctx, attached.Close)
	defer attached.Close()
	defer stop()
	var out, stderr bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &stderr, attached.Reader); err != nil && !errors.Is(err, io.EOF) {
		return "", errors.Join(ctx.Err(), err)
	}
	// The streams end a moment before the engine notes the status.
	for {
		ended, err := p.api.ExecInspect(ctx, created.ID, client.ExecInspectOptions{})
		if err != nil {
			return "", err
		}
		if ended.Running {
			if err := pause(ctx, 10*time.Millisecond); err != nil {
				return "", err
			}
			continue
		}
		if ended.ExitCode != 0 {
			reason := strings.TrimSpace(stderr.String())
			if reason == "" {
				reason = strings.TrimSpace(out.String())
			}
			return out.String(), fmt.Errorf("%s ended with status %d: %s", strings.Join(command, " "), ended.ExitCode, reason)
		}
		return out.String(), nil
	}
}

// healthy asks the agent in a container: php, task, mariadb or valkey.
func (p *Place) healthy(ctx context.Context, id, what string) error {
	_, err := p.ask(ctx, id, agent, "health", what)
	return err
}

// serves asks whether the edge sends visitors to a whole web task, which it does while the task
// answers its checks. It asks more than once: an answer can be late on a machine that has much to do.
func (p *Place) serves(ctx context.Context, t topology.Topology, w webtask) error {
	php, nginx := w.containers[t.WebPHP(w.n)], w.containers[t.WebNginx(w.n)]
	const attempts = 3
	for attempt := 1; ; attempt++ {
		err := p.servedByEdge(ctx, t, php, nginx)
		if err == nil || attempt == attempts {
			return err
		}
		if err := pause(ctx, pace); err != nil {
			return err
		}
	}
}

// comesIn is serves for a task, or an edge, that may have started a moment ago: as long as the task
// itself answers, the edge gets the time that it has for a new one.
func (p *Place) comesIn(ctx context.Context, t topology.Topology, w webtask) error {
	limited, cancel := context.WithTimeout(ctx, patienceEdge)
	defer cancel()
	php := w.containers[t.WebPHP(w.n)]
	for {
		err := p.serves(limited, t, w)
		if err == nil || p.healthy(limited, php.ID, "task") != nil {
			return err
		}
		if pause(limited, pace) != nil {
			return err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// failure is a container that will not come up, or that did not in time.
type failure struct {
	service, reason string
	lines           []string // the last of its log
}

func (f *failure) Error() string {
	text := f.service + " " + f.reason
	if len(f.lines) > 0 {
		text += ":\n  " + strings.Join(f.lines, "\n  ")
	}
	return text
}

// await probes until the probe succeeds, the container gives up, or the patience is over.
// Docker starts a container that ends again: one that ended three times is given up.
func (p *Place) await(ctx context.Context, service, id string, patience time.Duration, probe func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		if last = probe(limited); last == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if reason := p.gaveUp(ctx, id); reason != "" {
			return &failure{service, reason, p.lastLines(ctx, id)}
		}
		if pause(limited, pace) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &failure{service, fmt.Sprintf("was not ready after %s (%s)", patience, last), p.lastLines(ctx, id)}
		}
	}
}

func (p *Place) gaveUp(ctx context.Context, id string) string {
	found, err := p.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil || found.Container.State == nil {
		return "" // the next probe says what is wrong
	}
	state := found.Container.State
	switch {
	case found.Container.RestartCount >= 3:
		return fmt.Sprintf("ended %d times, with status %d", found.Container.RestartCount, state.ExitCode)
	case state.OOMKilled:
		return "was killed: it needs more memory than its limit"
	case !state.Running && !state.Restarting:
		return fmt.Sprintf("ended with status %d", state.ExitCode)
	}
	return ""
}

// lastLines are the last lines of a container's log, for an error.
func (p *Place) lastLines(ctx context.Context, id string) []string {
	log, err := p.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "15"})
	if err != nil {
		return nil
	}
	defer func() { _ = log.Close() }()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, log); err != nil && out.Len() == 0 {
		return nil
	}
	text := strings.TrimRight(out.String(), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = report.Plain(line)
	}
	return lines
}
