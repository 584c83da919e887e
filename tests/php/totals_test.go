package php_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Totals of pages, comments and terms on a site of 5,000 posts are those that WordPress counts
// without our drop-ins and must-use plugins: with an empty cache, a full one, in several orders of
// asking, and after changes.
func TestTotals(t *testing.T) {
	mustInstall(t)
	site, err := os.ReadFile("totals.sql")
	if err != nil {
		t.Fatal(err)
	}
	if got := sql(t, string(site)); got != "5000" {
		t.Fatalf("the site has %s posts", got)
	}
	ask := func(mode string) []map[string]json.RawMessage {
		t.Helper()
		out, err := shared.job("", "php", "/tests/totals.php", mode)
		var passes []map[string]json.RawMessage
		if err == nil {
			err = json.Unmarshal([]byte(out), &passes)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%.2000s", mode, err, out)
		}
		return passes
	}
	compare := func(when string, want map[string]json.RawMessage, passes []map[string]json.RawMessage) {
		t.Helper()
		if len(want) < 300 || len(passes) == 0 {
			t.Fatalf("%s: %d questions, %d passes", when, len(want), len(passes))
		}
		for i, got := range passes {
			if len(got) != len(want) {
				t.Errorf("%s, pass %d: %d answers, want %d", when, i+1, len(got), len(want))
			}
			for question, answer := range want {
				if string(got[question]) != string(answer) {
					at := differ(got[question], answer)
					t.Errorf("%s, pass %d: %s, from byte %d on\n got   %.300s\n stock %.300s", when, i+1, question, at, got[question][at:], answer[at:])
				}
			}
		}
	}

	stock := ask("stock")[0]
	if all := string(stock["query all, page 1"]); !strings.HasPrefix(all, "[4") {
		t.Errorf("of 5,000 posts more than 4,000 are published: %.80s", all)
	}
	compare("from an empty cache on", stock, ask("ours"))
	ask("change")
	changed := ask("stock")[0]
	differs := 0
	for question, answer := range changed {
		if string(answer) != string(stock[question]) {
			differs++
		}
	}
	if differs < 50 {
		t.Errorf("the changes change %d answers", differs)
	}
	compare("after changes", changed, ask("again"))
}

// differ is the place, a little earlier, from which on two texts differ.
func differ(a, b []byte) int {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	return max(0, at-60)
}
