// Package e2e drives the platen binary against a real Docker Engine and looks at the site that
// comes out: over HTTP, in the engine, in a browser. `make test-e2e` runs it.
package e2e

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"platen/tests/e2e/site"
)

func TestMain(m *testing.M) {
	os.Exit(testAll(m))
}

func testAll(m *testing.M) int {
	if _, err := site.Binary(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	closeShared()
	if err := site.Sweep(); err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
		code = 1
	}
	return code
}

// The site that most tests share: starting one takes longer than looking at it. A test that
// changes its size or its release puts it back.
var shared struct {
	once sync.Once
	site *site.Site
	err  error
	up   site.Events
}

const sharedTitle = "Ink & Paper"

func sharedSite(t *testing.T) *site.Site {
	t.Helper()
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "platen-e2e-")
		if err != nil {
			shared.err = err
			return
		}
		shared.site = site.Open(dir)
		if shared.err = shared.site.WriteConfig(sharedConfig...); shared.err != nil {
			return
		}
		shared.up, shared.err = shared.site.TryUp()
	})
	if shared.err != nil {
		t.Fatalf("the shared site did not come up: %v", shared.err)
	}
	return shared.site
}

var sharedConfig = []string{
	"title: " + sharedTitle,
	"admin: {user: editor, email: editor@example.com}",
	"web: {tasks: 2, php: {upload: 64M}}",
}

func closeShared() {
	if shared.site == nil {
		return
	}
	if err := shared.site.Destroy(); err != nil {
		fmt.Fprintln(os.Stderr, "take the shared site down:", err)
	}
	if err := os.RemoveAll(shared.site.Dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
