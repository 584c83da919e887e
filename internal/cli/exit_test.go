package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"platen/internal/engine"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{&engine.UsageError{Err: errors.New("no such flag")}, 2},
		{errChanges, 3},
		{&engine.LockedError{}, 4},
		{&engine.RolledBackError{Cause: errors.New("php did not start")}, 5},
		{&engine.InterruptedError{Verb: "up"}, 130},
		{context.Canceled, 130},
		{statusError(42), 42},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("up: %w", err)
		}
		if got := exitCode(err); got != c.want {
			t.Errorf("%v: exit %d, want %d", c.err, got, c.want)
		}
	}
}
