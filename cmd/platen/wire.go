package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"platen/internal/cli"
	"platen/internal/docker"
	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/registry"
	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// wire hands the concrete adapters to the engine. No other file names them.
func wire() cli.Wire {
	return cli.Wire{
		Version: built(),
		Abandon: abandon,
		Engine: &engine.Engine{
			Open:       openPlace,
			Build:      buildImages,
			Push:       pushImages,
			SaveImages: registry.Save, RecallImage: recallImage,
			Probe:   probe,
			Browse:  browse,
			HTTP:    &http.Client{Timeout: 30 * time.Second},
			Now:     time.Now,
			Process: engine.ThisProcess(),
		},
	}
}

// openPlace connects to where an environment runs.
func openPlace(ctx context.Context, spec site.Spec, _ string) (engine.Place, error) {
	if spec.Target == site.AWS {
		return openAWS(ctx, spec)
	}
	// The topology is the only source of names, this folder's too.
	t, err := topology.For(spec, topology.State{})
	if err != nil {
		return engine.Place{}, err
	}
	state, err := stateFolder()
	if err != nil {
		return engine.Place{}, err
	}
	var place *docker.Place
	load := func(ctx context.Context, images []image.Image, sink report.Sink) (map[string]string, error) {
		return registry.Load(ctx, place.API(), images, t.Repository, sink)
	}
	place, err = docker.New(ctx, docker.Options{State: filepath.Join(state, t.Project), Load: load})
	if err != nil {
		return engine.Place{}, err
	}
	return engine.Place{Target: place, Fleet: place, Console: place, Store: place, Vault: place, Ports: place, Render: render}, nil
}

// render is the local place as a compose.yaml.
func render(_ context.Context, t topology.Topology, r release.Release) (map[string][]byte, error) {
	text, err := docker.Compose(t, r)
	return map[string][]byte{"compose.yaml": text}, err
}

// browse opens an address the way the desktop does.
func browse(ctx context.Context, url string) error {
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	if err := exec.CommandContext(ctx, name, url).Run(); err != nil {
		return report.Hint(fmt.Errorf("open %s in a browser: %w", url, err), "open it yourself: %s", url)
	}
	return nil
}
