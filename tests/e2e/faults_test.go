package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

// A reader never meets a dead process: the edge asks the other task, and the engine starts the
// dead one again.
func TestKilledProcessesComeBackWhileTheSiteServes(t *testing.T) {
	for _, c := range []struct {
		name  string
		child bool                                // the container's first process lives on, or ends with its child: both are well
		kill  func(*testing.T, *site.Site) string // returns the service that was hit
	}{
		{"php-fpm", true, func(t *testing.T, s *site.Site) string {
			site.Kill(t, site.Child(t, s.Container(t, "web-1-php").PID, "php-fpm"))
			return "web-1-php"
		}},
		{"the php container", false, func(t *testing.T, s *site.Site) string {
			site.Kill(t, s.Container(t, "web-1-php").PID)
			return "web-1-php"
		}},
		{"nginx", false, func(t *testing.T, s *site.Site) string {
			site.Kill(t, s.Container(t, "web-2-nginx").PID)
			return "web-2-nginx"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sharedSite(t)
			before := map[string]site.Container{}
			for _, one := range s.Containers(t) {
				before[one.Service] = one
			}
			steady := s.Visitor(t).Steady(t, "/")
			service := c.kill(t, s)
			site.Eventually(t, time.Minute, service+" serves again", func() error {
				now := s.Container(t, service)
				if now.State != "running" {
					return fmt.Errorf("it is %s", now.State)
				}
				if now.Started == before[service].Started && !c.child {
					return errors.New("it is the same process still")
				}
				for _, one := range s.Tasks(t) {
					page, err := s.VisitTask(t, one).Try(http.MethodGet, task.HealthURL, "", nil)
					if err != nil {
						return err
					}
					if page.Status != http.StatusOK {
						return fmt.Errorf("%s: %s answers %d", one.Name, task.HealthURL, page.Status)
					}
					page, err = s.VisitTask(t, one).Try(http.MethodGet, "/?fresh="+c.name[:3], "", nil)
					if err != nil {
						return err
					}
					if page.Status != http.StatusOK {
						return fmt.Errorf("%s answers %d", one.Name, page.Status)
					}
				}
				return nil
			})
			requests, failures := steady.Stop()
			if len(failures) > 0 {
				t.Errorf("%d of %d requests failed, the first: %s", len(failures), requests, failures[0])
			}
			for service, was := range before {
				if now := s.Container(t, service); now.ID != was.ID {
					t.Errorf("%s was replaced, not started again", service)
				}
			}
		})
	}
}
