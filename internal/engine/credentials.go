package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"platen/internal/report"
	"platen/internal/topology"
)

// Credentials are what the first administrator logs in with.
type Credentials struct {
	URL      string `json:"url"`
	User     string `json:"user"`
	Password string `json:"password"`
}

// Credentials asks the site's own secrets for the administrator's password: it is kept nowhere else.
func (e *Engine) Credentials(ctx context.Context, o Site, sink report.Sink) (Credentials, error) {
	env, err := e.open(ctx, o)
	if err != nil {
		return Credentials{}, err
	}
	out, err := e.job(ctx, env, sink, "credentials", env.topology.Install.User)
	if err != nil {
		return Credentials{}, err
	}
	var c Credentials
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return Credentials{}, fmt.Errorf("read what platen-job credentials printed: %w", err)
	}
	c.URL = env.topology.URL + "/wp-admin/"
	return c, nil
}

// job runs a command of the serving release's jobs image and returns what it printed.
func (e *Engine) job(ctx context.Context, env *environment, sink report.Sink, command ...string) (string, error) {
	r, err := e.current(ctx, env)
	if err != nil {
		return "", err
	}
	if err := e.running(ctx, env); err != nil {
		return "", err
	}
	var out, said strings.Builder
	listen := report.Sink(func(ev report.Event) {
		if ev.Event == "log" {
			fmt.Fprintln(&said, ev.Detail)
		}
		if sink != nil {
			sink(ev)
		}
	})
	j := topology.Job{Name: command[0], Command: command}
	exit, err := env.place.Fleet.Run(ctx, env.topology, r, j, &out, listen)
	if err != nil {
		return "", fmt.Errorf("run platen-job %s: %w", strings.Join(command, " "), err)
	}
	if exit != 0 {
		return "", fmt.Errorf("platen-job %s ended with status %d%s", strings.Join(command, " "), exit, tail(said.String()))
	}
	return out.String(), nil
}
