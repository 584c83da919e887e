// Package report is what Platen says: events while it works, plans before, status after.
// The engine and the adapters emit values; the terminal and --json render them.
package report

import "time"

// States of a step.
const (
	Running = "running"
	Done    = "done"
	Failed  = "failed"
	Same    = "unchanged" // looked at, nothing to do
)

// Event is one thing that happened. Its JSON form is documented in docs/json.md and only grows.
type Event struct {
	Event   string    `json:"event"`          // step | log | done
	Time    time.Time `json:"time,omitzero"`  // set by the sink when zero
	Step    string    `json:"step,omitempty"` // a path: images/nginx, web/web-2/php; the tree's shape
	State   string    `json:"state,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Current int64     `json:"current,omitempty"` // bytes of Total
	Total   int64     `json:"total,omitempty"`

	// Of the last event, done.
	OK      *bool  `json:"ok,omitempty"`
	URL     string `json:"url,omitempty"`
	Release string `json:"release,omitempty"`
	Changed *bool  `json:"changed,omitempty"`
	Error   string `json:"error,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Sink takes events; it may be called from several goroutines.
type Sink func(Event)

// Step emits the state of a step.
func (s Sink) Step(step, state, detail string) {
	if s != nil {
		s(Event{Event: "step", Step: step, State: state, Detail: detail})
	}
}

// Progress emits how far a running step is, in bytes.
func (s Sink) Progress(step string, current, total int64) {
	if s != nil {
		s(Event{Event: "step", Step: step, State: Running, Current: current, Total: total})
	}
}

// Log emits one line that is worth a person's reading.
func (s Sink) Log(step, line string) {
	if s != nil {
		s(Event{Event: "log", Step: step, Detail: line})
	}
}

// Change is one thing that Apply would do.
type Change struct {
	Stack   string `json:"stack"`   // docker, or the Terraform stack
	Address string `json:"address"` // service/db-1, aws_ecs_cluster.this
	Action  string `json:"action"`  // create | update | replace | delete
	Tier    string `json:"tier"`
	Reason  string `json:"reason,omitempty"`

	// Of Terraform's stacks.
	Says       string      `json:"says,omitempty"`       // the change in plain words
	LosesData  bool        `json:"loses_data,omitempty"` // what people made would be gone: up refuses it
	Attributes []Attribute `json:"attributes,omitempty"` // what changes, where it is known
	// Harmless is a replacement that takes nothing away.
	Harmless bool `json:"harmless,omitempty"`
	// FromTopology is a change that Terraform cannot be asked about yet.
	FromTopology bool `json:"from_topology,omitempty"`
}

// Attribute is one value that a change alters.
type Attribute struct {
	Name string `json:"name"` // a path: instance_refresh.preferences.skip_matching
	Old  string `json:"old"`  // "" = none; Secret when it may not be shown
	New  string `json:"new"`
}

// Secret stands where a value may not be shown.
const Secret = "(secret)"

// Unknown stands where a value is known only when the change is made.
const Unknown = "(known afterwards)"

// Plan is what Apply would do.
type Plan struct {
	Changes []Change `json:"changes"`
	// Details is Terraform's own text of each stack, where it was asked for.
	Details []StackDetail `json:"details,omitempty"`
}

// StackDetail is what Terraform itself says of a stack's plan.
type StackDetail struct {
	Stack string `json:"stack"`
	Text  string `json:"text"`
}

// Status is what runs, observed.
type Status struct {
	Environment string `json:"environment"`
	Target      string `json:"target"`
	URL         string `json:"url"`
	Release     string `json:"release"` // "" when none, or "a,b" while two serve
	Healthy     bool   `json:"healthy"`
	Tiers       []Tier `json:"tiers"`

	Notes []string `json:"notes,omitempty"` // what a person should know: an override, a lock
}

// Tier is one tier of the topology.
type Tier struct {
	Name      string   `json:"name"` // edge, web, database, sessions, objects, files, mail
	Redundant bool     `json:"redundant"`
	Members   []Member `json:"members"`
}

// Member is one task, node or volume.
type Member struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Healthy bool   `json:"healthy"`
	Image   string `json:"image,omitempty"`   // by which it was started; "" where it is no container of ours
	Summary string `json:"summary,omitempty"` // what fits a line: age, restarts; what is wrong
	Detail  string `json:"detail"`            // all that is known
}
