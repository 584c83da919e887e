package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// collectEvery is how old a line of PHP's may be before it is in the log.
const collectEvery = 250 * time.Millisecond

// maxComplaint bounds what is logged of one request between two looks.
const maxComplaint = 1 << 20

// complaints collects what PHP logs in requests. Each request has a file of its own, named after
// its id (lib/RequestLog.php), which is there only when the request has something to say: so every
// line gets its id, and a request without errors costs nothing.
type complaints struct {
	dir string
	log *Log

	mu sync.Mutex // two rounds at once would tell a file twice
}

// The names of files while php may add to them, and when they are about to be read: whoever opened
// one right before it was renamed has a whole round to write his line.
const (
	writtenFile = "r-"
	takenFile   = "t-"
)

// run collects until the context ends.
func (c *complaints) run(ctx context.Context) {
	ticks := time.NewTicker(collectEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			c.collect()
		}
	}
}

// collect logs the files that were taken in the last round, and takes those that are there.
func (c *complaints) collect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := errors.Join(c.each(takenFile, c.tell), c.each(writtenFile, func(id, path string) error {
		return os.Rename(path, filepath.Join(c.dir, takenFile+id))
	}))
	if err != nil {
		c.log.Error("what php complains of cannot be read", Field{"error", err.Error()})
	}
}

func (c *complaints) each(prefix string, do func(id, path string) error) error {
	names, err := filepath.Glob(filepath.Join(c.dir, prefix+"*"))
	errs := []error{err}
	for _, path := range names {
		if err := do(strings.TrimPrefix(filepath.Base(path), prefix), path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *complaints) tell(id, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxComplaint+1))
	if err = errors.Join(err, file.Close(), os.Remove(path)); err != nil {
		return err
	}
	if len(text) > maxComplaint {
		text = append(text[:maxComplaint], fmt.Sprintf("\n(cut after %d bytes)", maxComplaint)...)
	}
	for _, message := range messages(text) {
		if line := ownLine(id, message); line != nil {
			c.log.write(line)
			continue
		}
		level, message := childLevel(message)
		c.log.line(level, "php", message, []Field{{"id", id}})
	}
	return nil
}

// ownLine returns a message as a line of the log when it is one that lib/SlowLog.php made for this
// request, and nil otherwise: JSON that a plugin logs may claim to be another stream's line, or have
// several lines.
func ownLine(id, message string) []byte {
	var keys map[string]any // not a struct, which would take "Stream" for "stream"
	if message[0] != '{' || json.Unmarshal([]byte(message), &keys) != nil || keys["stream"] != "php" || keys["id"] != id {
		return nil
	}
	var line bytes.Buffer
	if err := json.Compact(&line, []byte(message)); err != nil {
		return nil
	}
	line.WriteByte('\n')
	return line.Bytes()
}

// phpStamp begins a line of a file that PHP logs to: [25-Nov-2026 13:17:00 UTC]
var phpStamp = regexp.MustCompile(`(?m)^\[\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d [\w/+:-]+\] `)

// messages parts a file into its messages; one of several lines (a stack trace) stays whole.
func messages(text []byte) []string {
	var all []string
	for {
		at := phpStamp.FindIndex(text)
		if at == nil {
			at = []int{len(text), len(text)}
		}
		if message := bytes.TrimSpace(text[:at[0]]); len(message) > 0 {
			all = append(all, strings.ToValidUTF8(string(message), "�"))
		}
		if text = text[at[1]:]; len(text) == 0 {
			return all
		}
	}
}
