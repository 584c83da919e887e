package e2e

import (
	"strconv"
	"testing"
)

func TestScalingLosesNoRequest(t *testing.T) {
	s := sharedSite(t)
	t.Cleanup(func() { s.Run(t, 0, "scale", "2") })
	steady := s.Visitor(t).Steady(t, "/")
	for _, tasks := range []int{4, 1} {
		s.Run(t, 0, "scale", strconv.Itoa(tasks))
		if got := len(s.Tasks(t)); got != tasks {
			t.Errorf("%d tasks run, want %d", got, tasks)
		}
	}
	requests, failures := steady.Stop()
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(failures), requests, failures[0])
	}
	if requests == 0 {
		t.Error("nothing was asked for meanwhile")
	}
}
