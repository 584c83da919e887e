//go:build prove

package prove

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"platen/tests/e2e/site"
	"platen/tests/prove/performance"
	"platen/tests/prove/stock"
)

// dynamic is an address that no cache of pages answers: its parameter is nobody's.
const dynamic = "/?prove=1"

// TestWordPress measures a site of Platen's beside WordPress as Debian's packages configure it: the
// same images, theme and content, in turns. CPU is what the containers' cgroups counted: the time on
// a wall depends on what else the machine does.
func TestWordPress(t *testing.T) {
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	s.Up(t)
	fill(t, s)
	debian := stock.Start(t, s)

	var figures []Figure
	figures = append(figures, frontPage(t, s, debian)...)
	figures = append(figures, dashboard(t, s, debian), cachedPage(t, s))
	figures = append(figures, queries(t, s)...)
	figures = append(figures, deadCache(t, s)...)

	s.Configure(t, "web: {tasks: 2}")
	s.Up(t)
	figures = append(figures, stampede(t, s), fresh(t, s))
	for i := range figures {
		figures[i].Name = performance.WordPress + figures[i].Name
		t.Logf("%+v", figures[i])
	}
	if err := performance.Write(root, figures); err != nil {
		t.Fatal(err)
	}
}

// fill gives the site the content that the stock site has too.
func fill(t *testing.T, s *site.Site) {
	t.Helper()
	result, err := s.ExecInput(stock.Content, "exec", "--", "php")
	if err != nil || result.Exit != 0 || !strings.Contains(result.Stdout, "ready 30\n") {
		t.Fatalf("fill the site: exit %d, %v\n%s\n%s", result.Exit, err, result.Stdout, result.Stderr)
	}
}

// visitor sends one request after the other over one connection.
type visitor struct {
	client    *http.Client
	url, host string
	header    http.Header
}

func newVisitor(t *testing.T, s *site.Site, address string, header http.Header) *visitor {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{
		client: &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		url:    "http://" + address, host: strings.TrimPrefix(s.URL(), "http://"), header: header,
	}
}

