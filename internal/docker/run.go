package docker

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	apimount "github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"platen/internal/image"
	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/topology"
)

// Publish brings the images into the local engine.
func (p *Place) Publish(ctx context.Context, images []image.Image, sink report.Sink) (map[string]string, error) {
	if p.load == nil {
		return nil, errors.New("bring images into the engine: this place was opened without a loader")
	}
	return p.load(ctx, images, sink)
}

// Run runs a job in a container of its own and waits for its end. The container is removed
// whatever happens; when ctx ends, the job is killed.
func (p *Place) Run(ctx context.Context, t topology.Topology, r release.Release, j topology.Job, out io.Writer, sink report.Sink) (int, error) {
	config := r.Config
	config.Release = r.ID
	s, err := job(t, "job-"+j.Name, r.Images["jobs"], config, j.Command)
	if err != nil {
		return 0, err
	}
	lines := &lineWriter{write: func(line string) { sink.Log("jobs/"+j.Name, report.Plain(line)) }}
	defer lines.flush()
	sink.Step("jobs/"+j.Name, report.Running, "")
	exit, err := p.oneOff(ctx, t, s, streams{in: bytes.NewReader(j.Input), out: out, stderr: lines})
	if err != nil {
		sink.Step("jobs/"+j.Name, report.Failed, "")
		return 0, fmt.Errorf("run the job %s: %w", j.Name, err)
	}
	if exit != 0 {
		sink.Step("jobs/"+j.Name, report.Failed, fmt.Sprintf("ended with status %d", exit))
	} else {
		sink.Step("jobs/"+j.Name, report.Done, "")
	}
	return exit, nil
}

// streams are a one-off container's.
type streams struct {
	in          io.Reader
	out, stderr io.Writer
	tty         bool
	attached    func(ctx context.Context, id string) // called when the container runs; a terminal's size
}

// oneOff runs a container of the project once, attached, and removes it. Compose's own runner
// wants a terminal's streams and handles signals; a job has neither.
func (p *Place) oneOff(ctx context.Context, t topology.Topology, s types.ServiceConfig, io streams) (exit int, err error) {
	if s.Image == "" {
		return 0, report.Hint(fmt.Errorf("%s has no image of jobs yet", t.Project), "run: platen up")
	}
	id, err := p.createOneOff(context.WithoutCancel(ctx), t, s, io.tty) // else it may be made and nobody know
	if err != nil {
		return 0, err
	}
	// Also when ctx has ended: this is what kills the job then.
	defer func() { err = errors.Join(err, p.discard(context.WithoutCancel(ctx), id)) }()

	attached, err := p.api.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return 0, fmt.Errorf("attach to the container: %w", err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)() // a hijacked connection knows no context

	ended := p.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	if _, err := p.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return 0, fmt.Errorf("start the container: %w", err)
	}
	if io.attached != nil {
		io.attached(ctx, id)
	}
	go feed(attached.HijackedResponse, io.in)
	if err := drainTo(io, attached.Reader); err != nil {
		return 0, errors.Join(ctx.Err(), fmt.Errorf("read what the container writes: %w", err))
	}
	select {
	case status := <-ended.Result:
		if status.Error != nil {
			return 0, errors.New(status.Error.Message)
		}
		return int(status.StatusCode), nil
	case err := <-ended.Error:
		return 0, errors.Join(ctx.Err(), fmt.Errorf("wait for the container's end: %w", err))
	}
}

// feed hands the input over and says that there is no more of it. It ends with its input, or
// when the connection is closed.
func feed(to client.HijackedResponse, in io.Reader) {
	if in != nil {
		if _, err := io.Copy(to.Conn, in); err != nil {
			return // the job ended first, and says itself whether it needed more
		}
	}
	_ = to.CloseWrite()
}

func drainTo(s streams, from io.Reader) error {
	if s.tty {
		_, err := io.Copy(s.out, from)
		return err
	}
	_, err := stdcopy.StdCopy(s.out, s.stderr, from)
	return err
}

// createOneOff makes a container from a service, on all its networks.
func (p *Place) createOneOff(ctx context.Context, t topology.Topology, s types.ServiceConfig, tty bool) (string, error) {
	suffix := make([]byte, 4)
	if _, err := rand.Read(suffix); err != nil {
		return "", err
	}
	labels := maps.Clone(s.Labels)
	labels[api.ProjectLabel], labels[api.ServiceLabel], labels[api.OneoffLabel] = t.Project, s.Name, "True"
	config := &container.Config{
		Image: s.Image, Cmd: s.Command, User: s.User, Labels: labels, Tty: tty,
		OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	}
	for name, value := range s.Environment {
		config.Env = append(config.Env, name+"="+*value)
	}
	host := &container.HostConfig{
		ReadonlyRootfs: s.ReadOnly, CapDrop: s.CapDrop, CapAdd: s.CapAdd, SecurityOpt: s.SecurityOpt,
		Init: s.Init, Tmpfs: map[string]string{},
		LogConfig: container.LogConfig{Type: s.Logging.Driver, Config: s.Logging.Options},
		// A job whose Platen was killed goes on to its end, and then leaves nothing behind.
		AutoRemove: true,
		Resources:  container.Resources{Memory: int64(s.MemLimit), CPUShares: s.CPUShares, PidsLimit: &s.PidsLimit},
	}
	for _, folder := range s.Tmpfs {
		at, options, _ := strings.Cut(folder, ":")
		host.Tmpfs[at] = options
	}
	for _, v := range s.Volumes {
		host.Mounts = append(host.Mounts, apimount.Mount{
			Type: apimount.TypeVolume, Source: t.Project + "-" + v.Source, Target: v.Target, ReadOnly: v.ReadOnly,
			VolumeOptions: &apimount.VolumeOptions{NoCopy: true},
		})
	}
	host.NetworkMode = container.NetworkMode(s.NetworkMode) // none
	var first *network.NetworkingConfig
	networks := s.NetworksByPriority()
	if s.NetworkMode == "" {
		host.NetworkMode = container.NetworkMode(t.Network(networks[0]))
		first = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{t.Network(networks[0]): {}}}
		networks = networks[1:]
	}
	name := s.ContainerName + "-" + hex.EncodeToString(suffix)
	created, err := p.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: name, Config: config, HostConfig: host,
		NetworkingConfig: first,
	})
	if err != nil {
		return "", fmt.Errorf("make the container %s: %w", name, err)
	}
	// Engines before API 1.44 take one network at a time.
	for _, n := range networks {
		_, err := p.api.NetworkConnect(ctx, t.Network(n), client.NetworkConnectOptions{Container: created.ID, EndpointConfig: &network.EndpointSettings{}})
		if err != nil {
			return "", errors.Join(fmt.Errorf("connect %s to the network %s: %w", name, n, err), p.discard(context.WithoutCancel(ctx), created.ID))
		}
	}
	return created.ID, nil
}

// lineWriter hands on whole lines.
type lineWriter struct {
	write func(string)
	rest  []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.rest = append(w.rest, data...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			// A line without an end would be kept whole in memory.
			if len(w.rest) > bufio.MaxScanTokenSize {
				w.flush()
			}
			return len(data), nil
		}
		w.write(strings.TrimSuffix(string(w.rest[:i]), "\r"))
		w.rest = w.rest[i+1:]
	}
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.write(string(w.rest))
		w.rest = nil
	}
}
