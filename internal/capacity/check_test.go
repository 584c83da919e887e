package capacity

import (
	"errors"
	"strings"
	"testing"

	"platen/internal/site"
	"platen/internal/topology"
)

const gib = int64(1) << 30

func topo(t *testing.T, text string, state topology.State) topology.Topology {
	t.Helper()
	s, err := site.Parse("platen.yaml", []byte("platen: 1\nname: blog\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := s.Environment("local")
	if err != nil {
		t.Fatal(err)
	}
	out, err := topology.For(spec, state)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string
		state   topology.State
		limits  Limits
		change  func(*topology.Topology)
		reasons []string // parts of each reason, in order
	}{
		{name: "defaults on 4 GiB", limits: Limits{Memory: 4 * gib}},
		{name: "defaults on an unknown machine"},
		{name: "defaults on 1 GiB", limits: Limits{Memory: gib}, reasons: []string{"not even one web task fits"}},
		{name: "too many tasks", file: "web: {tasks: 6}\n", limits: Limits{Memory: 3 * gib}, reasons: []string{"2 web tasks of 626M each would fit"}},
		{name: "scaled too far", state: topology.State{Tasks: 12}, limits: Limits{Memory: 4 * gib}, reasons: []string{"web tasks of 626M each would fit"}},
		{name: "only the lower bound starts", file: "web: {tasks: 1..50}\n", limits: Limits{Memory: 4 * gib}},
		{name: "no room for a child", file: "web: {php: {memory: 128M}}\n", reasons: []string{"want 256M or more"}},
		{name: "an upload larger than the memory", file: "web: {php: {memory: 512M, upload: 2G}}\n", reasons: []string{"beside OPcache and an upload of 2G: want 2.2G"}},
		{
			name: "slots", change: func(t *topology.Topology) { t.Edge.Slots = 3 },
			reasons: []string{"the edge finds at most 3 tasks, a roll of 2 needs 4"},
		},
		{
			name: "connections", change: func(t *topology.Topology) { t.Database.MaxConnections = 15 },
			reasons: []string{"may open 18 database connections (3 php processes each), more than 0.8 × max_connections 15"},
		},
		{
			name: "everything at once", file: "web: {php: {memory: 128M}}\n", limits: Limits{Memory: gib / 2},
			change:  func(t *topology.Topology) { t.Edge.Slots, t.Database.MaxConnections = 1, 1 },
			reasons: []string{"php process", "the edge", "max_connections", "at rest"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := topo(t, c.file, c.state)
			if c.change != nil {
				c.change(&tp)
			}
			v := Check(tp, c.limits)
			if v.Fits != (len(c.reasons) == 0) || len(v.Reasons) != len(c.reasons) {
				t.Fatalf("fits %v, reasons %q, want %q", v.Fits, v.Reasons, c.reasons)
			}
			for i, part := range c.reasons {
				if !strings.Contains(v.Reasons[i], part) {
					t.Errorf("reason %q does not say %q", v.Reasons[i], part)
				}
			}
			err := v.Err()
			if (err == nil) != v.Fits || (err != nil && !errors.Is(err, ErrDoesNotFit)) {
				t.Errorf("Err() = %v", err)
			}
		})
	}
}

// The number that a reason offers must itself fit.
func TestTheOfferFits(t *testing.T) {
	limits := Limits{Memory: 7 * gib / 2}
	if v := Check(topo(t, "web: {tasks: 3}\n", topology.State{}), limits); !v.Fits {
		t.Errorf("3 tasks do not fit: %v", v.Reasons)
	}
	if v := Check(topo(t, "web: {tasks: 4}\n", topology.State{}), limits); v.Fits {
		t.Error("4 tasks fit")
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0M", 1: "1M", 768 << 20: "768M", gib: "1G", gib + gib/2: "1.5G", 12 * gib: "12G"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", n, got, want)
		}
	}
}
