// Package docker is the local place: a site on the Docker Engine of this machine. Compose, as a
// library, owns containers, networks and volumes; Platen submits projects to it, starts what it
// made in order, waits, checks, and says what happened.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/flags"
	"github.com/moby/moby/client"
	"github.com/sirupsen/logrus"

	"platen/internal/image"
	"platen/internal/report"
)

// Options say where the local place keeps its records and how images get into the engine.
type Options struct {
	State string // folder of the store: $XDG_STATE_HOME/platen/PROJECT
	// Load brings images into the local engine: image name → reference. What is there already
	// is not sent again. The registry adapter implements it; nil where nothing is published.
	Load func(context.Context, []image.Image, report.Sink) (map[string]string, error)
}

// Place is the local place: the engine's Target, Fleet, Console and Store.
type Place struct {
	*Store
	cli  command.Cli
	api  client.APIClient
	load func(context.Context, []image.Image, report.Sink) (map[string]string, error)
}

// New connects to the Docker Engine that the docker command would use (DOCKER_HOST, the current
// context, or the default socket). When none answers, the error says why and what to do.
func New(ctx context.Context, o Options) (*Place, error) {
	quiet()
	api, err := command.NewAPIClientFromFlags(flags.NewClientOptions(), config.LoadDefaultConfigFile(io.Discard))
	if err != nil {
		return nil, report.Hint(fmt.Errorf("find the Docker Engine: %w", err),
			"Correct or unset DOCKER_HOST and DOCKER_CONTEXT, or choose another with: docker context use default")
	}
	if _, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		defer func() { _ = api.Close() }()
		return nil, unreachable(ctx, api, err)
	}
	cli, err := command.NewDockerCli(
		command.WithAPIClient(api),
		command.WithInputStream(io.NopCloser(strings.NewReader(""))),
		command.WithCombinedStreams(io.Discard),
	)
	if err == nil {
		err = cli.Initialize(flags.NewClientOptions())
	}
	if err != nil {
		_ = api.Close()
		return nil, fmt.Errorf("prepare the Compose library: %w", err)
	}
	quiet() // Initialize sets the log level
	return &Place{Store: OpenStore(o.State), cli: cli, api: api, load: o.Load}, nil
}

// Close ends the connections to the engine.
func (p *Place) Close() error { return p.api.Close() }

// quiet silences the libraries: Compose and the docker command log through logrus' global
// logger. What a person should know comes through the Sink.
func quiet() { logrus.SetOutput(io.Discard) }

// unreachable explains why the engine did not answer. The client's errors are texts for the
// docker command's users; the raw error of a connection tells the cases apart.
func unreachable(ctx context.Context, api client.APIClient, answer error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	host := api.DaemonHost()
	conn, err := api.Dialer()(ctx)
	if err == nil {
		_ = conn.Close()
		return report.Hint(fmt.Errorf("ask the Docker Engine at %s for its version: %w", host, answer),
			"Something listens there, but it is no Docker Engine, or it wants TLS. See: docker version")
	}
	failed := fmt.Errorf("connect to the Docker Engine at %s: %w", host, err)
	chosen := os.Getenv("DOCKER_HOST") != "" || os.Getenv("DOCKER_CONTEXT") != ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		return report.Hint(failed, "You may not open the engine's socket. Run as root, or join its group and log in again: sudo usermod -aG docker %s", userName())
	case chosen:
		return report.Hint(failed, "DOCKER_HOST or DOCKER_CONTEXT names an engine that does not answer. Correct or unset it, then try again.")
	case !installed():
		return report.Hint(failed, "No Docker Engine is installed. On Debian and Ubuntu: sudo apt-get install docker.io; or run: make up")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return report.Hint(failed, "The Docker Engine is installed but does not run. Start it: sudo systemctl start docker (or: sudo service docker start)")
	default:
		return report.Hint(failed, "See what the docker command says: docker version")
	}
}

func installed() bool {
	for _, name := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(name); err == nil {
			return true
		}
	}
	// dockerd stands in a folder that is not on everybody's PATH.
	_, err := os.Stat("/usr/sbin/dockerd")
	return err == nil
}

func userName() string {
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return "$USER"
}
