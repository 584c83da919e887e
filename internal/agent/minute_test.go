package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// newTestMinute is a task whose php answers as told.
func newTestMinute(t *testing.T, status http.HandlerFunc, site http.HandlerFunc) (*minute, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	return &minute{
		queue: func() (int, error) { return 0, nil }, status: serveFastCGI(t, status), health: serveFastCGI(t, beside(room(40, 0), site)),
		token: "t0ken", log: NewLog(&out),
	}, &out
}

// What php-fpm 8.4 answers to its status path with ?json.
func busy(active int, accepted int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if env := fcgi.ProcessEnv(r); env["SCRIPT_FILENAME"] != "/-/php" || r.URL.RawQuery != "json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = fmt.Fprintf(w, `{"pool":"www","process manager":"static","start time":1795000000,"start since":60,"accepted conn":%d,"listen queue":0,`+
			`"max listen queue":0,"listen queue len":0,"idle processes":%d,"active processes":%d,"total processes":6,"max active processes":6,"max children reached":0,"slow requests":0,"memory peak":2097152}`,
			accepted, 6-active, active)
	}
}

// beside serves OPcache's status and the site's at one socket, as the health pool does.
func beside(opcache, site http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if fcgi.ProcessEnv(r)["SCRIPT_FILENAME"] == "/usr/share/platen/agent/opcache.php" {
			opcache(w, r)
			return
		}
		site(w, r)
	}
}

// room is what agent/opcache.php says of an OPcache that is so full and had so many restarts.
func room(used float64, restarts int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"used":%g,"wasted":0.5,"strings":31,"files":812,"full":%v,"restarts":%d}`, used, used >= 99, restarts)
	}
}

func well(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Platen-Token") != "t0ken" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, `{"ok":true,"checks":{}}`)
}

func unwell(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"ok":false,"checks":{"files":{"ok":false,"ms":1,"error":"cannot write"},"database":{"ok":false,"ms":1000.1,"error":"gone away"},"sessions":{"ok":true,"ms":1}}}`)
}

// line is the one line that was logged.
func line(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatalf("no one line of JSON: %v\n%s", err, out)
	}
	out.Reset()
	return v
}

func TestMinuteSaysHowBusyPHPIsAndWhetherTheSiteWorks(t *testing.T) {
	m, out := newTestMinute(t, busy(3, 100), well)
	queue := []int{0, 9, 2}
	m.queue = func() (int, error) { n := queue[0]; queue = queue[1:]; return n, nil }
	m.sample()
	m.sample()
	m.sample()
	m.tell(t.Context())
	v := line(t, out)
	for key, want := range map[string]any{"level": "info", "stream": "agent", "php_queue": 9.0, "php_children": 6.0, "php_active": 3.0, "php_busy": 50.0, "php_requests": 100.0, "site_healthy": true,
		"php_opcache_used": 40.0, "php_opcache_wasted": 0.5, "php_opcache_strings": 31.0, "php_opcache_files": 812.0, "php_opcache_full": false, "php_opcache_restarts": 0.0} {
		if v[key] != want {
			t.Errorf("%s is %v, want %v", key, v[key], want)
		}
	}
	// The next minute begins at nothing.
	m.status, m.health = serveFastCGI(t, busy(0, 130)), serveFastCGI(t, beside(room(40, 0), unwell))
	m.queue = func() (int, error) { return 0, nil }
	m.sample()
	m.tell(t.Context())
	v = line(t, out)
	for key, want := range map[string]any{"level": "warning", "php_queue": 0.0, "php_requests": 30.0, "site_healthy": false, "error": "database: gone away; files: cannot write"} {
		if v[key] != want {
			t.Errorf("then %s is %v, want %v", key, v[key], want)
		}
	}
}

// A full OPcache makes pages slow and nothing else says so.
func TestMinuteWarnsOfAFullOPcache(t *testing.T) {
	m, out := newTestMinute(t, busy(0, 1), well)
	for _, step := range []struct {
		used     float64
		restarts int
		level    string
		full     bool
		since    float64
	}{{99.5, 0, "warning", true, 0}, {40, 2, "warning", true, 2}, {40, 2, "info", false, 0}} {
		m.health = serveFastCGI(t, beside(room(step.used, step.restarts), well))
		m.tell(t.Context())
		v := line(t, out)
		if v["level"] != step.level || v["php_opcache_full"] != step.full || v["php_opcache_restarts"] != step.since {
			t.Errorf("%+v: %v", step, v)
		}
	}
	m.health = serveFastCGI(t, beside(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, well))
	m.tell(t.Context())
	v := line(t, out)
	if _, there := v["php_opcache_used"]; there || !strings.Contains(fmt.Sprint(v["error"]), "OPcache") {
		t.Errorf("without OPcache: %v", v)
	}
}

