package docker

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
)

// The init job looks after certificates: a site that nobody changes must not outlive them.
func TestInitRunsAgain(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ended string
		exit  int
		due   bool
	}{
		{"2026-11-22T11:59:59.123456789Z", 0, false},
		{"2026-10-24T12:00:00Z", 0, false},
		{"2026-10-20T12:00:00Z", 0, true},
		{"2026-11-22T11:59:59Z", 1, true},
		{"", 0, true},
	} {
		if why := due(&container.State{FinishedAt: c.ended, ExitCode: c.exit}, now); (why != "") != c.due {
			t.Errorf("ended %q with %d: %q", c.ended, c.exit, why)
		}
	}
}
