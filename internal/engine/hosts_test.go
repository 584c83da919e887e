package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// machines are hosts that move when they are told to.
type machines struct {
	*place
	now report.Hosts
}

func (m *machines) Hosts(context.Context, topology.Topology) (report.Hosts, error) {
	return m.now, m.call("look")
}

func (m *machines) UpdateHosts(ctx context.Context, _ topology.Topology, image string, _ report.Sink) error {
	if _, _, err := m.Get(ctx, lockKey); err != nil {
		return errors.New("works without the lock")
	}
	if err := m.call("move to " + image); err != nil {
		return err
	}
	m.now.Image = image
	for i := range m.now.Hosts {
		m.now.Hosts[i].Image = image
	}
	return nil
}

const onAWS = `platen: 1
name: blog
admin: {email: ops@example.com}
environments:
  prod: {target: aws, account: "123456789012", region: eu-west-1}
`

func newMachines(t *testing.T, pinned, newest string, images ...string) (*bench, *machines) {
	t.Helper()
	b := newBench(t)
	m := &machines{b.place, report.Hosts{Environment: "prod", Architecture: "arm64", Image: pinned, Newest: newest}}
	for _, image := range images {
		m.now.Hosts = append(m.now.Hosts, report.Host{ID: "i", Image: image})
	}
	b.Open = func(context.Context, site.Spec, string) (Place, error) {
		return Place{Target: m, Store: m.memory, Hosts: m}, nil
	}
	if err := os.MkdirAll(b.site.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.site.Folder, FileName), []byte(onAWS), 0o600); err != nil {
		t.Fatal(err)
	}
	b.site.Environment = "prod"
	return b, m
}

func TestHostsUpdateAsksMovesAndThenHasNothingToDo(t *testing.T) {
	b, m := newMachines(t, "ami-old", "ami-new", "ami-old", "ami-old")
	var asked []string
	o := HostsUpdateOptions{Site: b.site, Confirm: func(q string) error { asked = append(asked, q); return nil }}
	u, err := b.HostsUpdate(t.Context(), o, nil)
	if err != nil || !u.Changed || u.Image != (report.Move{From: "ami-old", To: "ami-new"}) {
		t.Fatalf("%+v, %v", u, err)
	}
	if len(asked) != 1 || !strings.Contains(asked[0], "2 hosts of blog (prod)") || !strings.Contains(asked[0], "ami-old → ami-new") {
		t.Errorf("asked %q", asked)
	}
	if u, err = b.HostsUpdate(t.Context(), o, nil); err != nil || u.Changed || len(asked) != 1 {
		t.Errorf("the second time: %+v, %v, asked %d times", u, err, len(asked))
	}
	if want := []string{"look", "move to ami-new", "look"}; !slices.Equal(m.calls, want) {
		t.Errorf("calls %v, want %v", m.calls, want)
	}
}

// A check, a no and a lock of somebody else each leave the hosts alone.
func TestHostsUpdateTouchesNothing(t *testing.T) {
	no := errors.New("no")
	for name, c := range map[string]struct {
		options HostsUpdateOptions
		locked  bool
		err     error
	}{
		"check": {options: HostsUpdateOptions{Check: true}},
		"no":    {options: HostsUpdateOptions{Confirm: func(string) error { return no }}, err: no},
		"lock":  {locked: true, err: &LockedError{}},
	} {
		b, m := newMachines(t, "ami-old", "ami-new", "ami-old")
		if c.locked {
			other := *b.Engine
			other.Process.PID, other.Process.Started = 1, started(1)
			_, held, err := other.lock(t.Context(), m.memory, "prod", "platen up prod")
			if err != nil {
				t.Fatal(err)
			}
			defer held.release(t.Context())
		}
		c.options.Site = b.site
		u, err := b.HostsUpdate(t.Context(), c.options, nil)
		var locked *LockedError
		if c.locked && !errors.As(err, &locked) || !c.locked && !errors.Is(err, c.err) {
			t.Errorf("%s: error %v", name, err)
		}
		if !u.Changed || slices.Contains(m.calls, "move to ami-new") {
			t.Errorf("%s: %+v, calls %v", name, u, m.calls)
		}
	}
}

// An update that was interrupted after its pin is not up to date, although nothing is newer.
func TestHostsUpdateGoesOn(t *testing.T) {
	b, m := newMachines(t, "ami-new", "ami-new", "ami-new", "ami-old")
	if u, err := b.HostsUpdate(t.Context(), HostsUpdateOptions{Site: b.site}, nil); err != nil || !u.Changed || !slices.Contains(m.calls, "move to ami-new") {
		t.Errorf("%+v, %v, calls %v", u, err, m.calls)
	}
}

func TestHostsAreOnAWSAlone(t *testing.T) {
	b := newBench(t)
	_, err := b.HostsList(t.Context(), b.site)
	var usage *UsageError
	if !errors.As(err, &usage) || !strings.Contains(report.HintOf(err), "target: aws") {
		t.Errorf("error %v", err)
	}
	b, _ = newMachines(t, "", "ami-new")
	if _, err := b.HostsUpdate(t.Context(), HostsUpdateOptions{Site: b.site}, nil); !errors.Is(err, ErrNotUp) {
		t.Errorf("before the first up: %v", err)
	}
}
