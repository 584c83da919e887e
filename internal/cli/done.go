package cli

import (
	"encoding/json"
	"strings"

	"platen/internal/engine"
	"platen/internal/report"
)

// doneEvent is the last line of a verb with --json.
type doneEvent struct {
	report.Event
	Kept  []report.Kept `json:"kept,omitempty"`  // of down
	Image *report.Move  `json:"image,omitempty"` // of hosts update
}

// done ends the stream of a verb with --json, and hands the error on.
func (a *app) done(r engine.Result, err error, kept ...report.Kept) error {
	return a.end(doneEvent{Kept: kept}, r, err)
}

// end is done for a verb that has more to say.
func (a *app) end(e doneEvent, r engine.Result, err error) error {
	if !a.json {
		return err
	}
	ok := err == nil
	e.Event = report.Event{
		Event: "done", Time: a.Engine.Now().UTC(), OK: &ok, URL: r.URL, Release: r.Release, Changed: &r.Changed,
	}
	if err != nil {
		e.Error, e.Hint = strings.TrimSpace(err.Error()), report.HintOf(err)
	}
	a.writeLine(e)
	return err
}

// writeLine writes one JSON object on one line.
func (a *app) writeLine(v any) {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // nobody reads any more: the work goes on
}
