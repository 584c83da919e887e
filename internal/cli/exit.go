package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"platen/internal/engine"
	"platen/internal/report"
)

// The exit codes. They are stable.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // or bad configuration
	exitChanges     = 3 // plan --exit-code: changes are pending
	exitLocked      = 4
	exitRolledBack  = 5
	exitInterrupted = 130
)

// statusError ends the command with another program's exit status and no words of our own.
type statusError int

func (e statusError) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// errChanges ends plan --exit-code when there is something to do.
var errChanges = errors.New("changes are pending")

// exitCode is the table.
func exitCode(err error) int {
	var (
		status      statusError
		usage       *engine.UsageError
		locked      *engine.LockedError
		held        *report.HeldError
		rolledBack  *engine.RolledBackError
		interrupted *engine.InterruptedError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, errChanges):
		return exitChanges
	case errors.As(err, &interrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &locked), errors.As(err, &held):
		return exitLocked
	case errors.As(err, &rolledBack):
		return exitRolledBack
	default:
		return exitFailed
	}
}

// explain writes what went wrong and what to do next, for a person.
func (a *app) explain(err error) {
	var status statusError
	if err == nil || errors.As(err, &status) || errors.Is(err, errChanges) {
		return
	}
	fmt.Fprintf(a.err, "%s %s\n", a.errStyle.bad("error:"), strings.TrimRight(err.Error(), "\n"))
	var roll *report.RollError
	if errors.As(err, &roll) {
		for _, line := range roll.LastLines {
			fmt.Fprintf(a.err, "  %s %s\n", a.errStyle.dim("│"), line)
		}
	}
	if hint := report.HintOf(err); hint != "" {
		fmt.Fprintf(a.err, "%s %s\n", a.errStyle.good("→"), hint)
	}
}
