package agent

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"platen/internal/task"
)

// Where a change of the share's code is announced, and the copy that PHP reads; see
// lib/ContentVersion.php.
const (
	contentVersion     = task.Content + "/.platen/content-version"
	contentVersionCopy = task.Private + "/content-version"
)

// followEvery is how soon a task hears of it. Each look is one operation on the share, where pages
// would otherwise take one each.
const followEvery = 500 * time.Millisecond

// followContent copies from to to whenever it is another one, until the context ends. A share that
// hangs holds up this goroutine alone: pages go on with what is compiled.
func followContent(ctx context.Context, from, to string, every time.Duration, log *Log) {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	var failed string
	for {
		err := copyVersion(from, to)
		// Once, not twice a second.
		if err != nil && err.Error() != failed {
			log.Warn("announced changes of plugins and themes are not seen; OPcache looks itself every 30 s", Field{"error", err.Error()})
		}
		if failed = ""; err != nil {
			failed = err.Error()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// copyVersion makes to what from is. PHP writes to as well, when a change comes from this task: so
// what counts is what is there now, not what was copied last.
func copyVersion(from, to string) error {
	version, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever announced
	}
	if err != nil {
		return err
	}
	if there, err := os.ReadFile(to); err == nil && bytes.Equal(there, version) {
		return nil
	}
	return WriteFile(to, version, 0o600)
}
