package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"platen/internal/task"
)

// How often the queue before php is looked at: a line a minute says the longest one seen.
const sampleEvery = 5 * time.Second

// siteTimeout is longer than the probe takes when all that it asks stays silent.
const siteTimeout = 12 * time.Second

// minute logs what alarms and graphs are made of: one line a minute with how busy php is and
// whether the site works, seen from this task. terraform/services/alarms.tf makes metrics of its
// php_… and site_… keys.
type minute struct {
	queue  func() (int, error) // connections that wait for a php child now
	status string              // socket of the page pool's status
	health string              // socket of the pool that answers for the site
	token  string              // opens the site's probe; "" = it is not asked
	cache  *pageCache          // nil where there is none
	log    *Log

	before   pageCounts // at the last line
	longest  int        // of the queue, since the last line
	failed   error      // why the queue is not known
	accepted int64      // requests since php's start, at the last line
	restarts int        // of OPcache, likewise
}

func newMinute(secrets Secrets, log *Log) *minute {
	return &minute{
		queue:  func() (int, error) { return waiting(webSocket) },
		status: statusSocket, health: healthSocket, token: secrets[task.SecretSiteToken], log: log,
	}
}

// run samples and logs until the context ends.
func (m *minute) run(ctx context.Context, samples, minutes <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-samples:
			m.sample()
		case <-minutes:
			m.sample()
			m.tell(ctx)
		}
	}
}

func (m *minute) sample() {
	n, err := m.queue()
	m.failed = err
	m.longest = max(m.longest, n)
}

// tell writes the line. What cannot be asked is left out, with the reason: a missing number is no
// zero.
func (m *minute) tell(ctx context.Context) {
	var fields []Field
	var errs []string
	if m.failed == nil {
		fields = append(fields, Field{"php_queue", m.longest})
	} else {
		errs = append(errs, m.failed.Error())
	}
	m.longest = 0
	if php, err := m.php(ctx); err == nil {
		fields = append(fields, Field{"php_children", php.Total}, Field{"php_active", php.Active}, Field{"php_busy", 100 * php.Active / max(1, php.Total)},
			Field{"php_requests", php.Accepted - min(m.accepted, php.Accepted)})
		m.accepted = php.Accepted
	} else {
		errs = append(errs, err.Error())
	}
	if m.cache != nil {
		now := m.cache.counts()
		fields = append(fields, Field{"cache_pages", now.pages}, Field{"cache_bytes", now.bytes},
			Field{"cache_stored", now.stored - m.before.stored}, Field{"cache_dropped", now.dropped - m.before.dropped})
		m.before = now
	}
	full := false
	if cache, err := m.opcache(ctx); err == nil {
		full = cache.Full || cache.Restarts > m.restarts
		fields = append(fields, Field{"php_opcache_used", cache.Used}, Field{"php_opcache_wasted", cache.Wasted}, Field{"php_opcache_strings", cache.Strings},
			Field{"php_opcache_files", cache.Files}, Field{"php_opcache_full", full}, Field{"php_opcache_restarts", cache.Restarts - min(m.restarts, cache.Restarts)})
		m.restarts = cache.Restarts
	} else {
		errs = append(errs, err.Error())
	}
	well := true
	if m.token != "" {
		var why string
		well, why = m.site(ctx)
		fields = append(fields, Field{"site_healthy", well})
		if !well {
			errs = append(errs, why)
		}
	}
	if ctx.Err() != nil {
		return // the task stops: what it saw meanwhile is no news of the site
	}
	if len(errs) > 0 {
		fields = append(fields, Field{"error", strings.Join(errs, "; ")})
	}
	say := m.log.Info
	if !well || full {
		say = m.log.Warn
	}
	say("the last minute", fields...)
}

// pool is what php-fpm says of its page pool.
type pool struct {
	Accepted int64 `json:"accepted conn"`
	Active   int   `json:"active processes"`
	Total    int   `json:"total processes"`
}

func (m *minute) php(ctx context.Context) (pool, error) {
	var p pool
	err := readStatus(ctx, m.status, "php", map[string]string{
		"SCRIPT_FILENAME": task.StatusURL, "SCRIPT_NAME": task.StatusURL, "REQUEST_URI": task.StatusURL + "?json", "QUERY_STRING": "json",
	}, &p)
	return p, err
}

// compiled is what OPcache holds, for all pools of this php-fpm. Used, Wasted and Strings are
// percent of what there is room for.
type compiled struct {
	Used, Wasted, Strings float64
	Files                 int
	Full                  bool // nothing more is taken up: pages of the rest compile it each time
	Restarts              int  // since php's start, for want of room
}

func (m *minute) opcache(ctx context.Context) (compiled, error) {
	var c compiled
	err := readStatus(ctx, m.health, "OPcache", map[string]string{
		"SCRIPT_FILENAME": task.Platen + "/agent/opcache.php", "SCRIPT_NAME": "/-/opcache", "REQUEST_URI": "/-/opcache",
	}, &c)
	return c, err
}

// readStatus asks a pool of php-fpm for a status, which is JSON.
func readStatus(ctx context.Context, socket, of string, params map[string]string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	a, err := fastcgi(ctx, socket, params)
	if err == nil && a.Status != 200 {
		err = fmt.Errorf("answered %d", a.Status)
	}
	if err == nil {
		err = json.Unmarshal(a.Body, into)
	}
	if err != nil {
		return fmt.Errorf("read the status of %s: %w", of, err)
	}
	return nil
}

// site asks the probe of /-/site, past nginx: a full queue there must not look like a lost database.
func (m *minute) site(ctx context.Context) (well bool, why string) {
	ctx, cancel := context.WithTimeout(ctx, siteTimeout)
	defer cancel()
	script := task.Platen + "/agent/site.php"
	a, err := fastcgi(ctx, m.health, map[string]string{
		"SCRIPT_FILENAME": script, "SCRIPT_NAME": task.SiteURL, "REQUEST_URI": task.SiteURL, "HTTP_X_PLATEN_TOKEN": m.token,
	})
	if err != nil {
		return false, "the site's probe: " + err.Error()
	}
	if a.Status == 200 {
		return true, ""
	}
	var said struct {
		Checks map[string]struct {
			OK    bool
			Error string
		}
	}
	var bad []string
	if json.Unmarshal(a.Body, &said) == nil {
		for name, check := range said.Checks {
			if !check.OK {
				bad = append(bad, name+": "+check.Error)
			}
		}
	}
	if len(bad) == 0 {
		return false, fmt.Sprintf("the site's probe answered %d: %s", a.Status, excerpt(append(a.Body, a.Stderr...)))
	}
	slices.Sort(bad)
	return false, strings.Join(bad, "; ")
}
