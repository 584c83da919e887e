package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"platen/internal/release"
	"platen/internal/report"
)

const (
	lockKey = "lock.json"
	// lease is how long a holder that fell silent keeps the lock; renewal has two more tries
	// before it runs out.
	lease = 60 * time.Second
	renew = 20 * time.Second
)

// Lock is who works on an environment.
type Lock struct {
	Host    string    `json:"host"`
	User    string    `json:"user"`
	Command string    `json:"command"`
	PID     int       `json:"pid"`
	Started string    `json:"started"` // tells a process from a later one with its number
	Since   time.Time `json:"since"`
	Lease   time.Time `json:"lease"` // until when it holds without renewal
}

// LockedError says who holds the lock.
type LockedError struct {
	Lock        Lock
	Environment string
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("the environment is locked: %s on %s runs %q (process %d) since %s",
		e.Lock.User, e.Lock.Host, e.Lock.Command, e.Lock.PID, e.Lock.Since.Local().Format("2006-01-02 15:04:05"))
}

// Hint implements the interface of report.HintOf.
func (e *LockedError) Hint() string {
	return "wait for it to end; if it is gone for good, run: " + command("unlock", e.Environment)
}

// errLockLost ends work whose lock was taken away.
var errLockLost = errors.New("the lock was taken by somebody else while this command worked")

// Process is a running program as the lock records it.
type Process struct {
	Host, User, Command string
	PID                 int
	Started             string
	// Alive tells whether that process of this host still runs: the number alone is reused.
	Alive func(pid int, started string) bool
}

// held is a lock that this command holds.
type held struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
	etag   string // owned by keep until done is closed
	store  Store
}

// lock takes the environment's lock for the command that is running and renews it until release is called. The returned context
// ends with errLockLost when somebody else took the lock away.
func (e *Engine) lock(ctx context.Context, store Store, environment, running string) (context.Context, *held, error) {
	if store == nil {
		return nil, nil, errors.New("this target keeps no records, so nothing can be locked")
	}
	mine := Lock{
		Host: e.Process.Host, User: e.Process.User, Command: running,
		PID: e.Process.PID, Started: e.Process.Started, Since: e.Now().UTC(),
	}
	mine.Lease = mine.Since.Add(lease)

	data, etag, err := store.Get(ctx, lockKey)
	switch {
	case errors.Is(err, release.ErrNotFound):
		etag = ""
	case err != nil:
		return nil, nil, fmt.Errorf("read the lock: %w", err)
	default:
		var other Lock
		if err := json.Unmarshal(data, &other); err != nil {
			return nil, nil, report.Hint(fmt.Errorf("read the lock: %w", err), "if nobody works on this environment, run: %s", command("unlock", environment))
		}
		if !e.abandoned(other) {
			return nil, nil, &LockedError{other, environment}
		}
	}
	etag, err = store.Put(ctx, lockKey, encode(mine), etag)
	if errors.Is(err, release.ErrConflict) {
		// Somebody was faster: say who.
		if other, err := holder(ctx, store); err == nil {
			return nil, nil, &LockedError{other, environment}
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("write the lock: %w", err)
	}

	ctx, cancel := context.WithCancelCause(ctx)
	h := &held{cancel: cancel, done: make(chan struct{}), etag: etag, store: store}
	go h.keep(ctx, mine, e.Now)
	return ctx, h, nil
}

// abandoned tells whether nobody works under the lock any more: its lease ran out, or its
// holder was a process of this host that is gone.
func (e *Engine) abandoned(l Lock) bool {
	if l.Host == e.Process.Host && e.Process.Alive != nil {
		return !e.Process.Alive(l.PID, l.Started)
	}
	return e.Now().After(l.Lease)
}

// keep renews the lease until the context ends.
func (h *held) keep(ctx context.Context, l Lock, now func() time.Time) {
	defer close(h.done)
	tick := time.NewTicker(renew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next := l
		next.Lease = now().UTC().Add(lease)
		etag, err := h.store.Put(ctx, lockKey, encode(next), h.etag)
		switch {
		case err == nil:
			l, h.etag = next, etag
		case errors.Is(err, release.ErrConflict):
			h.cancel(errLockLost)
			return
		case now().After(l.Lease):
			h.cancel(fmt.Errorf("renew the lock: %w", err))
			return
		}
	}
}

// release gives the lock back, also when the command was interrupted. A lock that somebody else
// took stays theirs.
func (h *held) release(ctx context.Context) {
	h.cancel(context.Canceled)
	<-h.done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = h.store.Delete(ctx, lockKey, h.etag) // what cannot be deleted now runs out by itself
}

// holder returns who holds the lock.
func holder(ctx context.Context, store Store) (Lock, error) {
	data, _, err := store.Get(ctx, lockKey)
	if err != nil {
		return Lock{}, err
	}
	var l Lock
	return l, json.Unmarshal(data, &l)
}

// encode is the JSON of a record. Records are structs of plain fields, which always marshal.
func encode(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(data, '\n')
}
