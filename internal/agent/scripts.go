package agent

import (
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// Counting ends here: a share that is slow, or full of files that nobody runs, must not hold up
// the start of a task.
const (
	mostScripts = 200_000
	countFor    = 2 * time.Second
)

// OPcache lists at most so many compiled files, in an index that is made once, at start: 40 bytes a
// file. What was installed since the start has to fit too.
const (
	fewestAccelerated = 16_000
	mostAccelerated   = 1_000_000 // PHP's own limit
)

// countScripts counts PHP files below the folders, without following links: as many as it finds in
// the time that it has. Folders that cannot be read hold none.
func countScripts(limit int, within time.Duration, folders ...string) (n int, all bool) {
	until := time.Now().Add(within)
	all = true
	for _, folder := range folders {
		_ = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return fs.SkipDir // unreadable, or gone in the meantime
			case n >= limit || time.Now().After(until):
				all = false
				return fs.SkipAll
			case d.IsDir() && d.Name() == "uploads":
				return fs.SkipDir // holds the most files of all, and none that runs
			case !d.IsDir() && strings.HasSuffix(d.Name(), ".php"):
				n++
			}
			return nil
		})
	}
	return n, all
}

// acceleratedFiles is opcache.max_accelerated_files for so many files: half as many again can come.
func acceleratedFiles(scripts int) int {
	return min(max(fewestAccelerated, scripts+scripts/2), mostAccelerated)
}
