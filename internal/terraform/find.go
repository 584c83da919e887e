// Package terraform runs Terraform on the stacks: it finds or installs it, writes the stacks
// out, initialises them against their state, plans, applies, destroys, and turns its stream of
// JSON into steps for a person.
package terraform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hc-install/product"
	"github.com/hashicorp/hc-install/releases"
	"github.com/hashicorp/terraform-exec/tfexec"

	"platen/internal/report"
)

// oldest is the first Terraform that locks its state in S3 without a table (use_lockfile).
var oldest = version.Must(version.NewVersion("1.10.0"))

// pinned is what is installed where none is found.
var pinned = version.Must(version.NewVersion("1.11.4"))

// Program is a Terraform that is new enough.
type Program struct {
	Path    string
	Version string
	From    string // "PATH", or the cache
}

// Find returns the Terraform of PATH when it is new enough, else the pinned one, which it
// installs below cache: downloaded from HashiCorp, its checksums' signature verified.
func Find(ctx context.Context, cache string, sink report.Sink) (Program, error) {
	var older string
	if path, err := exec.LookPath("terraform"); err == nil {
		found, err := versionOf(ctx, path)
		if err != nil {
			return Program{}, err
		}
		if found.GreaterThanOrEqual(oldest) {
			return Program{path, found.String(), "PATH"}, nil
		}
		older = fmt.Sprintf(" (%s is %s, which is older than %s)", path, found, oldest)
	}
	folder := filepath.Join(cache, "terraform", pinned.String())
	path := filepath.Join(folder, product.Terraform.BinaryName())
	if found, err := versionOf(ctx, path); err == nil && found.Equal(pinned) {
		return Program{path, found.String(), "cache"}, nil
	}
	sink.Step("terraform", report.Running, "installing "+pinned.String()+older)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return Program{}, fmt.Errorf("make room for Terraform: %w", err)
	}
	source := &releases.ExactVersion{Product: product.Terraform, Version: pinned, InstallDir: folder, ApiBaseURL: os.Getenv(MirrorEnv)}
	path, err := source.Install(ctx)
	if err != nil {
		sink.Step("terraform", report.Failed, "")
		return Program{}, report.Hint(fmt.Errorf("install Terraform %s%s: %w", pinned, older, err),
			"install Terraform %s or newer yourself and have it in PATH, or name a mirror of HashiCorp's releases: %s=URL", oldest, MirrorEnv)
	}
	sink.Step("terraform", report.Done, "installed "+pinned.String())
	return Program{path, pinned.String(), "cache"}, nil
}

// MirrorEnv names a mirror of HashiCorp's releases, for who cannot reach them.
const MirrorEnv = "PLATEN_TERRAFORM_MIRROR"

// versionOf asks a Terraform for its version.
func versionOf(ctx context.Context, path string) (*version.Version, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	tf, err := tfexec.NewTerraform(os.TempDir(), path)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	found, _, err := tf.Version(ctx, true)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, report.Hint(fmt.Errorf("ask %s for its version: %w", path, err),
			"that is no working Terraform: repair it, or take it out of PATH and one is installed")
	}
	if found == nil {
		return nil, errors.New(path + " says no version")
	}
	return found, nil
}
