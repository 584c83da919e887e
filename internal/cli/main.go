// Package cli is the command line: flags become options, the engine's answers become text or
// JSON, errors become exit codes.
package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"platen/internal/engine"
)

// Wire is what main hands in: the engine with its adapters, and what this binary is.
type Wire struct {
	Engine  *engine.Engine
	Version Version
	Getenv  func(string) string
	// Abandon ends this process at once, as a second Ctrl-C does where the terminal sends it as a signal.
	Abandon func()
}

// Version says what this binary is.
type Version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes
	Built    string `json:"built,omitempty"`    // time of the commit, RFC 3339
	Go       string `json:"go"`
}

// app is one run of the command line.
type app struct {
	Wire
	cancel context.CancelFunc // what Ctrl-C does; the live tree has the terminal in raw mode

	in       io.Reader
	out, err io.Writer
	style    style // of out
	errStyle style

	site  engine.Site
	json  bool
	yes   bool
	quiet bool
	ran   bool // a command began: what fails before is usage
	start time.Time
}

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, wire Wire, args []string, in io.Reader, out, err io.Writer) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if wire.Getenv == nil {
		wire.Getenv = os.Getenv
	}
	a := &app{Wire: wire, cancel: cancel, in: in, out: out, err: err, start: wire.Engine.Now()}
	a.style = newStyle(out, wire.Getenv)
	a.errStyle = newStyle(err, wire.Getenv)

	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(err)
	failure := root.ExecuteContext(ctx)
	if failure != nil && !a.ran {
		failure = &engine.UsageError{Err: failure}
	}
	a.explain(failure)
	return exitCode(failure)
}

// printJSON writes one value, for a program to read.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }

// isTerminal tells whether a person sees what is written there, or types what is read.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
