package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

const stateKey = "state.json"

// loadState reads what the environment remembers; the zero value and etag "" when nothing is.
func loadState(ctx context.Context, store Store) (state topology.State, etag string, err error) {
	data, etag, err := store.Get(ctx, stateKey)
	if errors.Is(err, release.ErrNotFound) {
		return state, "", nil
	}
	if err != nil {
		return state, "", fmt.Errorf("read the environment's state: %w", err)
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return state, "", fmt.Errorf("read the environment's state (%s): %w", stateKey, err)
	}
	return state, etag, nil
}

// reload reads the state again, under the lock: somebody may have worked here since the first look.
func (env *environment) reload(ctx context.Context) (err error) {
	env.state, env.etag, err = loadState(ctx, env.place.Store)
	env.saved = env.state
	return err
}

// save writes the state when it differs from the one that was read.
func (env *environment) save(ctx context.Context) error {
	if reflect.DeepEqual(env.state, env.saved) {
		return nil
	}
	etag, err := env.place.Store.Put(ctx, stateKey, encode(env.state), env.etag)
	if err != nil {
		return fmt.Errorf("write the environment's state: %w", err)
	}
	env.etag, env.saved = etag, env.state
	return nil
}

// work works out the topology from the configuration and the state.
func (env *environment) work() error {
	t, err := topology.For(env.spec, env.state)
	if err != nil {
		return err
	}
	t.Folder = env.folder
	env.topology = t
	return nil
}

const releasePrefix = "releases/"

// recordRelease keeps a release for good. The same content is the same record.
func recordRelease(ctx context.Context, store Store, r release.Release) error {
	_, err := store.Put(ctx, releasePrefix+r.ID+".json", encode(r), "")
	if err != nil && !errors.Is(err, release.ErrConflict) {
		return fmt.Errorf("record release %s: %w", r.ID, err)
	}
	return nil
}

func readRelease(ctx context.Context, store Store, id string) (release.Release, error) {
	data, _, err := store.Get(ctx, releasePrefix+id+".json")
	if err != nil {
		return release.Release{}, fmt.Errorf("read release %s: %w", id, err)
	}
	var r release.Release
	if err := json.Unmarshal(data, &r); err != nil {
		return release.Release{}, fmt.Errorf("read release %s: %w", id, err)
	}
	return r, nil
}

// current is the release that serves, with its record.
func (e *Engine) current(ctx context.Context, env *environment) (release.Release, error) {
	if env.place.Fleet == nil {
		return release.Release{}, errNoFleet
	}
	running, err := env.place.Fleet.Running(ctx, env.topology)
	if err != nil {
		return release.Release{}, fmt.Errorf("see which release runs: %w", err)
	}
	r, ok := e.previous(ctx, env, "", running)
	switch {
	case len(running) == 0:
		return r, notUp(env)
	case !ok:
		return r, report.Hint(errors.New("the release that runs has no record: its first up was interrupted"), "run: %s", env.command("up"))
	}
	return r, nil
}

// configured names the configuration for a person.
func configured(env *environment) string {
	if env.assumed {
		return "the default"
	}
	return FileName
}

func tasks(r site.Range) string {
	if r.Min == r.Max {
		return strconv.Itoa(r.Min)
	}
	return fmt.Sprintf("%d..%d", r.Min, r.Max)
}
