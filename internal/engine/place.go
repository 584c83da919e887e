// Package engine holds the use cases, a file a verb. It declares what it needs of a place.
package engine

import (
	"context"
	"io"

	"platen/internal/capacity"
	"platen/internal/image"
	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/topology"
)

// Place is one environment; a nil field is not offered there.
type Place struct {
	Target  Target
	Fleet   Fleet
	Console Console
	Store   Store
	Vault   Vault
	Ports   Ports
	Hosts   Hosts
	Images  Images
	// Detail is Target.Plan with more words than a person wants every day.
	Detail func(context.Context, topology.Topology) (report.Plan, error)
	// Ready makes sure that this machine has what the place works with, and gets it where it is
	// missing; nothing of the environment is touched. nil = it needs nothing.
	Ready func(context.Context, report.Sink) error
	// Render returns the environment as files that run without Platen: path → content.
	Render func(context.Context, topology.Topology, release.Release) (map[string][]byte, error)
}

// Target is everything but the running release. Apply is idempotent: after a kill it is
// called again with the same topology and goes on.
type Target interface {
	Limits(context.Context, topology.Topology) (capacity.Limits, error)
	Plan(context.Context, topology.Topology) (report.Plan, error)
	Apply(context.Context, topology.Topology, report.Sink) error
	Observe(context.Context, topology.Topology) (report.Status, error)
	// Destroy removes what runs and, unless kept, the data; it returns what it left and why.
	Destroy(context.Context, topology.Topology, report.Keep, report.Sink) ([]report.Kept, error)
}

// Fleet runs releases. Roll adds a task, waits for its health, drains an old one, goes on; it
// fails with *report.RollError and leaves the tasks that served before serving. It ends with
// Web.Tasks.Min tasks of the release. Scaling is a Roll.
type Fleet interface {
	// Publish brings images to where the target can run them: image name → reference.
	// What is there already is not sent again.
	Publish(context.Context, []image.Image, report.Sink) (map[string]string, error)
	// Run starts the job with the release's images and waits. The job's standard output goes
	// to out, its standard error to the sink's log. exit is its status; err is for a job that
	// never ran.
	Run(ctx context.Context, t topology.Topology, r release.Release, j topology.Job, out io.Writer, s report.Sink) (exit int, err error)
	Roll(context.Context, topology.Topology, release.Release, report.Sink) error
	// Running returns the releases that serve now: release ID → number of healthy tasks.
	Running(context.Context, topology.Topology) (map[string]int, error)
}

// Console is what a person reads and types.
type Console interface {
	// Logs writes the lines of the tiers' members (all when none is named) to w, with the
	// member's name before each.
	Logs(ctx context.Context, t topology.Topology, o report.LogsOptions, w io.Writer) error
	// Exec runs a one-off task of the jobs image with the streams of this terminal.
	Exec(ctx context.Context, t topology.Topology, command []string, io report.Streams) (exit int, err error)
}

// Vault keeps the secrets that only a person knows; all others are made where they are needed.
// Neither a secret nor anything by which one could be tried out ever comes back.
type Vault interface {
	// Keep keeps a secret for all that need it, replacing the former, and returns its version:
	// the same secret has the same. Who reads it at his start has the former until then. The
	// topology must name the images.
	Keep(ctx context.Context, t topology.Topology, name, value string) (version string, err error)
	// Version is the kept secret's, or "" when none is kept.
	Version(ctx context.Context, t topology.Topology, name string) (string, error)
}

// Ports is what is known of this machine's ports, where the edge publishes one of them.
type Ports interface {
	// Published is the port of the environment's edge, which may be stopped; 0 = there is no edge.
	Published(ctx context.Context, t topology.Topology) (int, error)
	// Listener names who listens on a port: a container, or a program with its process number.
	// "" when nobody is seen to.
	Listener(ctx context.Context, port int) string
}

// Hosts is the machines that tasks run on, where they are the environment's own.
type Hosts interface {
	// Hosts says what the hosts run and what there is newer. It changes nothing.
	Hosts(ctx context.Context, t topology.Topology) (report.Hosts, error)
	// UpdateHosts moves every host to the machine image, one after the other, and returns when the
	// last one has it. After a kill it is called again with the same image and goes on.
	UpdateHosts(ctx context.Context, t topology.Topology, image string, s report.Sink) error
}

// Images is where an environment keeps its images, when that is a registry of its own.
type Images interface {
	// Repositories are the environment's: image name → REGISTRY/NAME.
	Repositories(ctx context.Context, t topology.Topology) (map[string]string, error)
	// Token is who may push there. It expires, and is asked for again then.
	Token(ctx context.Context) (user, password string, err error)
}

// Store keeps lock, releases and state: a folder, or the state bucket.
// Get of a missing key returns release.ErrNotFound. Put and Delete with an etag that is no longer
// the record's return release.ErrConflict; etag "" means the record must not exist yet.
type Store interface {
	Get(ctx context.Context, key string) (data []byte, etag string, err error)
	Put(ctx context.Context, key string, data []byte, etag string) (newEtag string, err error)
	List(ctx context.Context, prefix string) ([]string, error)
	Delete(ctx context.Context, key, etag string) error
}
