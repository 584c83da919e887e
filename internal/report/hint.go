package report

import (
	"errors"
	"fmt"
)

// hinted is an error that knows what a person can do about it.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }
func (h *hinted) Hint() string  { return h.hint }

// Hint attaches to err what to do next; the text of err stays what was tried and what happened.
// A nil err stays nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// HintOf returns the outermost hint in err's chain, or "". Any error with a method
// Hint() string carries one, so that an adapter needs no import to give advice.
func HintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
