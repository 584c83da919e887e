package engine

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"platen/internal/report"
	"platen/internal/topology"
)

// patience is how long the edge may take to see tasks that are healthy: its checks run several
// times a second, so what is not there by then does not come.
const patience = 30 * time.Second

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// smoke asks for the front page through the edge, as a visitor does. On a site that was just
// installed the title must be the configured one; later it belongs to the editors, and any page
// that the site itself answers is fine.
func (e *Engine) smoke(ctx context.Context, t topology.Topology, fresh bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := e.frontPage(ctx, t, fresh)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return report.Hint(fmt.Errorf("ask for the front page %s/: %w", t.URL, err), "look at: platen status, platen logs edge web")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (e *Engine) frontPage(ctx context.Context, t topology.Topology, fresh bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL+"/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "platen-smoke")
	// As somebody who has just written something: the page cache answers without php, also when php
	// or the database is gone.
	req.Header.Set("Cookie", "platen_wrote=smoke")
	resp, err := e.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 500 || fresh && resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", resp.Status)
	}
	if !fresh {
		return nil
	}
	found := titleTag.FindSubmatch(page)
	if found == nil {
		return fmt.Errorf("the page has no title")
	}
	if title := html.UnescapeString(string(found[1])); !strings.Contains(letters(title), letters(t.Install.Title)) {
		return fmt.Errorf("its title is %q, want %q", strings.TrimSpace(title), t.Install.Title)
	}
	return nil
}

// letters keeps letters and digits: WordPress makes quotes and dashes typographic.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
