package terraform

import (
	"bytes"
	"encoding/json"
	"strings"

	"platen/internal/report"
)

// message is one line of Terraform's machine-readable output (terraform.io, "Machine-Readable
// UI"), of which Platen reads these fields.
type message struct {
	Type       string      `json:"type"`
	Diagnostic *Diagnostic `json:"diagnostic"`
	Change     *struct {
		Resource resource `json:"resource"`
		Action   string   `json:"action"` // create | read | update | replace | delete | noop | move | forget
		Reason   string   `json:"reason"`
	} `json:"change"`
	Hook *struct {
		Resource resource `json:"resource"`
		Action   string   `json:"action"`
		Seconds  int      `json:"elapsed_seconds"`
	} `json:"hook"`
}

type resource struct {
	Addr string `json:"addr"`
	Type string `json:"resource_type"`
}

// Diagnostic is an error or a warning of Terraform's.
type Diagnostic struct {
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	Address  string `json:"address"`
}

// String is the diagnostic on a line of its own, with the resource it is about.
func (d Diagnostic) String() string {
	text := d.Summary
	if detail := strings.TrimSpace(d.Detail); detail != "" {
		text += ": " + detail
	}
	if d.Address != "" && !strings.Contains(text, d.Address) {
		text = d.Address + ": " + text
	}
	return text
}

// stream reads Terraform's lines as they come. It is written to by one goroutine.
type stream struct {
	stack string
	sink  report.Sink // nil: nothing is narrated

	rest    []byte
	errors  []Diagnostic
	changes []report.Change
	drift   []report.Change
	done    int
}

// Write takes a part of the output. It never fails: a line that is no message is not ours.
func (s *stream) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)
	for {
		line, rest, found := bytes.Cut(s.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		s.rest = rest
		var m message
		if json.Unmarshal(line, &m) == nil {
			s.take(m)
		}
	}
}

func (s *stream) take(m message) {
	switch {
	case m.Diagnostic != nil:
		if m.Diagnostic.Severity == "error" {
			s.errors = append(s.errors, *m.Diagnostic)
		}
	case m.Change != nil:
		c := report.Change{Stack: s.stack, Address: m.Change.Resource.Addr, Action: m.Change.Action, Reason: reason(m.Change.Reason)}
		switch {
		case m.Type == "resource_drift":
			s.drift = append(s.drift, c)
		case m.Type == "planned_change" && c.Action != "noop" && c.Action != "read":
			s.changes = append(s.changes, c)
		}
	case m.Hook != nil:
		step := s.stack + "/" + m.Hook.Resource.Addr
		switch m.Type {
		case "apply_start":
			s.sink.Step(step, report.Running, doing[m.Hook.Action])
		case "apply_complete":
			s.done++
			s.sink.Step(step, report.Done, "")
		case "apply_errored":
			s.sink.Step(step, report.Failed, "")
		}
	}
}

// doing says what is happening to a resource.
var doing = map[string]string{"create": "creating", "update": "changing", "delete": "removing", "read": "reading"}

// reason is Terraform's reason in words.
func reason(code string) string {
	switch code {
	case "":
		return ""
	case "cannot_update":
		return "it cannot be changed in place"
	case "replace_because_tainted", "tainted":
		return "it was not made whole"
	case "requested":
		return "asked for"
	case "delete_because_no_resource_config":
		return "no longer part of the site"
	default:
		return strings.ReplaceAll(code, "_", " ")
	}
}
