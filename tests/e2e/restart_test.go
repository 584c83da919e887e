package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"platen/tests/e2e/site"
)

// A reboot, or an upgrade of Docker: the engine starts the containers in whatever order, and the
// site is back without anybody's command.
func TestTheSiteOutlivesItsEngine(t *testing.T) {
	// The same packages as the shared site's, which are here already.
	lock, err := os.ReadFile(filepath.Join(sharedSite(t).Dir, "platen.lock"))
	if err != nil {
		t.Fatal(err)
	}
	engine := site.NewDaemon(t)
	s := site.New(t)
	engine.Carry(t, s)
	s.Configure(t, sharedConfig...)
	s.Write(t, "platen.lock", string(lock))
	s.Up(t)
	v := s.Visitor(t)
	v.Get(t, http.StatusOK, "/")
	for n := range 3 {
		engine.Restart(t)
		site.Eventually(t, 2*time.Minute, fmt.Sprintf("the front page is back after restart %d of the engine", n+1), func() error {
			page, err := v.Try(http.MethodGet, fmt.Sprintf("/?restart=%d", n), "", nil)
			if err == nil && page.Status != http.StatusOK {
				err = fmt.Errorf("it answers %d", page.Status)
			}
			return err
		})
	}
	site.Eventually(t, time.Minute, "every part of the site is well", func() error {
		if status := s.Status(t); !status.Healthy {
			return fmt.Errorf("%+v", status.Tiers)
		}
		return nil
	})
	if done := s.Up(t).Done(); done.Changed == nil || *done.Changed {
		t.Errorf("up had something to repair: %+v", done)
	}
}
