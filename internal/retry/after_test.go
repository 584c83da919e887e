package retry_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"platen/internal/retry"
)

func TestAfter(t *testing.T) {
	const now = "Tue, 25 Nov 2025 12:00:00 GMT"
	for _, c := range []struct {
		after, date string
		want        time.Duration
		ok          bool
	}{
		{"7", "", 7 * time.Second, true},
		{"0", "", 0, true},
		{"Tue, 25 Nov 2025 12:01:30 GMT", now, 90 * time.Second, true},
		{"Tue, 25 Nov 2025 11:00:00 GMT", now, 0, true},
		{"Tue, 25 Nov 2025 12:01:30 GMT", "", 0, false},
		{"-7", now, 0, false},
		{"99999999999999999999", now, 0, false},
		{"soon", now, 0, false},
		{"", now, 0, false},
	} {
		answer := &http.Response{Header: http.Header{"Retry-After": {c.after}, "Date": {c.date}}}
		if got, ok := retry.After(answer); got != c.want || ok != c.ok {
			t.Errorf("%q at %q: %v, %v, want %v, %v", c.after, c.date, got, ok, c.want, c.ok)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("stopped")
	cancel(why)
	if err := retry.Wait(ctx, time.Hour); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
