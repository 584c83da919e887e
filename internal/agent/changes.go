package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"platen/internal/task"
)

// changesScript waits for news in the site's log of changes.
const changesScript = task.Platen + "/agent/changes.php"

// changesTimeout is longer than the script waits: 25 s, and its servers' time-outs.
const changesTimeout = 45 * time.Second

// news is what changes.php answers.
type news struct {
	From    string `json:"from"` // writer or reader
	Reset   bool   `json:"reset"`
	Last    int64  `json:"last"`
	Changes []struct {
		ID   int64  `json:"id"`
		Tags string `json:"tags"`
	} `json:"changes"`
	Error string `json:"error"`
}

// follower keeps the page cache right: it follows the site's log of changes, and watches the cache.
type follower struct {
	cache  *pageCache
	socket string // of php's pool that tells changes
	log    *Log
	pause  func(ctx context.Context, failures int) // before it asks again

	since    int64 // the last change that was applied; -1: none, everything is to be dropped
	failures int   // since the last answer
}

// keepPages makes the task's page cache, empty, and keeps it right until the context ends. While the
// folder cannot be watched (a host has so many watches a user) it is emptied every second or so: the
// task serves, nearly without a cache.
func keepPages(ctx context.Context, cache *pageCache, socket string, log *Log) error {
	if err := cache.clear(); err != nil {
		return fmt.Errorf("empty the page cache: %w", err)
	}
	watch, err := watchFolder(cache.folder)
	go watchPages(ctx, cache, watch, err, log)
	f := &follower{cache: cache, socket: socket, log: log, pause: pauseBetween, since: -1}
	go f.run(ctx)
	return nil
}

// watchPages watches the folder, again and again, beginning with a watch or with why there is none.
func watchPages(ctx context.Context, cache *pageCache, watch *folderWatch, err error, log *Log) {
	arrived := func(name string) {
		if isPageName(name) {
			cache.arrived(name)
		}
	}
	rescan := func() {
		if err := cache.rescan(); err != nil {
			log.Error("look at the page cache", Field{"error", err.Error()})
		}
	}
	said := false
	for ctx.Err() == nil {
		if err == nil {
			said = false
			rescan() // what arrived before the watch
			err = watch.run(ctx, arrived, cache.gone, rescan)
		}
		if ctx.Err() != nil {
			return
		}
		if !said {
			said = true
			log.Error("the page cache cannot be watched; it is emptied every second until it can", Field{"error", err.Error()})
		}
		pauseBetween(ctx, 5)
		if watch, err = watchFolder(cache.folder); err == nil {
			rescan()
		}
		// Nobody has seen what arrived meanwhile.
		if wrong := cache.clear(); wrong != nil {
			log.Error("empty the page cache", Field{"error", wrong.Error()})
		}
	}
}

// pauseBetween waits longer after each failure, and not at the same time as other tasks.
func pauseBetween(ctx context.Context, failures int) {
	wait := min(time.Duration(failures)*200*time.Millisecond, 2*time.Second)
	timer := time.NewTimer(wait + rand.N(wait/2+time.Millisecond)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.failures++
			if f.failures == 5 { // once; php that just starts is no news
				f.log.Warn("the site's changes cannot be read; cached pages are served as they are", Field{"error", err.Error()})
			}
			f.pause(ctx, f.failures)
		default:
			if f.failures >= 5 {
				f.log.Info("the site's changes can be read again", Field{"since", f.since})
			}
			f.failures = 0
		}
	}
}

// ask waits for news once, and applies them.
func (f *follower) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, changesTimeout)
	defer cancel()
	query := ""
	if f.since >= 0 {
		query = "since=" + strconv.FormatInt(f.since, 10)
	}
	a, err := fastcgi(ctx, f.socket, map[string]string{
		"SCRIPT_FILENAME": changesScript, "SCRIPT_NAME": "/-/changes", "REQUEST_URI": "/-/changes?" + query, "QUERY_STRING": query,
	})
	if err != nil {
		return err
	}
	var n news
	if err := json.Unmarshal(a.Body, &n); err != nil || a.Status != 200 {
		if n.Error != "" {
			return fmt.Errorf("the site's changes: %s", n.Error)
		}
		return fmt.Errorf("the site's changes: php answered %d: %s", a.Status, excerpt(append(a.Body, a.Stderr...)))
	}
	if n.Reset {
		if f.since >= 0 {
			f.log.Info("the log of changes does not follow what this task knows; all cached pages are dropped", Field{"since", f.since}, Field{"last", n.Last})
		}
		f.cache.reset(n.Last)
		f.since = n.Last
		return nil
	}
	for _, c := range n.Changes {
		f.cache.changed(c.ID, strings.Fields(c.Tags))
		f.since = c.ID
	}
	return nil
}