func (v *visitor) get(path string) (site.Page, error) {
	request, err := http.NewRequest(http.MethodGet, v.url+path, nil)
	if err != nil {
		return site.Page{}, err
	}
	request.Host = v.host
	for name, values := range v.header {
		request.Header[name] = values
	}
	response, err := v.client.Do(request)
	if err != nil {
		return site.Page{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return site.Page{Status: response.StatusCode, Header: response.Header, Body: string(body)}, err
}

func (v *visitor) must(t *testing.T, path string) site.Page {
	t.Helper()
	page, err := v.get(path)
	if err != nil || page.Status != http.StatusOK {
		t.Fatalf("GET %s: %d, %v\n%s", path, page.Status, err, site.Excerpt(page.Body))
	}
	return page
}

// cpu is what the containers have used so far, in milliseconds, together.
func cpu(t *testing.T, ids ...string) float64 {
	t.Helper()
	var total float64
	for _, id := range ids {
		answer, err := site.Engine(t).ContainerStats(context.Background(), id, client.ContainerStatsOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var stats container.StatsResponse
		err = json.NewDecoder(answer.Body).Decode(&stats)
		answer.Body.Close()
		if err != nil || stats.CPUStats.CPUUsage.TotalUsage == 0 {
			t.Fatalf("the CPU of container %s: %v, %+v", id, err, stats.CPUStats)
		}
		total += float64(stats.CPUStats.CPUUsage.TotalUsage) / 1e6
	}
	return total
}

// side is one of two that are compared: whom to ask, and what to count, apart from what else there is.
type side struct {
	visitor     *visitor
	counted     []string // containers
	more        []string // containers that stock WordPress does not have
	cost, extra []float64
}

const (
	rounds = 7  // blocks of each side
	block  = 20 // requests a block
	warm   = 200
)

// compare asks both sides in turns. It returns the ratio of their CPU a request, ours over stock's,
// and the same with what only Platen has.
func compare(t *testing.T, name, path string, goal float64, ours, other *side) (figure, all Figure) {
	t.Helper()
	for range warm { // JIT and caches
		ours.visitor.must(t, path)
		other.visitor.must(t, path)
	}
	var ratios, withMore []float64
	for round := range rounds {
		both := []*side{ours, other}
		if round%2 == 1 {
			slices.Reverse(both)
		}
		for _, one := range both {
			cost, extra := cpu(t, one.counted...), cpu(t, one.more...)
			for range block {
				one.visitor.must(t, path)
			}
			one.cost = append(one.cost, (cpu(t, one.counted...)-cost)/block)
			one.extra = append(one.extra, (cpu(t, one.more...)-extra)/block)
		}
		ratios = append(ratios, ours.cost[round]/other.cost[round])
		withMore = append(withMore, (ours.cost[round]+ours.extra[round])/other.cost[round])
	}
	beside := func(name string, goal float64, values, ratios []float64) Figure {
		figure := performance.Median(name, "ms", goal, values...)
		figure.Against = performance.Median("", "", 0, other.cost...).Value
		ratio := performance.Median("", "", 0, ratios...)
		figure.Ratio, figure.Low, figure.High = ratio.Value, ratio.Low, ratio.High
		return figure
	}
	sums := make([]float64, rounds)
	for i := range sums {
		sums[i] = ours.cost[i] + ours.extra[i]
	}
	return beside(name, goal, ours.cost, ratios), beside(name+" + HAProxy", 0, sums, withMore)
}

// sides are the first task of Platen's site and the stock site, each with a visitor's headers.
func sides(t *testing.T, s *site.Site, debian *stock.Site, header, stockHeader http.Header) (ours, other *side) {
	t.Helper()
	id := func(name string) string { return s.Container(t, name).ID }
	return &side{
		visitor: newVisitor(t, s, s.Tasks(t)[0].Address, header),
		counted: []string{id("web-1-php"), id("db-1"), id("objects-1")}, more: []string{id("endpoints")},
	}, &side{visitor: newVisitor(t, s, debian.Address, stockHeader), counted: []string{debian.PHP, debian.DB}}
}

func frontPage(t *testing.T, s *site.Site, debian *stock.Site) []Figure {
	t.Helper()
	ours, other := sides(t, s, debian, nil, nil)
	mine, theirs := ours.visitor.must(t, dynamic).Body, other.visitor.must(t, dynamic).Body
	if mine != theirs {
		t.Errorf("the front pages differ: %d and %d bytes", len(mine), len(theirs))
	}
	figure, all := compare(t, "dynamic front page, CPU of php + database + cache", dynamic, 0.65, ours, other)
	return []Figure{figure, all}
}

func dashboard(t *testing.T, s *site.Site, debian *stock.Site) Figure {
	t.Helper()
	c := s.Credentials(t)
	ours, other := sides(t, s, debian,
		session(t, newVisitor(t, s, s.Tasks(t)[0].Address, nil), c.User, c.Password),
		session(t, newVisitor(t, s, debian.Address, nil), "editor", stock.Password))
	for _, one := range []*side{ours, other} {
		if page := one.visitor.must(t, "/wp-admin/"); !strings.Contains(page.Body, "dashboard-widgets") {
			t.Fatalf("no dashboard:\n%s", site.Excerpt(page.Body))
		}
	}
	figure, _ := compare(t, "wp-admin's dashboard, CPU of php + database + cache", "/wp-admin/", 0.75, ours, other)
	return figure
}

// session logs in and returns the cookies as a header.
func session(t *testing.T, v *visitor, user, password string) http.Header {
	t.Helper()
	form := "log=" + user + "&pwd=" + password + "&wp-submit=Log+In&testcookie=1"
	request, err := http.NewRequest(http.MethodPost, v.url+"/wp-login.php", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = v.host
	request.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Cookie": {"wordpress_test_cookie=WP%20Cookie%20check"}}
	response, err := v.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var cookies []string
	for _, c := range response.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	if response.StatusCode != http.StatusFound || !strings.Contains(strings.Join(cookies, ";"), "wordpress_logged_in_") {
		t.Fatalf("log in as %s: %s, cookies %v", user, response.Status, cookies)
	}
	return http.Header{"Cookie": {strings.Join(cookies, "; ")}}
}

// mustHit returns the front page of the page cache.
func mustHit(t *testing.T, v *visitor) string {
	t.Helper()
	var body string
	site.Eventually(t, time.Minute, "the page cache answers", func() error {
		page := v.must(t, "/")
		if got := page.Header.Get("X-Platen-Cache"); got != "HIT" {
			return fmt.Errorf("X-Platen-Cache: %q", got)
		}
		body = page.Body
		return nil
	})
	return body
}

// cachedPage compares pages a second of the page cache with a static file of the same size.
func cachedPage(t *testing.T, s *site.Site) Figure {
	t.Helper()
	address := s.Tasks(t)[0].Address
	page := mustHit(t, newVisitor(t, s, address, nil))
	result, err := s.ExecInput(fmt.Sprintf("<?php $d = '/usr/share/wordpress/wp-content/uploads'; @mkdir($d, 0755, true); file_put_contents($d . '/prove.txt', random_bytes(%d));", len(page)), "exec", "--", "php")
	if err != nil || result.Exit != 0 {
		t.Fatalf("make the static file: %v\n%s", err, result.Stderr)
	}
	second := func(path, cache string) float64 {
		const clients = 4
		var done atomic.Int64
		begin := time.Now()
		end := begin.Add(3 * time.Second)
		var wg sync.WaitGroup
		for range clients {
			v := newVisitor(t, s, address, nil)
			wg.Go(func() {
				for time.Now().Before(end) {
					got, err := v.get(path)
					if err != nil || got.Status != http.StatusOK || len(got.Body) != len(page) ||
						cache != "" && got.Header.Get("X-Platen-Cache") != cache {
						t.Errorf("GET %s: %d, %v, %v, %d bytes, want %d", path, got.Status, err, got.Header, len(got.Body), len(page))
						return
					}
					done.Add(1)
				}
			})
		}
		wg.Wait()
		return float64(done.Load()) / time.Since(begin).Seconds()
	}
	var cached, static, ratios []float64
	for range 5 {
		cached = append(cached, second("/", "HIT"))
		static = append(static, second("/wp-content/uploads/prove.txt", ""))
		ratios = append(ratios, cached[len(cached)-1]/static[len(static)-1])
	}
	figure := performance.Median("a cached page beside a static file of its size", "req/s", 0.90, cached...)
	figure.AtLeast, figure.Against = true, performance.Median("", "", 0, static...).Value
	ratio := performance.Median("", "", 0, ratios...)
	figure.Ratio, figure.Low, figure.High = ratio.Value, ratio.Low, ratio.High
	return figure
}

var counted = regexp.MustCompile(`reader=(\d+) writer=(\d+)`)

// queries asks the database drop-in what a visitor's page took. nginx lets nobody's token through to
// pages, so the plugin says who may know it.
func queries(t *testing.T, s *site.Site) []Figure {
	t.Helper()
	wordpress(t, s, "@mkdir(WP_PLUGIN_DIR . '/counter'); file_put_contents(WP_PLUGIN_DIR . '/counter/counter.php', <<<'CODE'\n"+renderCounter+
		"\nCODE\n); update_option('active_plugins', ['counter/counter.php']); Platen\\ContentVersion::announce(WP_CONTENT_DIR);")
	v := newVisitor(t, s, s.Tasks(t)[0].Address, nil)
	const page = "/?count=1"
	site.Eventually(t, time.Minute, "the plugin counts", func() error {
		if got := v.must(t, page).Header.Get("X-Platen-Db"); !counted.MatchString(got) {
			return fmt.Errorf("X-Platen-DB: %q", got)
		}
		return nil
	})
	var readers, writers []float64
	for i := range 10 {
		found := counted.FindStringSubmatch(v.must(t, page).Header.Get("X-Platen-Db"))
		if found == nil {
			t.Fatal("no count of queries any more")
		}
		if i < 3 {
			continue // fills the object cache
		}
		reader, _ := strconv.ParseFloat(found[1], 64)
		writer, _ := strconv.ParseFloat(found[2], 64)
		readers, writers = append(readers, reader), append(writers, writer)
	}
	few := performance.Median("queries to readers for a front page, object cache warm", "", 5, readers...)
	none := performance.Median("queries to the writer for it", "", 0, writers...)
	none.Exact = true
	return []Figure{few, none}
}

// wordpress runs a script beside the site.
func wordpress(t *testing.T, s *site.Site, script string) string {
	t.Helper()
	result, err := s.ExecInput("<?php define('DISABLE_WP_CRON', true); require '/usr/share/wordpress/wp-load.php';\n"+script, "exec", "--", "php")
	if err != nil || result.Exit != 0 {
		t.Fatalf("exit %d, %v\n%s", result.Exit, err, result.Stderr)
	}
	return result.Stdout
}

// deadCache stops the object cache in the middle of all and measures what visitors notice.
func deadCache(t *testing.T, s *site.Site) []Figure {
	t.Helper()
	v := newVisitor(t, s, s.Tasks(t)[0].Address, nil)
	took := func() float64 {
		begin := time.Now()
		v.must(t, dynamic)
		return float64(time.Since(begin).Microseconds()) / 1000
	}
	id := s.Container(t, "objects-1").ID
	docker := func(verb string) {
		t.Helper()
		if out, err := exec.Command("docker", verb, id).CombinedOutput(); err != nil {
			t.Fatalf("docker %s: %v\n%s", verb, err, out)
		}
	}
	var first, next, without []float64
	for range 3 {
		var before []float64
		for range 10 {
			before = append(before, took())
		}
		docker("pause")
		first = append(first, took()-performance.Median("", "", 0, before...).Value)
		// WordPress without its object cache asks the database: what this page takes is no time-out.
		var after []float64
		for range 20 {
			after = append(after, took())
		}
		docker("unpause")
		next = append(next, slices.Max(after))
		without = append(without, performance.Median("", "", 0, after...).Value)
		site.Eventually(t, time.Minute, "the object cache is used again", func() error {
			if ms := took(); ms > 2*performance.Median("", "", 0, before...).Value {
				return fmt.Errorf("%.0f ms a page", ms)
			}
			return nil
		})
	}
	figure := performance.Median("the slowest page after it, beside the median of those", "ms", 0, next...)
	figure.Against = performance.Median("", "", 0, without...).Value
	figure.Ratio = figure.Value / figure.Against
	return []Figure{performance.Median("object cache dead: what the first page takes longer", "ms", 100, first...), figure}
}

// renderCounter is a plugin that notes each rendering of the front page, by task, and opens the
// count of queries.
const renderCounter = `<?php
/* Plugin Name: Counter */
if ( isset( $_GET['count'] ) ) {
	$_SERVER['HTTP_X_PLATEN_TOKEN'] = Platen\Config::values()['site_token'];
}
add_action( 'template_redirect', static function () {
	if ( is_front_page() && empty( $_GET ) ) {
		file_put_contents( WP_CONTENT_DIR . '/uploads/renders', gethostname() . "\n", FILE_APPEND | LOCK_EX );
	}
} );
`

// stampede sends a thousand visitors to each task at the moment when the front page is purged.
func stampede(t *testing.T, s *site.Site) Figure {
	t.Helper()
	tasks := s.Tasks(t)
	var values []float64
	for range 3 {
		for _, task := range tasks {
			mustHit(t, newVisitor(t, s, task.Address, nil))
		}
		wordpress(t, s, "@unlink(WP_CONTENT_DIR . '/uploads/renders');")
		editor := s.Visitor(t)
		editor.Login(t, s.Credentials(t))
		editor.REST(t, http.StatusCreated, http.MethodPost, "/wp/v2/posts", map[string]string{"title": "Stampede", "content": "Now.", "status": "publish"}, nil)
		var wg sync.WaitGroup
		for i := range 1000 * len(tasks) {
			v := newVisitor(t, s, tasks[i%len(tasks)].Address, nil)
			wg.Go(func() {
				if page, err := v.get("/"); err != nil || page.Status != http.StatusOK {
					t.Errorf("a visitor of %d: %d, %v", 1000*len(tasks), page.Status, err)
				}
				v.client.CloseIdleConnections()
			})
		}
		wg.Wait()
		renders := map[string]int{}
		for line := range strings.Lines(wordpress(t, s, "echo file_get_contents(WP_CONTENT_DIR . '/uploads/renders');")) {
			renders[line]++
		}
		most := 0
		for _, n := range renders {
			most = max(most, n)
		}
		if most == 0 {
			t.Fatal("nobody rendered the front page: nothing was purged, or the counter does not count")
		}
		values = append(values, float64(most))
	}
	return performance.Median("renders a task, 1,000 visitors when the front page expires", "", 1, values...)
}

// fresh publishes under continuous traffic and measures until no task shows the page before.
func fresh(t *testing.T, s *site.Site) Figure {
	t.Helper()
	tasks := s.Tasks(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var look func(page string, sent time.Time, task string) // at every page that visitors get
	for _, task := range tasks {
		v := newVisitor(t, s, task.Address, nil)
		ask := func() {
			sent := time.Now()
			page, err := v.get("/")
			if err != nil {
				t.Errorf("%s: %v", task.Name, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if look != nil {
				look(page.Body, sent, task.Name)
			}
		}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
					ask()
				}
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	editor := s.Visitor(t)
	editor.Login(t, s.Credentials(t))
	var values []float64
	for i := range 11 {
		title := fmt.Sprintf("Fresh from the press %d-%d", i, time.Now().UnixNano())
		shown := map[string]time.Time{}
		var stale time.Time // when the last page without the title was asked for
		mu.Lock()
		look = func(page string, sent time.Time, task string) {
			if !strings.Contains(page, title) {
				stale = sent
			} else if shown[task].IsZero() {
				shown[task] = time.Now()
			}
		}
		mu.Unlock()
		editor.REST(t, http.StatusCreated, http.MethodPost, "/wp/v2/posts", map[string]string{"title": title, "content": "Now.", "status": "publish"}, nil)
		published := time.Now()
		site.Eventually(t, time.Minute, "every task shows the post", func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(shown) < len(tasks) {
				return fmt.Errorf("shown by %v", shown)
			}
			return nil
		})
		time.Sleep(2 * time.Second) // no task may fall back: the lag's bound and a second
		mu.Lock()
		last := published
		for _, at := range shown {
			if at.After(last) {
				last = at
			}
		}
		if stale.After(last) {
			last = stale
		}
		values = append(values, float64(last.Sub(published).Microseconds())/1000)
		mu.Unlock()
	}
	return performance.Median("publish until every task is fresh, under traffic", "ms", 250, values...)
}
