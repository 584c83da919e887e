package capacity

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestVerdictThatFitsSaysTheSum(t *testing.T) {
	host := Host{Type: "t4g.medium", CPU: 2, Memory: 4 << 30, Interfaces: 3}
	topo := awsTopology(t, 1, 3, "db.r6g.large", "10.0.0.0/16", "")
	v := Check(topo, Limits{Host: &host})
	if !v.Fits {
		t.Fatal(v.Err())
	}
	text := strings.Join(v.Sums, "\n")
	for _, part := range []string{"2 of 4 web tasks that the hosts hold beside cron and a job: 1 web task, which are 2 while they are replaced (200 % of those wanted); 3 × t4g.medium with 2 each (its 3 interfaces − 1",
		"12 of 800 database connections: 2 tasks × (3 php processes + 3)", "0.8 × 1000 of db.r6g.large"} {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

var ofWhat = regexp.MustCompile(`^(\d+) of (\d+) `)

// What fits takes no more than there is, and the sum never says otherwise; what does not fit has no
// sum but reasons.
func TestSumsAgreeWithTheVerdict(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		tasks, count := rapid.IntRange(1, 60).Draw(r, "tasks"), rapid.IntRange(1, 12).Draw(r, "count")
		class := rapid.SampledFrom([]string{"db.t4g.medium", "db.r6g.large", "db.serverless"}).Draw(r, "class")
		host := rapid.SampledFrom([]Host{m7gLarge, {Type: "t4g.medium", CPU: 2, Memory: 4 << 30, Interfaces: 3}}).Draw(r, "host")
		v := Check(awsTopology(r, tasks, count, class, "10.0.0.0/16", ""), Limits{Host: &host})
		if v.Fits == (len(v.Sums) == 0) || v.Fits != (len(v.Reasons) == 0) {
			r.Fatalf("%+v", v)
		}
		for _, s := range v.Sums {
			m := ofWhat.FindStringSubmatch(s)
			if m == nil {
				continue // memory, in bytes
			}
			taken, _ := strconv.Atoi(m[1])
			there, _ := strconv.Atoi(m[2])
			if taken > there {
				r.Fatalf("it fits, and %s", s)
			}
		}
	})
}
