package report

import (
	"fmt"
	"time"
)

// HeldError says that somebody else works on a thing: exit code 4.
type HeldError struct {
	What  string // the Terraform state of the stack data
	Who   string // user@host
	Doing string // "" when it is not known
	Since time.Time
	ID    string // of the lock
	Do    string // what to do next
}

func (e *HeldError) Error() string {
	text := e.What + " is locked by " + e.Who
	if e.Doing != "" {
		text += " (" + e.Doing + ")"
	}
	if !e.Since.IsZero() {
		text += fmt.Sprintf(" since %s", e.Since.Local().Format("2006-01-02 15:04:05"))
	}
	return text
}

// Hint implements the interface of HintOf.
func (e *HeldError) Hint() string { return e.Do }
