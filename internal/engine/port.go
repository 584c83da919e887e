package engine

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"platen/internal/report"
	"platen/internal/site"
)

// spread is how far from the wanted port the next free one is looked for.
const spread = 100

// choosePort settles the port that the local edge publishes. The one of the last time stays: it
// is part of the site's address, and links in posts have it.
func (e *Engine) choosePort(ctx context.Context, env *environment, asked *int, steps *steps) error {
	if env.spec.Target != site.Local {
		return nil
	}
	address, want := env.topology.Edge.Address, env.spec.Port
	ours := 0
	if env.place.Ports != nil {
		var err error
		if ours, err = env.place.Ports.Published(ctx, env.topology); err != nil {
			return fmt.Errorf("see which port the site has: %w", err)
		}
	}
	settle := func(port int) error {
		if port != ours && !free(address, port) {
			return e.portTaken(ctx, env, port)
		}
		env.state.Port, env.state.Wanted = port, want
		return nil
	}
	recorded := env.state.Port
	if env.state.Wanted != want {
		recorded = 0 // the file asks for another now
	}
	switch {
	case asked != nil && *asked != 0:
		return settle(*asked)
	case asked == nil && recorded != 0:
		return settle(recorded)
	case asked == nil && env.state.Port == 0 && ours != 0:
		steps.note("there are no records of this site: it keeps its port %d", ours)
		return settle(ours)
	case asked != nil:
		want = 0
	case ours != 0 && (want == ours || want == 0):
		return settle(ours)
	}
	port, err := nextFree(address, want)
	if err != nil {
		return err
	}
	if want != 0 && port != want {
		steps.note("port %d is taken%s: using %d", want, e.by(ctx, env, want), port)
	}
	env.state.Port, env.state.Wanted = port, env.spec.Port
	return nil
}

// portTaken says who has the site's port, and what can be done.
func (e *Engine) portTaken(ctx context.Context, env *environment, port int) error {
	return report.Hint(fmt.Errorf("publish the site on %s:%d: the port is taken%s", env.topology.Edge.Address, port, e.by(ctx, env, port)),
		"end what listens there; or move the site for good with platen up --port N (0 takes any free one): links in posts keep the old port")
}

// by names who listens on a port, for the end of a sentence.
func (e *Engine) by(ctx context.Context, env *environment, port int) string {
	if env.place.Ports == nil {
		return ""
	}
	who := env.place.Ports.Listener(ctx, port)
	if who == "" {
		return ""
	}
	return " by " + who
}

func free(address string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// nextFree is the wanted port, or the next one that nobody listens on; 0 wants any.
func nextFree(address string, want int) (int, error) {
	if want == 0 {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			return 0, fmt.Errorf("find a free port on %s: %w", address, err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		return port, l.Close()
	}
	for port := want; port < want+spread && port <= 65535; port++ {
		if free(address, port) {
			return port, nil
		}
	}
	return 0, report.Hint(fmt.Errorf("find a free port on %s: %d to %d are all taken", address, want, want+spread-1),
		"set another port: for this environment in %s (0 takes any free one)", FileName)
}
