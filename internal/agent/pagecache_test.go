package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What nginx of our image wrote: testdata/page.cache.md says how it came about.
func TestReadAPageThatNginxWrote(t *testing.T) {
	const recorded = "post-1 author-1 term-1 page-78be9a52"
	p, err := readPage("testdata/page.cache")
	if err != nil {
		t.Fatal(err)
	}
	if p.key != "http://localhost:37617/hello-world/" || p.version != 17 || p.brief || p.size != 713 {
		t.Errorf("%+v", p)
	}
	if want := time.UnixMicro(1795623415_797100); !p.rendered.Equal(want) {
		t.Errorf("rendered %v, want %v", p.rendered, want)
	}
	var want []uint64
	for tag := range strings.FieldsSeq(recorded) {
		want = append(want, hashTag(tag))
	}
	if !slices.Equal(p.tags, want) {
		t.Errorf("tags %v, want those of %s", p.tags, recorded)
	}
}

// A file that is cut off or damaged anywhere is an error or a page, and nothing worse.
func FuzzParsePage(f *testing.F) {
	head, err := os.ReadFile("testdata/page.cache")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head)
	f.Add(head[:400])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, head []byte) {
		if p, err := parsePage(head); err == nil && (len(p.tags) == 0 || p.rendered.IsZero()) {
			t.Errorf("taken for a page, without saying what is on it: %+v", p)
		}
	})
}

func TestAPageThatSaysTooLittleIsNone(t *testing.T) {
	for name, headers := range map[string]string{
		"no tags":          "X-Platen-Rendered: 1.0\r\nX-Platen-Version: -",
		"no time":          "X-Platen-Tags: post-1\r\nX-Platen-Version: -",
		"time is none":     "X-Platen-Tags: post-1\r\nX-Platen-Rendered: soon",
		"version is none":  "X-Platen-Tags: post-1\r\nX-Platen-Rendered: 1.0\r\nX-Platen-Version: x",
		"version below 0":  "X-Platen-Tags: post-1\r\nX-Platen-Rendered: 1.0\r\nX-Platen-Version: -5",
		"they are no more": "X-Powered-By: PHP\r\n\r\nX-Platen-Tags: post-1\r\nX-Platen-Rendered: 1.0",
	} {
		if _, err := parsePage(cacheFile(600, headers)); err == nil {
			t.Errorf("%s: taken for a page", name)
		}
	}
}

// php-fpm sends records of at most 8 kB: a header may begin in one and end in the next, with
// something of standard error between.
func TestHeadersOverSeveralRecords(t *testing.T) {
	text := "Content-Type: text/html\r\nX-Platen-Tags: post-1 post-2\r\n\r\nbody"
	for cut := range len(text) {
		var records bytes.Buffer
		record(&records, fcgiStdout, []byte(text[:cut]))
		record(&records, fcgiStderr, []byte("PHP Warning"))
		record(&records, fcgiStdout, []byte(text[cut:]))
		want, _, _ := strings.Cut(text, "\r\n\r\n")
		if got := cgiHeaders(records.Bytes()); got != want {
			t.Fatalf("cut at %d: %q", cut, got)
		}
	}
}

// cacheFile is a file as nginx writes it, whose php sent these headers.
func cacheFile(seconds int64, headers string) []byte {
	head := make([]byte, cacheHeaderBytes)
	var php bytes.Buffer
	record(&php, fcgiStdout, []byte(headers+"\r\n\r\n"))
	key := "\nKEY: http://localhost/x\n"
	now := time.Now().Unix()
	binary.NativeEndian.PutUint64(head, cacheVersion)
	binary.NativeEndian.PutUint64(head[atValidUntil:], uint64(now+seconds))
	binary.NativeEndian.PutUint64(head[atDate:], uint64(now))
	binary.NativeEndian.PutUint16(head[atHeaderStart:], uint16(len(head)+len(key)))
	binary.NativeEndian.PutUint16(head[atBodyStart:], uint16(len(head)+len(key)+php.Len()))
	return slices.Concat(head, []byte(key), php.Bytes(), []byte("<html>"))
}

// pages is a cache in a folder, and php that fills it.
type pages struct {
	*pageCache
	t   *testing.T
	log bytes.Buffer
}

func newPages(t *testing.T, limit int64) *pages {
	t.Helper()
	p := &pages{t: t}
	p.pageCache = newPageCache(t.TempDir(), limit, NewLog(&p.log))
	p.reset(0)
	return p
}

func pageName(n int) string { return fmt.Sprintf("%032x", n) }

// put is what nginx does: a page appears under its name. version -1: made from no reader.
func (p *pages) put(n int, rendered time.Time, version int, tags string) {
	p.t.Helper()
	p.write(n, 600, rendered, version, tags)
	p.arrived(pageName(n))
}

