package engine

import (
	"context"
	"errors"
	"fmt"

	"platen/internal/release"
)

// UnlockOptions are unlock's.
type UnlockOptions struct {
	Site
	Confirm func(question string) error // nil: said already (--yes)
}

// Unlock takes the lock from a holder that does not come back. It returns whose it was;
// ok is false when nobody held it.
func (e *Engine) Unlock(ctx context.Context, o UnlockOptions) (l Lock, ok bool, err error) {
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return Lock{}, false, err
	}
	store := env.place.Store
	_, etag, err := store.Get(ctx, lockKey)
	if errors.Is(err, release.ErrNotFound) {
		return Lock{}, false, nil
	}
	if err != nil {
		return Lock{}, false, fmt.Errorf("read the lock: %w", err)
	}
	// An unreadable lock is one to remove, too: then nothing is known of its holder.
	l, _ = holder(ctx, store)
	if o.Confirm != nil {
		state := "is still at work"
		if e.abandoned(l) {
			state = "is gone"
		}
		if err := o.Confirm(fmt.Sprintf("%q of %s on %s holds the lock and %s. Take it away?", l.Command, l.User, l.Host, state)); err != nil {
			return l, true, err
		}
	}
	// It may have been renewed while the person thought.
	if _, now, err := store.Get(ctx, lockKey); err == nil {
		etag = now
	}
	if err := store.Delete(ctx, lockKey, etag); err != nil && !errors.Is(err, release.ErrNotFound) {
		return l, true, fmt.Errorf("remove the lock: %w", err)
	}
	return l, true, nil
}
