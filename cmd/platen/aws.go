package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"platen/internal/aws"
	"platen/internal/engine"
	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/task"
	"platen/internal/terraform"
	"platen/internal/topology"
	stacks "platen/terraform"
)

// openAWS connects to the account of an environment on AWS. Terraform's folders are below the
// environment's own, where no person works.
func openAWS(ctx context.Context, spec site.Spec) (engine.Place, error) {
	t, err := topology.For(spec, topology.State{})
	if err != nil {
		return engine.Place{}, err
	}
	state, err := stateFolder()
	if err != nil {
		return engine.Place{}, err
	}
	cache, err := cacheFolder()
	if err != nil {
		return engine.Place{}, err
	}
	runner := &terraform.Runner{
		Find: func(ctx context.Context, sink report.Sink) (terraform.Program, error) {
			return terraform.Find(ctx, cache, sink)
		},
		Folder: filepath.Join(state, t.Project, "terraform"), Cache: cache, Workspace: t.Env,
	}
	place, err := aws.Open(ctx, aws.Options{
		Topology: t, Stacks: stacks.FS, Terraform: runner, Secret: givenSecret, Now: time.Now,
	})
	if err != nil {
		return engine.Place{}, err
	}
	render := func(ctx context.Context, t topology.Topology, _ release.Release) (map[string][]byte, error) {
		return place.Render(ctx, t)
	}
	return engine.Place{Target: place, Store: place, Vault: place, Hosts: place, Images: place, Detail: place.Detail, Ready: runner.Ready, Render: render}, nil
}

// givenSecret is what a person hands in with the command; all other secrets are generated.
func givenSecret(name string) string {
	if name == task.SecretMail {
		return os.Getenv(engine.EnvMailPassword)
	}
	return ""
}
