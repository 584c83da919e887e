package debian

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// release is what a verified InRelease file says.
type release struct {
	Suite, Codename  string
	Date, ValidUntil time.Time // ValidUntil is zero when the archive sets no end (main does not)
	ByHash           bool
	Files            map[string]releaseFile // by path below dists/SUITE
}

type releaseFile struct {
	SHA256 string
	Size   int64
}

// parseRelease reads the text that verifyClearSigned returned.
func parseRelease(text string) (release, error) {
	stanzas := parseStanzas(text)
	if len(stanzas) != 1 {
		return release{}, fmt.Errorf("%d paragraphs, want 1", len(stanzas))
	}
	s := stanzas[0]
	r := release{
		Suite:    s["suite"],
		Codename: s["codename"],
		ByHash:   s["acquire-by-hash"] == "yes",
		Files:    map[string]releaseFile{},
	}
	var err error
	if r.Date, err = parseDate(s["date"]); err != nil {
		return release{}, fmt.Errorf("date: %w", err)
	}
	if until := s["valid-until"]; until != "" {
		if r.ValidUntil, err = parseDate(until); err != nil {
			return release{}, fmt.Errorf("valid-until: %w", err)
		}
	}
	for line := range strings.Lines(s["sha256"]) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 3 || !isSHA256(fields[0]) {
			return release{}, fmt.Errorf("bad checksum line %q", strings.TrimSpace(line))
		}
		size, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || size < 0 {
			return release{}, fmt.Errorf("bad size in %q", strings.TrimSpace(line))
		}
		r.Files[fields[2]] = releaseFile{SHA256: fields[0], Size: size}
	}
	if len(r.Files) == 0 {
		return release{}, errors.New("it lists no SHA256 checksums")
	}
	return r, nil
}

// parseDate reads "Sat, 21 Nov 2026 02:10:46 UTC". The format allows only UTC.
func parseDate(text string) (time.Time, error) {
	t, err := time.Parse("Mon, _2 Jan 2006 15:04:05 MST", text)
	if err != nil {
		t, err = time.Parse("Mon, _2 Jan 2006 15:04:05 -0700", text)
	}
	if err != nil {
		return time.Time{}, err
	}
	if _, offset := t.Zone(); offset != 0 {
		return time.Time{}, fmt.Errorf("%q is not in UTC", text)
	}
	return t.UTC(), nil
}

func isSHA256(s string) bool {
	if len(s) != 64 || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}
