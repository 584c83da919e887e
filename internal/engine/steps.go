package engine

import (
	"context"
	"fmt"
	"strings"

	"platen/internal/report"
)

// steps narrates a verb and remembers how far it came, for a person who interrupts it.
type steps struct {
	sink  report.Sink
	verb  string
	done  []string
	doing string
}

// do runs one step between its events.
func (s *steps) do(name string, f func() error) error {
	s.doing = name
	s.sink.Step(name, report.Running, "")
	if err := f(); err != nil {
		s.sink.Step(name, report.Failed, "")
		return err
	}
	s.sink.Step(name, report.Done, "")
	s.done = append(s.done, name)
	return nil
}

// note says something that a person should know whatever the outcome.
func (s *steps) note(format string, args ...any) {
	s.sink.Log("", fmt.Sprintf(format, args...))
}

// assumed says that no file was found and the defaults hold.
func (s *steps) assumed(env *environment) {
	if env.assumed {
		s.note("no %s in %s: using the defaults (platen init writes one)", FileName, env.folder)
	}
}

// interrupted turns the error of a cancelled verb into one that says how to go on.
func (s *steps) interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &InterruptedError{Verb: s.verb, Doing: s.doing, Done: s.done}
}

// InterruptedError is a verb that a person stopped. What is done stays done.
type InterruptedError struct {
	Verb, Doing string
	Done        []string
}

func (e *InterruptedError) Error() string {
	said := "interrupted"
	if e.Doing != "" {
		said += " at " + e.Doing
	}
	if len(e.Done) > 0 {
		said += "; done: " + strings.Join(e.Done, ", ")
	}
	return said
}

// Is makes an interruption what the standard library calls it.
func (e *InterruptedError) Is(target error) bool { return target == context.Canceled }

// Hint implements the interface of report.HintOf.
func (e *InterruptedError) Hint() string {
	return "nothing is lost; run the same command again and it goes on (platen " + e.Verb + ")"
}
