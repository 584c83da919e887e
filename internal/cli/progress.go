package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	"platen/internal/report"
)

// progress is how a verb is narrated: close leaves the final state on the screen.
type progress struct {
	sink  report.Sink
	close func()
}

// silence narrates nothing.
var silence = progress{close: func() {}}

// progress narrates on standard error (a live tree for a person, a line a change for a log), or
// with --json one object a line on standard output.
func (a *app) progress(ctx context.Context) progress {
	switch {
	case a.quiet:
		return silence
	case a.json:
		return a.jsonLines()
	case isTerminal(a.in) && isTerminal(a.err) && a.Getenv("TERM") != "dumb":
		return a.tree(ctx)
	default:
		return a.lines()
	}
}

// quietJSON is progress for a verb whose --json is one value.
func (a *app) quietJSON(ctx context.Context) progress {
	if a.json {
		return silence
	}
	return a.progress(ctx)
}

func (a *app) jsonLines() progress {
	var mu sync.Mutex
	return progress{close: func() {}, sink: func(e report.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Time.IsZero() {
			e.Time = a.Engine.Now().UTC()
		}
		a.writeLine(e)
	}}
}

// lines writes a line for every change of state. Bytes are for the live tree.
func (a *app) lines() progress {
	var mu sync.Mutex
	last := map[string]string{}
	return progress{close: func() {}, sink: func(e report.Event) {
		mu.Lock()
		defer mu.Unlock()
		at := a.Engine.Now().Sub(a.start)
		switch e.Event {
		case "log":
			fmt.Fprintf(a.err, "%7s  %s\n", elapsed(at), logLine(e))
		case "step":
			said := e.State + e.Detail
			if e.Total != 0 {
				said = e.State
			}
			if last[e.Step] == said || e.Total != 0 && last[e.Step] != "" {
				return
			}
			last[e.Step] = said
			fmt.Fprintf(a.err, "%7s  %-9s %s\n", elapsed(at), e.State, join(e.Step, e.Detail))
		}
	}}
}

func logLine(e report.Event) string {
	if e.Step == "" {
		return e.Detail
	}
	return e.Step + ": " + e.Detail
}

func join(step, detail string) string {
	if detail == "" {
		return step
	}
	return step + ": " + detail
}

// elapsed is a duration as a person reads it while waiting.
func elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
