package engine

import (
	"context"
	"errors"

	"platen/internal/capacity"
	"platen/internal/release"
	"platen/internal/report"
)

// States of a check.
const (
	OK   = "ok"
	Warn = "warn" // works, but a person should know
	Fail = "fail"
)

// Check is one thing that doctor looked at.
type Check struct {
	Group  string `json:"group"` // engine, machine, archive, site
	Name   string `json:"name"`
	State  string `json:"state"`  // ok | warn | fail
	Detail string `json:"detail"` // what was found
	Do     string `json:"do,omitempty"`
}

// Doctor looks at everything that up needs and touches nothing.
func (e *Engine) Doctor(ctx context.Context, o Site) ([]Check, error) {
	spec, folder, assumed, err := e.load(o)
	if err != nil {
		return nil, err
	}
	file := Check{"site", "configuration", OK, spec.Name + " (" + spec.Environment + ")", ""}
	if assumed {
		file.Detail += ", by default: there is no " + FileName
	}
	checks := []Check{file}
	if e.Probe != nil {
		checks = append(e.Probe(ctx, spec), checks...)
	}
	place, err := e.Open(ctx, spec, folder)
	if err != nil {
		return append([]Check{failed("engine", "answers", err)}, checks...), nil
	}
	checks = append([]Check{{"engine", "answers", OK, "yes", ""}}, checks...)

	env := &environment{spec: spec, folder: folder, place: place}
	if err := env.reload(ctx); err != nil {
		return append(checks, failed("site", "records", err)), nil
	}
	if err := env.work(); err != nil {
		return append(checks, failed("site", "records", err)), nil
	}
	return append(checks, e.capacityCheck(ctx, env), e.portCheck(ctx, env), e.lockCheck(ctx, env)), nil
}

func (e *Engine) capacityCheck(ctx context.Context, env *environment) Check {
	limits, err := env.place.Target.Limits(ctx, env.topology)
	if err != nil {
		return failed("machine", "capacity", err)
	}
	if verdict := capacity.Check(env.topology, limits); !verdict.Fits {
		return failed("machine", "capacity", &UnfitError{env.spec.Name, env.spec.Environment, verdict})
	}
	return Check{"machine", "capacity", OK, "the site needs " + capacity.Bytes(env.topology.CalculateMemory()) +
		" of " + capacity.Bytes(limits.Memory), ""}
}

func (e *Engine) portCheck(ctx context.Context, env *environment) Check {
	t := env.topology
	if t.Edge.Address == "" || t.Edge.Port == 0 {
		return Check{"machine", "port", OK, "any free one", ""}
	}
	if free(t.Edge.Address, t.Edge.Port) {
		return Check{"machine", "port", OK, t.URL + " is free", ""}
	}
	if env.place.Ports != nil {
		if ours, err := env.place.Ports.Published(ctx, t); err == nil && ours == t.Edge.Port {
			return Check{"machine", "port", OK, t.URL + " is this site's", ""}
		}
	}
	if env.state.Port == t.Edge.Port {
		return failed("machine", "port", e.portTaken(ctx, env, t.Edge.Port))
	}
	return Check{"machine", "port", Warn, t.URL + " is taken" + e.by(ctx, env, t.Edge.Port),
		"nothing: up takes the next free port; or set another port: in " + FileName}
}

func (e *Engine) lockCheck(ctx context.Context, env *environment) Check {
	l, err := holder(ctx, env.place.Store)
	switch {
	case errors.Is(err, release.ErrNotFound):
		return Check{"site", "lock", OK, "free", ""}
	case err != nil:
		return failed("site", "lock", report.Hint(err, "%s", env.command("unlock")))
	case e.abandoned(l):
		return Check{"site", "lock", OK, "left behind by " + l.Command + ", which is gone: the next command takes it", ""}
	}
	held := failed("site", "lock", &LockedError{l, env.spec.Environment})
	held.State = Warn
	return held
}

// failed makes a check of an error and the hint that it carries.
func failed(group, name string, err error) Check {
	return Check{group, name, Fail, err.Error(), report.HintOf(err)}
}

// Healthy tells whether no check failed.
func Healthy(checks []Check) bool {
	for _, c := range checks {
		if c.State == Fail {
			return false
		}
	}
	return true
}
