// Package release is what web tasks run: image digests and rendered configuration, immutable.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"platen/internal/task"
)

// Release is an append-only record. What runs is observed, never recorded here.
type Release struct {
	ID     string            `json:"id"`     // twelve hex digits of its content's SHA-256
	Images map[string]string `json:"images"` // image name → reference the target can run
	Config task.Config       `json:"config"` // without Release
	When   time.Time         `json:"when"`
	Who    string            `json:"who"` // user@host
	Note   string            `json:"note,omitempty"`
}

// New names a release by its content: the same images and configuration are the same release.
func New(images map[string]string, config task.Config, who string, when time.Time) Release {
	config.Release = ""
	content, err := json.Marshal(struct {
		Images map[string]string
		Config task.Config
	}{images, config})
	if err != nil {
		panic(err) // strings, numbers and maps of strings always marshal
	}
	sum := sha256.Sum256(content)
	id := hex.EncodeToString(sum[:6])
	return Release{ID: id, Images: images, Config: config, When: when.UTC().Truncate(time.Second), Who: who}
}
