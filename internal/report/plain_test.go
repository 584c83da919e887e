package report

import "testing"

func TestPlain(t *testing.T) {
	for line, want := range map[string]string{
		"WordPress is installed": "WordPress is installed",
		"":                       "",
		`{"time":"2026-11-22T14:08:34.638Z","level":"info","stream":"agent","message":"seeded the share","entries":171}`: "seeded the share (entries 171)",
		`{"time":"…","level":"error","stream":"stderr","message":"pool www: no such file"}`:                              "error: pool www: no such file",
		`{"time":"…","level":"warning","stream":"agent","message":"kept aside","file":"db.php","why":"foreign"}`:         "warning: kept aside (file db.php, why foreign)",
		// Not the agent's, or cut off: as it is.
		`{"time":"…","level":"info","stream":"access","status":200}`: `{"time":"…","level":"info","stream":"access","status":200}`,
		`{"time":"…","level":"inf`:                                   `{"time":"…","level":"inf`,
		`{"message":"half"`:                                          `{"message":"half"`,
		`{`:                                                          `{`,
	} {
		if got := Plain(line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}
