package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// changesAnswer is a php that gives these answers, one after the other, to these questions.
func changesAnswer(t *testing.T, dialogue ...[2]string) (socket string) {
	t.Helper()
	turn := 0
	return serveFastCGI(t, func(w http.ResponseWriter, r *http.Request) {
		if script := fcgi.ProcessEnv(r)["SCRIPT_FILENAME"]; script != changesScript || turn >= len(dialogue) || r.URL.RawQuery != dialogue[turn][0] {
			t.Errorf("question %d: %s of %s", turn, r.URL.RawQuery, script)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		answer := dialogue[turn][1]
		turn++
		if strings.Contains(answer, `"error"`) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, answer)
	})
}

func TestFollowTheSitesChanges(t *testing.T) {
	p := newPages(t, 1<<20)
	f := &follower{cache: p.pageCache, log: p.pageCache.log, since: -1, socket: changesAnswer(
		t,
		[2]string{"", `{"from":"writer","reset":true,"last":5,"changes":[]}`},
		[2]string{"since=5", `{"from":"writer","reset":false,"last":5,"changes":[]}`},
		[2]string{"since=5", `{"from":"writer","reset":false,"last":7,"changes":[{"id":6,"tags":"post-1 list-post"},{"id":7,"tags":"post-2"}]}`},
		[2]string{"since=7", `{"error":"read the log of changes: gone away"}`},
		[2]string{"since=7", `<b>not JSON`},
		[2]string{"since=7", `{"from":"reader","reset":false,"last":8,"changes":[{"id":8,"tags":"post-3"}]}`},
		[2]string{"since=8", `{"from":"writer","reset":true,"last":2,"changes":[]}`},
	)}
	ask := func(wrong string) {
		t.Helper()
		err := f.ask(t.Context())
		if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Fatalf("error %v, want %q", err, wrong)
		}
	}
	now := func() time.Time { return time.Now().Add(time.Second) } // later than what it has heard of
	p.put(1, now(), -1, "post-9")
	ask("")
	p.want("nothing from before the first contact is trusted")
	for n, tags := range []string{"post-1", "post-2", "post-3", "post-4"} {
		p.put(n+1, now(), -1, tags)
	}
	ask("")
	p.want("no news", 1, 2, 3, 4)
	ask("")
	p.want("two changes", 3, 4)
	ask("gone away")
	ask("answered 200")
	p.want("while no database is reached", 3, 4)
	ask("")
	p.want("what was missed meanwhile", 4)
	ask("")
	p.want("another log")
	if f.since != 2 || !strings.Contains(p.log.String(), "does not follow") {
		t.Errorf("goes on at %d, and says %s", f.since, p.log.String())
	}
}

// A task without a database logs that once, not each time it asks, and again when it is back.
func TestAnOutageIsToldOnce(t *testing.T) {
	var dialogue [][2]string
	for range 20 {
		dialogue = append(dialogue, [2]string{"since=1", `{"error":"gone away"}`})
	}
	dialogue = append(dialogue, [2]string{"since=1", `{"reset":false,"last":2,"changes":[{"id":2,"tags":"x"}]}`})
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{cache: newPageCache(t.TempDir(), 1, NewLog(&out)), log: NewLog(&out), since: 1, socket: changesAnswer(t, dialogue...)}
	f.pause = func(context.Context, int) {}
	// The dialogue's end is the test's.
	f.socket = endAfter(t, f.socket, len(dialogue), cancel)
	f.run(ctx)
	if got := strings.Count(out.String(), "cannot be read"); got != 1 {
		t.Errorf("%d complaints:\n%s", got, out.String())
	}
	if f.since != 2 {
		t.Errorf("goes on at %d", f.since)
	}
}

// endAfter passes n questions on to another php, and ends the asking with the next.
func endAfter(t *testing.T, socket string, n int, end func()) string {
	t.Helper()
	asked := 0
	return serveFastCGI(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked > n {
			end()
			return
		}
		a, err := fastcgi(r.Context(), socket, map[string]string{
			"SCRIPT_FILENAME": changesScript, "REQUEST_URI": r.URL.String(), "QUERY_STRING": r.URL.RawQuery,
		})
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
	})
}

// With the real kernel: what nginx moves into the folder is judged, what lay there before is gone.
func TestTheFolderIsWatched(t *testing.T) {
	var out bytes.Buffer
	folder := filepath.Join(t.TempDir(), "cache")
	if err := os.MkdirAll(filepath.Join(folder, "of", "another", "life"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := &pages{t: t, pageCache: newPageCache(folder, 1<<20, NewLog(&out))}
	nobody := filepath.Join(t.TempDir(), "no.sock")
	if err := keepPages(t.Context(), p.pageCache, nobody, NewLog(&out)); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Fatalf("%v is still there, %v", left, err)
	}
	p.reset(0)
	time.Sleep(2 * time.Millisecond) // php tells its time by tenths of a millisecond
	move := func(n int, rendered time.Time) {
		t.Helper()
		// As nginx does: beside, under a name with a number, then in one step.
		p.write(n, 600, rendered, -1, "post-1")
		to := filepath.Join(folder, pageName(n))
		if err := errors.Join(os.Rename(to, to+".0000000001"), os.Rename(to+".0000000001", to)); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, pages int, stored, dropped int64) {
		t.Helper()
		var c pageCounts
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if c = p.counts(); c.pages == pages && c.stored == stored && c.dropped == dropped {
				return
			}
		}
		t.Fatalf("%s: %+v\n%s", what, c, out.String())
	}
	move(1, time.Now())
	move(2, time.Now())
	until("two arrived", 2, 2, 0)
	if err := os.Remove(filepath.Join(folder, pageName(2))); err != nil {
		t.Fatal(err)
	}
	until("nginx deleted one", 1, 2, 0)
	before := time.Now()
	p.changed(1, []string{"post-1"})
	until("a change", 0, 2, 1)
	move(3, before.Add(-time.Second))
	until("one that was begun before", 0, 2, 2)
	move(4, time.Now())
	until("one that was begun afterwards", 1, 3, 2)
	if got := fmt.Sprint(p.has()); got != "[4]" {
		t.Errorf("pages %s", got)
	}
	// Events that were lost.
	p.gone(pageName(4))
	if err := p.rescan(); err != nil {
		t.Fatal(err)
	}
	until("looked at all of it", 1, 4, 2)
}
