package docker

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"platen/internal/report"
	"platen/internal/topology"
)

// Logs writes the lines of the tiers' members to w, each after the member's name. Without
// Follow the members come one after the other, each in its own order; with it, lines come as
// they are written. It ends when the members end or ctx does.
func (p *Place) Logs(ctx context.Context, t topology.Topology, o report.LogsOptions, w io.Writer) error {
	members, err := p.members(ctx, t)
	if err != nil {
		return err
	}
	members = slices.DeleteFunc(members, func(m member) bool {
		return len(o.Tiers) > 0 && !slices.ContainsFunc(o.Tiers, m.called)
	})
	width := 0
	for _, m := range members {
		width = max(width, len(m.service()))
	}
	out := &sharedWriter{to: w}
	group, ctx := errgroup.WithContext(ctx)
	if !o.Follow {
		group.SetLimit(1)
	}
	for _, m := range members {
		prefix := m.service() + strings.Repeat(" ", width-len(m.service())) + " | "
		group.Go(func() error { return p.logsOf(ctx, m, o, prefix, out) })
	}
	err = group.Wait()
	if o.Follow && ctx.Err() != nil && out.failed() == nil {
		return nil // the person has seen enough
	}
	return err
}

// called tells whether a name means this container: its tier's, its own, or, as status has it, its
// task's.
func (m member) called(name string) bool {
	n := m.Labels[labelTask]
	return name == m.tier() || name == m.service() || n != "" && name == "web-"+n
}

func (p *Place) logsOf(ctx context.Context, m member, o report.LogsOptions, prefix string, out *sharedWriter) error {
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: o.Follow, Since: o.Since}
	if o.Tail > 0 {
		options.Tail = strconv.Itoa(o.Tail)
	}
	log, err := p.api.ContainerLogs(ctx, m.ID, options)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", m.name(), err)
	}
	defer func() { _ = log.Close() }()
	lines := func() *lineWriter { return &lineWriter{write: func(line string) { out.line(prefix + line) }} }
	stdout, stderr := lines(), lines()
	_, err = stdcopy.StdCopy(stdout, stderr, log)
	stdout.flush()
	stderr.flush()
	if failed := out.failed(); failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", m.name(), err)
	}
	return nil
}

// sharedWriter writes whole lines of several members, and remembers that it cannot.
type sharedWriter struct {
	mu  sync.Mutex
	to  io.Writer
	err error
}

func (w *sharedWriter) line(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		_, w.err = io.WriteString(w.to, text+"\n")
	}
}

func (w *sharedWriter) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
