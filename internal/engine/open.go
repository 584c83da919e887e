package engine

import (
	"context"
	"fmt"
)

// OpenOptions are open's.
type OpenOptions struct {
	Site
	Admin bool // wp-admin instead of the front page
	Print bool // only say the address
}

// OpenSite opens the site in the person's browser and returns its address.
func (e *Engine) OpenSite(ctx context.Context, o OpenOptions) (string, error) {
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return "", err
	}
	if env.place.Fleet == nil {
		return "", errNoFleet
	}
	running, err := env.place.Fleet.Running(ctx, env.topology)
	if err != nil {
		return "", fmt.Errorf("see which release runs: %w", err)
	}
	if len(running) == 0 {
		return "", notUp(env)
	}
	url := env.topology.URL + "/"
	if o.Admin {
		url += "wp-admin/"
	}
	if o.Print || e.Browse == nil {
		return url, nil
	}
	return url, e.Browse(ctx, url)
}
