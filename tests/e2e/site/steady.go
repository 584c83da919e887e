package site

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Steady is a reader who asks for one page again and again while something else happens.
type Steady struct {
	stop chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex
	requests int
	failures []string
}

// Steady begins to read path about twenty times a second, one request at a time, each with a
// query of its own so that no cache answers. It gives up after five minutes.
func (v *Visitor) Steady(t testing.TB, path string) *Steady {
	t.Helper()
	s := &Steady{stop: make(chan struct{})}
	s.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		end := time.NewTimer(5 * time.Minute)
		defer end.Stop()
		for i := 0; ; i++ {
			select {
			case <-s.stop:
				return
			case <-end.C:
				s.note("the steady visitor was never stopped")
				return
			case <-tick.C:
			}
			page, err := v.Try(http.MethodGet, fmt.Sprintf("%s?steady=%d", path, i), "", nil)
			switch {
			case err != nil:
				s.note(err.Error())
			case page.Status != http.StatusOK:
				s.note(fmt.Sprintf("request %d: status %d: %s", i, page.Status, Excerpt(page.Body)))
			default:
				s.note("")
			}
		}
	})
	return s
}

func (s *Steady) note(failure string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if failure != "" {
		s.failures = append(s.failures, failure)
	}
}

// Stop ends the reading and returns how many pages were asked for, and what failed.
func (s *Steady) Stop() (requests int, failures []string) {
	close(s.stop)
	s.done.Wait()
	return s.requests, s.failures
}

// Eventually asks again until check returns nil, and fails the test with its last error after
// the given time: a bound for a hang, not a figure that is asserted.
func Eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("%s: not after %v: %v", what, within, err)
		case <-tick.C:
		}
	}
}
