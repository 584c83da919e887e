package docker

import (
	"context"
	"fmt"
	"os"

	"github.com/moby/moby/client"
	"golang.org/x/term"

	"platen/internal/report"
	"platen/internal/topology"
)

// Exec runs a command of the jobs image in a container of its own, with a person's streams. On
// a terminal the container has one too, of the same size, and every key goes to it.
func (p *Place) Exec(ctx context.Context, t topology.Topology, command []string, io report.Streams) (int, error) {
	s, err := job(t, "exec", t.Image("jobs"), t.Web.Config, command)
	if err != nil {
		return 0, err
	}
	to := streams{in: io.In, out: io.Out, stderr: io.Err, tty: io.TTY}
	if terminal, ok := io.In.(*os.File); ok && io.TTY && term.IsTerminal(int(terminal.Fd())) {
		if name := os.Getenv("TERM"); name != "" {
			s.Environment["TERM"] = &name
		}
		cooked, err := term.MakeRaw(int(terminal.Fd()))
		if err != nil {
			return 0, fmt.Errorf("make the terminal raw: %w", err)
		}
		defer func() { _ = term.Restore(int(terminal.Fd()), cooked) }()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		to.attached = func(_ context.Context, id string) { go p.followSize(ctx, id, terminal) }
	}
	exit, err := p.oneOff(ctx, t, s, to)
	if err != nil {
		return 0, fmt.Errorf("run %v in the jobs image: %w", command, err)
	}
	return exit, nil
}

// followSize keeps the container's terminal as large as the person's.
func (p *Place) followSize(ctx context.Context, id string, terminal *os.File) {
	changes := sizeChanges(ctx)
	for {
		if width, height, err := term.GetSize(int(terminal.Fd())); err == nil {
			// A container that has just ended has no size: nothing to say.
			_, _ = p.api.ContainerResize(ctx, id, client.ContainerResizeOptions{Width: uint(width), Height: uint(height)})
		}
		select {
		case <-ctx.Done():
			return
		case <-changes:
		}
	}
}