// What cannot be asked is no zero and no health.
func TestMinuteLeavesOutWhatItDoesNotKnow(t *testing.T) {
	m, out := newTestMinute(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, well)
	m.queue = func() (int, error) { return 0, errors.New("not told") }
	m.health = filepath.Join(t.TempDir(), "gone.sock")
	m.sample()
	m.tell(t.Context())
	v := line(t, out)
	for _, key := range []string{"php_queue", "php_active", "php_busy", "php_requests"} {
		if _, there := v[key]; there {
			t.Errorf("%s is %v", key, v[key])
		}
	}
	if said, _ := v["error"].(string); v["site_healthy"] != false || !strings.Contains(said, "not told") || !strings.Contains(said, "answered 403") || !strings.Contains(said, "gone.sock") {
		t.Errorf("line %v", v)
	}
	// A task that stops asks in vain; that is no news of the site.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.tell(ctx)
	if out.Len() > 0 {
		t.Errorf("said while stopping: %s", out)
	}
}

func TestMinuteRuns(t *testing.T) {
	m, out := newTestMinute(t, busy(1, 1), well)
	samples, minutes := make(chan time.Time), make(chan time.Time)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { m.run(ctx, samples, minutes); close(ended) }()
	samples <- time.Now()
	minutes <- time.Now()
	samples <- time.Now() // taken only after the line was written
	cancel()
	<-ended
	if v := line(t, out); v["php_active"] != 1.0 {
		t.Errorf("line %v", v)
	}
}

// The queue is the kernel's: connections that nobody has accepted.
func TestWaitingConnectionsAreCounted(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "php.sock")
	if _, err := waiting(socket); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("before anybody listens: %v", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	for want := range 4 {
		if got, err := waiting(socket); err != nil || got != want {
			t.Fatalf("%d wait, the kernel says %d, %v", want, got, err)
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	if _, err := listener.Accept(); err != nil {
		t.Fatal(err)
	}
	if got, err := waiting(socket); err != nil || got != 3 {
		t.Errorf("after one was accepted: %d, %v", got, err)
	}
}

// filter is a metric filter of terraform/services/alarms.tf.
type filter struct{ pattern, value string }

var (
	filterLine = regexp.MustCompile(`(?m)^\s*(\w+)\s*=\s*\{ pattern = "([^"]*)", value = "([^"]*)" \}`)
	condition  = regexp.MustCompile(`^\{ \$\.(\w+) (>=|IS) (\S+) \}$`)
)

// matches evaluates the two kinds of conditions that we use, as CloudWatch does (AWS, "Filter
// pattern syntax for metric filters"): a key that is missing matches nothing.
func (f filter) matches(t *testing.T, v map[string]any) bool {
	t.Helper()
	m := condition.FindStringSubmatch(f.pattern)
	if m == nil {
		t.Fatalf("the pattern %q is of another kind: teach this test", f.pattern)
	}
	got, there := v[m[1]]
	if !there {
		return false
	}
	if m[2] == "IS" {
		return got == (m[3] == "TRUE")
	}
	number, ok := got.(float64)
	limit, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		t.Fatal(err)
	}
	return ok && number >= limit
}

// Alarms and graphs on AWS are made of this line: every filter finds its key in the line that is
// really written, with a number where it wants one, and no alarm or graph wants another metric.
func TestAlarmsFindWhatTheMinuteSays(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("../../terraform/services", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	alarms, dashboard := read("alarms.tf"), read("dashboard.tf")
	filters := map[string]filter{}
	for _, m := range filterLine.FindAllStringSubmatch(alarms, -1) {
		filters[m[1]] = filter{m[2], m[3]}
	}
	if len(filters) < 3 {
		t.Fatalf("found only %v in alarms.tf", filters)
	}

	m, out := newTestMinute(t, busy(6, 100), unwell)
	m.queue = func() (int, error) { return 12, nil }
	m.sample()
	m.tell(t.Context())
	bad := line(t, out)
	m, out = newTestMinute(t, busy(1, 100), well)
	m.sample()
	m.tell(t.Context())
	good := line(t, out)

	for name, f := range filters {
		if !f.matches(t, bad) {
			t.Errorf("%s: %s finds nothing in %v", name, f.pattern, bad)
		}
		if key, ok := strings.CutPrefix(f.value, "$."); ok {
			for _, v := range []map[string]any{good, bad} {
				if _, number := v[key].(float64); !number {
					t.Errorf("%s: its value %s is %v", name, f.value, v[key])
				}
			}
		} else if f.matches(t, good) {
			t.Errorf("%s: %s counts a line of a site that is well: %v", name, f.pattern, good)
		}
	}

	used := regexp.MustCompile(`namespace = local\.own_metrics, metric = "(\w+)"`).FindAllStringSubmatch(alarms, -1)
	if len(used) < 2 {
		t.Errorf("only %v are alarms", used)
	}
	used = append(used, regexp.MustCompile(`\[local\.own_metrics, "(\w+)"`).FindAllStringSubmatch(dashboard, -1)...)
	for _, u := range used {
		if _, there := filters[u[1]]; !there {
			t.Errorf("an alarm or a graph is of %s, which no filter makes", u[1])
		}
	}
	for name := range filters {
		if !strings.Contains(dashboard, `[local.own_metrics, "`+name+`"`) {
			t.Errorf("no graph shows %s", name)
		}
	}
	// The line goes where the filters look: the php container's log group.
	if !strings.Contains(alarms, `log_group_name = aws_cloudwatch_log_group.this["php"].name`) {
		t.Error("the filters look at another group than php's, where the agent writes")
	}
}
