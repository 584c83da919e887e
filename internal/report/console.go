package report

import "io"

// Keep says what Destroy leaves.
type Keep struct {
	Data bool // volumes, file systems, snapshots
}

// Kept is one thing that Destroy left, and why.
type Kept struct {
	Name string `json:"name"`
	Why  string `json:"why"`
	// Remove is the command that removes it; "" where down's own flag does.
	Remove string `json:"remove,omitempty"`
}

// RollError says why a release did not come up.
type RollError struct {
	Release, Task, Reason string
	LastLines             []string // of the failing task
}

func (e *RollError) Error() string {
	return "task " + e.Task + " of release " + e.Release + ": " + e.Reason
}

// LogsOptions selects log lines.
type LogsOptions struct {
	Tiers  []string // all when empty
	Follow bool
	Since  string // 10m, or a time as RFC 3339
	Tail   int    // lines a member; 0 = all
}

// Streams are a person's terminal or pipes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	TTY      bool
}
