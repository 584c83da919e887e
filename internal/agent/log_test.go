package agent

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

func TestChildLevel(t *testing.T) {
	for line, want := range map[string][2]string{
		"[22-Nov-2026 13:17:00] NOTICE: fpm is running, pid 8":                {"info", "fpm is running, pid 8"},
		"[22-Nov-2026 13:17:00] WARNING: [pool www] seems busy":               {"warning", "[pool www] seems busy"},
		"[22-Nov-2026 13:17:00] ALERT: oops":                                  {"error", "oops"},
		"NOTICE: PHP message: PHP Fatal error:  Uncaught Error in x.php":      {"error", "PHP Fatal error:  Uncaught Error in x.php"},
		"PHP message: PHP Warning:  look":                                     {"warning", "PHP Warning:  look"},
		"NOTICE: PHP message: WordPress database error Lost connection for …": {"error", "WordPress database error Lost connection for …"},
		"anything": {"info", "anything"},
	} {
		level, message := childLevel(line)
		if level != want[0] || message != want[1] {
			t.Errorf("%q: %s %q, want %s %q", line, level, message, want[0], want[1])
		}
	}
}

func TestRelayKeepsLinesWholeAndPassesJSONOn(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(&out)
	own := `{"level":"error","message":"own"}`
	var relays sync.WaitGroup
	for range 4 {
		relays.Go(func() {
			log.Relay("stdout", strings.NewReader("first\r\n\n"+own+"\nlast \x1b[31m\"quoted\" without an end"))
		})
	}
	relays.Wait()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 12 {
		t.Fatalf("%d lines: want 12", len(lines))
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if n := strings.Count(out.String(), own+"\n"); n != 4 {
		t.Errorf("JSON was passed on %d times: want 4", n)
	}
}

func TestRelayCutsLongLines(t *testing.T) {
	var out bytes.Buffer
	NewLog(&out).Relay("stdout", strings.NewReader(strings.Repeat("a", 3*maxLine/2)))
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines: want 2", n)
	}
}
