package engine

import (
	"context"
	"errors"
	"fmt"

	"platen/internal/report"
	"platen/internal/site"
)

// HostsUpdateOptions are those of hosts update.
type HostsUpdateOptions struct {
	Site
	Check bool // say what there is to do, and do nothing
	// Confirm asks a person whether the hosts may be replaced; nil means that it was said already.
	Confirm func(question string) error
}

// HostsUpdated is what an update of the hosts came to.
type HostsUpdated struct {
	Result
	Hosts report.Hosts // as they were found
	Image report.Move
}

// errNoHosts is the answer where tasks run on this machine.
var errNoHosts = &UsageError{report.Hint(errors.New("a local environment runs on this machine's own Docker Engine, which has no hosts"),
	"name an environment with target: aws, as in platen hosts list prod")}

// HostsList says what the hosts of an environment run, and what there is newer.
func (e *Engine) HostsList(ctx context.Context, o Site) (report.Hosts, error) {
	env, err := e.openHosts(ctx, o)
	if err != nil {
		return report.Hosts{}, err
	}
	return env.place.Hosts.Hosts(ctx, env.topology)
}

func (e *Engine) openHosts(ctx context.Context, o Site) (*environment, error) {
	spec, _, _, err := e.load(o)
	if err != nil {
		return nil, err
	}
	if spec.Target == site.Local {
		return nil, errNoHosts
	}
	return e.open(ctx, o)
}

// HostsUpdate moves the hosts to the newest machine image, one after the other. It goes on after
// an interruption.
func (e *Engine) HostsUpdate(ctx context.Context, o HostsUpdateOptions, sink report.Sink) (HostsUpdated, error) {
	steps := &steps{sink: sink, verb: "hosts update"}
	u, err := e.hostsUpdate(ctx, o, steps)
	return u, steps.interrupted(ctx, err)
}

func (e *Engine) hostsUpdate(ctx context.Context, o HostsUpdateOptions, steps *steps) (u HostsUpdated, err error) {
	env, err := e.openHosts(ctx, o.Site)
	if err != nil {
		return u, err
	}
	err = steps.do("look", func() (err error) {
		u.Hosts, err = env.place.Hosts.Hosts(ctx, env.topology)
		return err
	})
	if err != nil {
		return u, err
	}
	if u.Hosts.Image == "" {
		return u, notUp(env)
	}
	u.Image = report.Move{From: u.Hosts.Image, To: u.Hosts.Newest}
	u.Changed = !u.Hosts.Current()
	if !u.Changed || o.Check {
		return u, nil
	}
	if o.Confirm != nil {
		question := fmt.Sprintf("Replace the %d hosts of %s (%s) one after the other, each after its tasks have moved, %s",
			len(u.Hosts.Hosts), env.spec.Name, env.spec.Environment, moves(u.Hosts))
		if err := o.Confirm(question + "?"); err != nil {
			return u, err
		}
	}
	ctx, held, err := e.lock(ctx, env.place.Store, env.spec.Environment, e.Process.Command)
	if err != nil {
		return u, err
	}
	defer held.release(ctx)
	return u, steps.do("hosts", func() error {
		return env.place.Hosts.UpdateHosts(ctx, env.topology, u.Image.To, steps.sink)
	})
}

// moves says from which image to which the hosts go; an update that goes on knows only the latter.
func moves(h report.Hosts) string {
	if h.Image == h.Newest {
		return fmt.Sprintf("to %s: %d are of another image still", h.Newest, len(h.Behind()))
	}
	return fmt.Sprintf("%s → %s", h.Image, h.Newest)
}
