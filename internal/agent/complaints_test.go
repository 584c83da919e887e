package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestComplaintsCarryTheRequestsID(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	log := NewLog(&out)
	log.Hide(Secrets{"db_password": "h0rse-battery"})
	c := &complaints{dir: dir, log: log}
	write := func(name, text string) {
		t.Helper()
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("r-3f2a-0001", "[25-Nov-2026 13:17:00 UTC] PHP Warning:  Undefined variable $a in /x.php on line 3\n"+
		"[25-Nov-2026 13:17:00 UTC] PHP Fatal error:  Uncaught Exception: h0rse-battery\nStack trace:\n#0 {main}\n  thrown in /x.php on line 4\n")
	write("r-other.0002", "[25-Nov-2026 13:17:01 Europe/Berlin] {\"level\":\"warning\",\"stream\":\"php\",\"message\":\"slow request\",\"id\":\"other.0002\"}\n"+
		"[25-Nov-2026 13:17:01 UTC] said by a plugin\xff\n")
	c.collect()
	// Whoever had the file open before it was taken, and a request that goes on complaining.
	write("t-3f2a-0001", "[25-Nov-2026 13:17:02 UTC] late\n")
	write("r-3f2a-0001", "[25-Nov-2026 13:17:03 UTC] later\n")
	c.collect()
	c.collect()

	var got []string
	for line := range strings.Lines(out.String()) {
		var v struct{ Time, Level, Stream, Message, ID string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if v.Stream != "php" {
			t.Errorf("stream %q", v.Stream)
		}
		got = append(got, v.ID+" "+v.Level+" "+v.Message)
	}
	want := []string{
		"3f2a-0001 warning PHP Warning:  Undefined variable $a in /x.php on line 3",
		"3f2a-0001 error PHP Fatal error:  Uncaught Exception: ***\nStack trace:\n#0 {main}\n  thrown in /x.php on line 4",
		"3f2a-0001 info late",
		"other.0002 warning slow request",
		"other.0002 info said by a plugin�",
		"3f2a-0001 info later",
	}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "***", string(log.redactor().Bytes([]byte("h0rse-battery"))))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// Only lines that the request's own slow log made are passed on as they are, and each is one line.
func TestComplaintsOfJSON(t *testing.T) {
	const id, stamp = "3f2a-0001", "[25-Nov-2026 13:17:00 UTC] "
	for name, test := range map[string]struct{ message, want string }{
		"our own": {
			`{"level":"warning","stream":"php","message":"slow request","id":"3f2a-0001"}`,
			`{"level":"warning","stream":"php","message":"slow request","id":"3f2a-0001"}`,
		},
		"of several lines": {
			"{\n  \"stream\": \"php\",\n  \"message\": \"a plugin's\",\n  \"id\": \"3f2a-0001\"\n}",
			`{"stream":"php","message":"a plugin's","id":"3f2a-0001"}`,
		},
		"another stream's":  {`{"stream":"access","id":"3f2a-0001"}`, ""},
		"another request's": {`{"stream":"php","id":"3f2a-0002"}`, ""},
		"a like name":       {`{"stream":"access","Stream":"php","id":"3f2a-0001"}`, ""},
		"no line at all":    {"{\n  \"order\": 7\n}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c := &complaints{dir: t.TempDir(), log: NewLog(&out)}
			if err := os.WriteFile(filepath.Join(c.dir, takenFile+id), []byte(stamp+test.message+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			c.collect()
			got := out.String()
			if test.want != "" {
				if got != test.want+"\n" {
					t.Errorf("logged %swant   %s", got, test.want)
				}
				return
			}
			var line struct{ Stream, Message, ID string }
			if err := json.Unmarshal([]byte(got), &line); err != nil || strings.Count(got, "\n") != 1 {
				t.Fatalf("%v: %s", err, got)
			}
			if line.Stream != "php" || line.Message != test.message || line.ID != id {
				t.Errorf("logged %s", got)
			}
		})
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	c := &complaints{dir: dir, log: NewLog(&out)}
	if err := os.WriteFile(filepath.Join(dir, "r-00000001"), bytes.Repeat([]byte("[25-Nov-2026 13:17:00 UTC] again and again\n"), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	c.collect()
	c.collect()
	if lines := strings.Count(out.String(), "\n"); lines < 1000 || lines > 50_000 || !strings.Contains(out.String(), "(cut after") {
		t.Errorf("%d lines", lines)
	}
}
