// Package retry is what all clients of a busy server have in common: how long it asks them to wait,
// and the waiting.
package retry

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// After is how long an answer asks its client to wait (Retry-After): in seconds, or until a date, by
// the clock of the answer. ok is false when it asks for nothing that can be understood.
func After(answer *http.Response) (wait time.Duration, ok bool) {
	text := answer.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	then, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	return max(then.Sub(now), 0), true
}

// Wait pauses by the clock. It returns the context's error when that ends first.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
