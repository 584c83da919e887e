package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"platen/internal/release"
	"platen/internal/report"
)

// RenderOptions are render's.
type RenderOptions struct {
	Site
	To string // the folder to write; made when it is missing
}

// Render writes the environment as files that run without Platen, and returns their paths.
func (e *Engine) Render(ctx context.Context, o RenderOptions, sink report.Sink) ([]string, error) {
	steps := &steps{sink: sink, verb: "render"}
	paths, err := e.render(ctx, o, steps)
	return paths, steps.interrupted(ctx, err)
}

func (e *Engine) render(ctx context.Context, o RenderOptions, steps *steps) ([]string, error) {
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return nil, err
	}
	steps.assumed(env)
	if env.place.Render == nil {
		return nil, errors.New("this target cannot be rendered")
	}
	if env.place.Fleet == nil {
		files, err := renderInfrastructure(ctx, env)
		if err != nil {
			return nil, err
		}
		return writeFiles(o.To, files)
	}
	if env.topology.Images == nil {
		// What was never up is rendered with the images that up would run.
		err := steps.do("images", func() error {
			images, err := e.Build(ctx, BuildRequest{Spec: env.spec, Folder: env.folder}, steps.sink)
			if err == nil {
				env.topology.Images, err = env.place.Fleet.Publish(ctx, images, steps.sink)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	r, err := e.current(ctx, env)
	if err != nil {
		r = release.New(webImages(env.topology.Images), env.topology.Web.Config, e.Who(), e.Now())
	}
	files, err := env.place.Render(ctx, env.topology, r)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", env.topology.Project, err)
	}
	return writeFiles(o.To, files)
}

// writeFiles writes rendered files below a folder, and returns their paths.
func writeFiles(to string, files map[string][]byte) ([]string, error) {
	var paths []string
	for name, data := range files {
		path := filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return paths, fmt.Errorf("write %s: %w", path, err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return paths, fmt.Errorf("write %s: %w", path, err)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths, nil
}
