package release

import "errors"

// Errors of a store of records (lock, releases, state).
var (
	ErrNotFound = errors.New("no such record")
	ErrConflict = errors.New("the record was changed by somebody else")
)
