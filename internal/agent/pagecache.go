package agent

import (
	"container/list"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// memory of changes: longer than a page takes to be made, and than a reader lags before nobody
	// reads from it. What is older than it is not believed at all.
	changesKept = 5 * time.Minute
	maxChanges  = 1000
	maxPages    = 8192 // index entries; each of at most 3 kB of tags, as hashes
)

// Tags that mean more than themselves.
var (
	tagAll  = hashTag("all")  // of a change: every page
	tagMany = hashTag("many") // of a page: it shows too much to be listed
)

// change is one entry of the site's log, and when this task heard of it.
type change struct {
	id   int64
	seen time.Time
	tags map[uint64]bool
}

func (c change) touches(p *page) bool {
	if c.tags[tagAll] {
		return true
	}
	for _, tag := range p.tags {
		if tag == tagMany || c.tags[tag] {
			return true
		}
	}
	return false
}

// staleBy says whether a page was made without this change: it shows something of it and was begun
// before this task heard of it, or was read from a server that did not have it.
func (c change) staleBy(p *page) bool {
	return (p.rendered.Before(c.seen) || p.version >= 0 && p.version < c.id) && c.touches(p)
}

// entry is a page and its place in the order of arrival.
type entry struct {
	page
	order *list.Element // of the name, in brief or in pages
}

// pageCache keeps nginx' cache right: it knows which files show what, drops what a change touches,
// and drops each file that arrives later and was made without it. nginx takes a deleted file as a
// page that it does not have. It may be used by many goroutines.
type pageCache struct {
	folder string
	limit  int64 // bytes
	now    func() time.Time
	log    *Log

	mu      sync.Mutex
	files   map[string]*entry
	pages   *list.List // names, oldest first
	brief   *list.List
	bytes   int64
	changes []change // oldest first
	// Below the floor nothing is known any more: a page from before is dropped whatever it shows.
	floorID   int64
	floorTime time.Time
	stored    int64 // pages that arrived and stayed, so far
	dropped   int64 // pages that were dropped for a change, so far
}

func newPageCache(folder string, limit int64, log *Log) *pageCache {
	return &pageCache{
		folder: folder, limit: limit, now: time.Now, log: log,
		files: map[string]*entry{}, pages: list.New(), brief: list.New(),
	}
}

// clear begins with an empty folder: what lies there was made by an earlier life, which may have
// missed anything.
func (c *pageCache) clear() error {
	if err := os.Mkdir(c.folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	found, err := os.ReadDir(c.folder)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range found {
		errs = append(errs, os.RemoveAll(filepath.Join(c.folder, f.Name())))
	}
	return errors.Join(errs...)
}

// reset forgets what came before: every page that was begun until now is dropped, and so is each
// that was read from a server without all changes up to id.
func (c *pageCache) reset(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = nil
	c.floorID, c.floorTime = id, c.now()
	for name := range c.files {
		c.drop(name)
		c.dropped++
	}
}

// changed applies a change of the site's log.
func (c *pageCache) changed(id int64, tags []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := change{id: id, seen: c.now(), tags: make(map[uint64]bool, len(tags))}
	for _, tag := range tags {
		ch.tags[hashTag(tag)] = true
	}
	c.changes = append(c.changes, ch)
	for name, e := range c.files {
		// Also what was begun after the change was written: this task has heard of it only now.
		if ch.touches(&e.page) {
			c.drop(name)
			c.dropped++
		}
	}
	for len(c.changes) > 0 && (len(c.changes) > maxChanges || c.changes[0].seen.Before(ch.seen.Add(-changesKept))) {
		c.floorID, c.floorTime = c.changes[0].id, c.changes[0].seen
		c.changes = c.changes[1:]
	}
}

// arrived looks at a file that nginx has just put into place, and keeps or drops it.
func (c *pageCache) arrived(name string) {
	p, err := readPage(filepath.Join(c.folder, name))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		// Whatever cannot be judged cannot be dropped when it should be.
		c.log.Warn("dropped a cached page that cannot be read", Field{"error", err.Error()})
		c.unlink(name)
	case c.stale(&p):
		c.unlink(name)
		c.dropped++
	default:
		e := &entry{page: p}
		if p.brief {
			e.order = c.brief.PushBack(name)
		} else {
			e.order = c.pages.PushBack(name)
		}
		c.files[name] = e
		c.bytes += p.size
		c.stored++
		c.bound()
	}
}

func (c *pageCache) stale(p *page) bool {
	if p.rendered.Before(c.floorTime) || p.version >= 0 && p.version < c.floorID {
		return true
	}
	for _, ch := range c.changes {
		if ch.staleBy(p) {
			return true
		}
	}
	return false
}

// bound drops the oldest pages, those of missing addresses first: nginx' own manager looks every
// ten seconds, and until then a flood could fill the memory that sockets and configuration are in.
func (c *pageCache) bound() {
	for len(c.files) > 0 && (c.bytes > c.limit || len(c.files) > maxPages) {
		oldest := c.brief.Front()
		if oldest == nil {
			oldest = c.pages.Front()
		}
		c.drop(oldest.Value.(string)) //nolint:forcetypeassert // only names are in it
	}
}

// gone notes that a file was deleted, by nginx or by this.
func (c *pageCache) gone(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(name)
}

func (c *pageCache) drop(name string) {
	c.unlink(name)
	c.forget(name)
}

func (c *pageCache) unlink(name string) {
	if err := os.Remove(filepath.Join(c.folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Error("a page that changed is still in the cache", Field{"error", err.Error()})
	}
}

func (c *pageCache) forget(name string) {
	e, known := c.files[name]
	if !known {
		return
	}
	c.bytes -= e.size
	if e.brief {
		c.brief.Remove(e.order)
	} else {
		c.pages.Remove(e.order)
	}
	delete(c.files, name)
}

// rescan compares with the folder: events were lost.
func (c *pageCache) rescan() error {
	found, err := os.ReadDir(c.folder)
	if err != nil {
		return err
	}
	present := make(map[string]bool, len(found))
	for _, f := range found {
		if isPageName(f.Name()) {
			present[f.Name()] = true
			c.arrived(f.Name())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.files {
		if !present[name] {
			c.forget(name)
		}
	}
	return nil
}

// isPageName tells pages, which nginx names by the MD5 of their key, from those that it still writes.
func isPageName(name string) bool {
	if len(name) != 32 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// pageCounts are for the log: how many pages there are, their bytes, and what happened since start.
type pageCounts struct {
	pages           int
	bytes           int64
	stored, dropped int64
}

func (c *pageCache) counts() pageCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pageCounts{len(c.files), c.bytes, c.stored, c.dropped}
}
