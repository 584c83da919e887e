package docker

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
)

func TestServingReadsHAProxysStatistics(t *testing.T) {
	page := strings.Join([]string{
		"# pxname,svname,status,check_desc,addr,",
		"http,FRONTEND,OPEN,,,",
		`web,web1,UP,"Layer7 check passed, all well",172.20.0.4:8080,`,
		"web,web2,UP 1/2,,172.20.0.5:8080,",
		"web,web3,NOLB,,172.20.0.6:8080,",
		"web,web4,MAINT (resolution),,,",
		"web,BACKEND,UP,,,",
	}, "\n") + "\n"
	for address, want := range map[string]string{
		"172.20.0.4:8080": "",
		"172.20.0.5:8080": "",
		"172.20.0.6:8080": "NOLB",
		"172.20.0.7:8080": "does not know",
	} {
		err := serving(page, address)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	for _, page := range []string{"", "<html>", "# pxname,svname\nweb,web1\n", "\"\n"} {
		if serving(page, "172.20.0.4:8080") == nil {
			t.Errorf("%q says that a task is served", page)
		}
	}
}

func TestSummarizeSaysAgeAndRestarts(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for want, c := range map[string]struct {
		began    time.Duration
		restarts int
	}{
		"up 0 seconds":                   {-time.Second, 0}, // clocks differ
		"up 119 seconds":                 {119 * time.Second, 0},
		"up 119 minutes, restarted once": {119 * time.Minute, 1},
		"up 47 hours, restarted 3 times": {47 * time.Hour, 3},
		"up 2 days":                      {48 * time.Hour, 0},
	} {
		found := container.InspectResponse{RestartCount: c.restarts, State: &container.State{
			StartedAt: now.Add(-c.began).Format(time.RFC3339Nano),
		}}
		if got := summarize(found, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