func (p *pages) write(n int, seconds int64, rendered time.Time, version int, tags string) {
	p.t.Helper()
	v := "-"
	if version >= 0 {
		v = fmt.Sprint(version)
	}
	content := cacheFile(seconds, fmt.Sprintf("X-Platen-Tags: %s\r\nX-Platen-Rendered: %.4f\r\nX-Platen-Version: %s", tags, float64(rendered.UnixMicro())/1e6, v))
	if err := os.WriteFile(filepath.Join(p.folder, pageName(n)), content, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// has says which pages are there, and fails when the index says something else than the folder.
func (p *pages) has() []int {
	p.t.Helper()
	found, err := os.ReadDir(p.folder)
	if err != nil {
		p.t.Fatal(err)
	}
	var numbers []int
	for _, f := range found {
		var n int
		if _, err := fmt.Sscanf(f.Name(), "%x", &n); err != nil {
			p.t.Fatal(err)
		}
		numbers = append(numbers, n)
		if p.files[f.Name()] == nil {
			p.t.Errorf("page %d is not in the index", n)
		}
	}
	if c := p.counts(); c.pages != len(found) || p.pages.Len()+p.brief.Len() != len(found) {
		p.t.Errorf("the index has %d pages, its order %d: the folder has %d", c.pages, p.pages.Len()+p.brief.Len(), len(found))
	}
	return numbers
}

func (p *pages) want(what string, numbers ...int) {
	p.t.Helper()
	if got := p.has(); !slices.Equal(got, numbers) {
		p.t.Errorf("%s: pages %v, want %v", what, got, numbers)
	}
}

// The clock is the bubble's: time passes where a test sleeps.
func TestAChangeDropsWhatShowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t, 1<<20)
		time.Sleep(time.Second)
		p.put(1, time.Now(), -1, "post-1 list-post")
		p.put(2, time.Now(), -1, "post-2")
		p.put(3, time.Now(), -1, "many page-3")
		p.put(4, time.Now(), -1, "post-11")
		p.want("at first", 1, 2, 3, 4)
		p.changed(1, []string{"list-post", "post-9"})
		p.want("a list changed, and who shows much", 2, 4)
		p.changed(2, []string{"all"})
		p.want("all changed")
		if c := p.counts(); c.stored != 4 || c.dropped != 4 || c.bytes != 0 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestAPageBegunBeforeAChangeIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t, 1<<20)
		time.Sleep(time.Second)
		before := time.Now()
		time.Sleep(time.Second)
		p.changed(1, []string{"post-1"})
		p.put(1, before, -1, "post-1")
		p.put(2, before, -1, "post-2")
		p.want("begun before", 2)
		p.put(3, time.Now(), -1, "post-1")
		p.put(2, before, -1, "post-1")
		p.want("begun afterwards; and one that comes again, with something else on it", 3)

		time.Sleep(changesKept + time.Second)
		p.changed(2, []string{"post-5"}) // forgets the first
		p.put(4, before, -1, "post-2")
		p.want("so old that nothing is known of it any more", 3)
	})
}

func TestAPageFromALaggingReaderIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t, 1<<20)
		for id := range int64(5) {
			p.changed(id+1, []string{fmt.Sprintf("post-%d", id+1)})
		}
		time.Sleep(time.Second)
		p.put(1, time.Now(), 4, "post-5")
		p.put(2, time.Now(), 4, "post-4 post-6")
		p.put(3, time.Now(), 5, "post-5")
		p.put(4, time.Now(), 0, "post-6")
		p.want("without the change of what they show", 2, 3, 4)
		p.put(5, time.Now(), 6, "post-5") // the reader has more than this task has heard of
		p.want("with changes that this task does not know yet", 2, 3, 4, 5)
		p.changed(6, []string{"post-5"})
		p.want("which it then hears of: it cannot know whether the page has them", 2, 4)
	})
}

func TestAResetTrustsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t, 1<<20)
		time.Sleep(time.Second)
		before := time.Now()
		p.put(1, before, -1, "post-1")
		time.Sleep(time.Second)
		p.reset(40)
		p.want("after the reset")
		p.put(2, before, -1, "post-2")
		p.put(3, time.Now(), 39, "post-3")
		p.put(4, time.Now(), 40, "post-4")
		p.put(5, time.Now(), -1, "post-5")
		p.want("begun before it, or read without what came before it", 4, 5)
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		size := int64(len(cacheFile(1, "X-Platen-Tags: post-1\r\nX-Platen-Rendered: 946684801.0000\r\nX-Platen-Version: -")))
		p := newPages(t, 3*size)
		time.Sleep(time.Second)
		p.put(1, time.Now(), -1, "post-1")
		p.put(2, time.Now(), -1, "post-2")
		p.write(3, 10, time.Now(), -1, "post-3")
		p.arrived(pageName(3))
		p.put(4, time.Now(), -1, "post-4")
		p.want("a missing address goes first", 1, 2, 4)
		p.put(1, time.Now(), -1, "post-5")
		p.put(5, time.Now(), -1, "post-6")
		p.want("then the oldest", 1, 4, 5)
	})

	p := newPages(t, 1<<40)
	for n := range maxChanges + 10 {
		p.changed(int64(n+1), []string{"post-1"})
	}
	if len(p.changes) != maxChanges || p.floorID != 10 {
		t.Errorf("%d changes are remembered above %d", len(p.changes), p.floorID)
	}
	p.put(1, time.Now().Add(time.Second), 9, "post-2")
	p.want("what is older than memory is not believed")
}

func TestAFileThatCannotBeReadIsDropped(t *testing.T) {
	p := newPages(t, 1<<20)
	if err := os.WriteFile(filepath.Join(p.folder, pageName(1)), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.arrived(pageName(1))
	p.arrived(pageName(2)) // gone before it was looked at
	p.want("afterwards")
	if said := p.pageCache.log; said == nil || strings.Count(p.log.String(), "cannot be read") != 1 {
		t.Errorf("the log says %s", p.log.String())
	}
}
