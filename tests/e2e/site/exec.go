package site

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"platen/internal/report"
)

// Result is what one run of the binary did.
type Result struct {
	Exit   int
	Stdout string
	Stderr string
}

// Binary is the program under test, from PLATEN_BIN.
func Binary() (string, error) {
	path := os.Getenv("PLATEN_BIN")
	if path == "" {
		return "", errors.New("PLATEN_BIN is not set: run `make test` or `make test-e2e`, which build the program first")
	}
	return filepath.Abs(path)
}

// Command prepares the binary in the site's folder, without a terminal.
func (s *Site) Command(args ...string) (*exec.Cmd, error) {
	binary := s.Program
	if binary == "" {
		var err error
		if binary, err = Binary(); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(append(os.Environ(), "XDG_STATE_HOME="+stateHome(), "NO_COLOR=1"), s.Env...)
	return cmd, nil
}

// stateHome keeps locks and releases of test sites apart from the user's own.
var stateHome = sync.OnceValue(func() string {
	return filepath.Join(os.TempDir(), "platen-"+run+"-state")
})

// State is the folder of the site's records: lock, releases, port.
func (s *Site) State() string { return filepath.Join(stateHome(), "platen", s.Project()) }

// Exec runs the binary to its end. Only a binary that could not run is an error.
func (s *Site) Exec(args ...string) (Result, error) { return s.ExecInput("", args...) }

// ExecInput is Exec with a standard input.
func (s *Site) ExecInput(stdin string, args ...string) (Result, error) {
	cmd, err := s.Command(args...)
	if err != nil {
		return Result{}, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, fmt.Errorf("run platen %s: %w", strings.Join(args, " "), err)
	}
	return Result{Exit: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}, nil
}

// Run runs the binary and fails the test unless it exits with want.
func (s *Site) Run(t testing.TB, want int, args ...string) Result {
	t.Helper()
	result, err := s.Exec(args...)
	if err != nil {
		t.Fatal(err)
	}
	if result.Exit != want {
		t.Fatalf("platen %s: exit %d, want %d\nstdout:\n%s\nstderr:\n%s",
			strings.Join(args, " "), result.Exit, want, result.Stdout, result.Stderr)
	}
	return result
}

// Up brings the site up and returns its events; the last is done.
func (s *Site) Up(t testing.TB, args ...string) Events {
	t.Helper()
	events, err := s.TryUp(args...)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// TryUp is Up where there is no test.
func (s *Site) TryUp(args ...string) (Events, error) {
	args = append([]string{"up", "--json", "--yes"}, args...)
	result, err := s.Exec(args...)
	if err != nil {
		return nil, err
	}
	events, err := ParseEvents(result.Stdout)
	if err != nil {
		return nil, fmt.Errorf("platen up: %w\nstderr:\n%s", err, result.Stderr)
	}
	done := events.Done()
	if result.Exit != 0 || done.OK == nil || !*done.OK {
		return events, fmt.Errorf("platen up: exit %d: %s\n%s\nstderr:\n%s", result.Exit, done.Error, done.Hint, result.Stderr)
	}
	s.url = done.URL
	return events, nil
}

// Events are the lines of a verb with --json.
type Events []report.Event

// ParseEvents reads one JSON object a line; anything else on standard output is a fault.
func ParseEvents(stdout string) (Events, error) {
	var events Events
	for line := range strings.Lines(stdout) {
		var e report.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return events, fmt.Errorf("not an event: %q: %w", line, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// Done is the last event when it is done, else the zero event.
func (e Events) Done() report.Event {
	if len(e) == 0 || e[len(e)-1].Event != "done" {
		return report.Event{}
	}
	return e[len(e)-1]
}

// Status asks the binary what runs.
func (s *Site) Status(t testing.TB) report.Status {
	t.Helper()
	result := s.Run(t, 0, "status", "--json")
	var status report.Status
	if err := json.Unmarshal([]byte(result.Stdout), &status); err != nil {
		t.Fatalf("platen status --json: %v\n%s", err, result.Stdout)
	}
	return status
}

// Credentials are what `platen credentials --json` prints.
type Credentials struct {
	URL      string `json:"url"`
	User     string `json:"user"`
	Password string `json:"password"`
}

// Credentials asks the binary for the first administrator's.
func (s *Site) Credentials(t testing.TB) Credentials {
	t.Helper()
	result := s.Run(t, 0, "credentials", "--json")
	var c Credentials
	if err := json.Unmarshal([]byte(result.Stdout), &c); err != nil || c.Password == "" {
		t.Fatalf("platen credentials --json: %v\n%s", err, result.Stdout)
	}
	return c
}

// Running is a run of the binary that has not ended.
type Running struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	events chan report.Event
	done   chan struct{}
}

// Start begins a verb with --json, to be interrupted.
func (s *Site) Start(t testing.TB, args ...string) *Running {
	t.Helper()
	cmd, err := s.Command(append(args, "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	r := &Running{cmd: cmd, stderr: &bytes.Buffer{}, events: make(chan report.Event, 10_000), done: make(chan struct{})}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.done)
		defer close(r.events)
		decoder := json.NewDecoder(stdout)
		for {
			var e report.Event
			if decoder.Decode(&e) != nil {
				return
			}
			r.events <- e
		}
	}()
	return r
}

// Until waits for an event that satisfies the condition; false when the run ended before.
func (r *Running) Until(condition func(report.Event) bool) bool {
	for e := range r.events {
		if condition(e) {
			return true
		}
	}
	return false
}

// Signal sends a signal to the binary alone.
func (r *Running) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("send %v: %v", signal, err)
	}
}

// Wait returns the exit status (-1 after a signal that was not caught) and the standard error.
func (r *Running) Wait() (exit int, stderr string) {
	<-r.done // all of standard output is read before the pipe is closed
	_ = r.cmd.Wait()
	return r.cmd.ProcessState.ExitCode(), r.stderr.String()
}
