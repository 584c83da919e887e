package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"platen/internal/report"
	"platen/internal/topology"
)

// Keep hands a secret to the job that fills the volumes of secrets, by its standard input: the
// environment, the command and the files of a container can be read by others. It makes the
// volumes when the environment has none yet.
func (p *Place) Keep(ctx context.Context, t topology.Topology, name, value string) (version string, err error) {
	if err := p.own(ctx, t); err != nil {
		return "", err
	}
	// Compose makes them, so that they are in nobody's way later.
	project := resources(t)
	s, err := initService(t)
	if err != nil {
		return "", err
	}
	project.Services[s.Name] = s
	if err := p.create(ctx, t, project, nil); err != nil {
		return "", err
	}
	versions, err := p.keep(ctx, t, s, map[string]string{name: value})
	if err != nil {
		return "", err
	}
	if versions[name] == "" {
		return "", errors.New("the init job did not take it: no part of the site asks for it")
	}
	return versions[name], nil
}

// Version is the version of a secret that was kept, or "". A site whose images nobody knows any
// more, since neither records nor containers are left, cannot be asked: "".
func (p *Place) Version(ctx context.Context, t topology.Topology, name string) (string, error) {
	absent, err := p.absentVolumes(ctx, t)
	if err != nil {
		return "", err
	}
	master := t.Secrets(topology.RoleMaster)
	if slices.ContainsFunc(absent, func(v topology.Volume) bool { return v.Name == master }) {
		return "", nil
	}
	s, err := initService(t)
	if err != nil {
		return "", err
	}
	if s.Image == "" {
		members, err := p.members(ctx, t)
		if err != nil {
			return "", err
		}
		former, ok := byService(members)[topology.ServiceInit]
		if !ok {
			return "", nil
		}
		s.Image = former.Image
	}
	versions, err := p.keep(ctx, t, s, nil)
	return versions[name], err
}

// keep runs the init job once with secrets as its input; it answers with their versions.
func (p *Place) keep(ctx context.Context, t topology.Topology, s types.ServiceConfig, secrets map[string]string) (map[string]string, error) {
	if secrets == nil {
		secrets = map[string]string{}
	}
	input, err := json.Marshal(secrets)
	if err != nil {
		return nil, err
	}
	s.Command = types.ShellCommand{"keep"}
	var out bytes.Buffer
	var said []string
	lines := &lineWriter{write: func(line string) { said = append(said, report.Plain(line)) }}
	exit, err := p.oneOff(ctx, t, s, streams{in: bytes.NewReader(input), out: &out, stderr: lines})
	lines.flush()
	if err != nil {
		return nil, fmt.Errorf("run the init job: %w", err)
	}
	if exit != 0 {
		return nil, fmt.Errorf("the init job ended with status %d: %s", exit, strings.Join(said, "; "))
	}
	var versions map[string]string
	if err := json.Unmarshal(out.Bytes(), &versions); err != nil {
		return nil, fmt.Errorf("read what the init job says of its secrets: %w", err)
	}
	return versions, nil
}
