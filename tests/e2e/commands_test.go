package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"platen/internal/report"
	"platen/tests/e2e/site"
)

// Verbs that only look: each answers on a site that is up, for a person and for a machine.
func TestEverydayCommandsAnswer(t *testing.T) {
	s := sharedSite(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"doctor"}, `free at`},
		{[]string{"doctor", "--json"}, `"ok": true`},
		{[]string{"open"}, regexp.QuoteMeta(s.URL())},
		{[]string{"status"}, `web-1`},
		{[]string{"plan"}, `(?i)nothing to change|no changes`},
		{[]string{"logs", "edge", "--tail", "3"}, `edge`},
		{[]string{"exec", "--", "php", "-r", "echo 6 * 7;"}, `^42$`},
		{[]string{"version", "--json"}, `"version"`},
		{[]string{"image", "list"}, `nginx +linux/amd64|nginx +linux/arm64`},
		{[]string{"image", "show", "valkey"}, `valkey-server`},
		{[]string{"image", "diff"}, `(?s)nginx .* is what runs.*wordpress .* is what runs`},
		{[]string{"unlock"}, `Nobody holds the lock`},
	} {
		result := s.Run(t, 0, c.args...)
		if !regexp.MustCompile(c.says).MatchString(strings.TrimSpace(result.Stdout)) {
			t.Errorf("platen %s says nothing of %q:\n%s\n%s", strings.Join(c.args, " "), c.says, result.Stdout, result.Stderr)
		}
	}
}

// An update on the day of the first build finds nothing newer; what it writes is what was there.
func TestImageUpdateAnswers(t *testing.T) {
	sharedSite(t)
	s := site.New(t)
	s.Configure(t)
	s.Run(t, 0, "image", "build", "valkey")
	before, err := os.ReadFile(filepath.Join(s.Dir, "platen.lock"))
	if err != nil {
		t.Fatal(err)
	}
	said := s.Run(t, 0, "image", "update", "--yes")
	if !strings.Contains(said.Stdout, "nothing is newer") {
		t.Errorf("it says:\n%s", said.Stdout)
	}
	after, err := os.ReadFile(filepath.Join(s.Dir, "platen.lock"))
	if err != nil || string(after) != string(before) {
		t.Errorf("platen.lock is another one (%v)", err)
	}
}

func TestImageListNamesEveryImage(t *testing.T) {
	s := sharedSite(t)
	var images []struct {
		Image, Platform, Digest string
		Size                    int64    `json:"compressed_bytes"`
		Packages                []string `json:"packages"`
	}
	if err := json.Unmarshal([]byte(s.Run(t, 0, "image", "list", "--json").Stdout), &images); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range images {
		names = append(names, i.Image)
		if !strings.HasPrefix(i.Digest, "sha256:") || i.Size == 0 || len(i.Packages) == 0 {
			t.Errorf("%+v", i)
		}
	}
	slices.Sort(names)
	if want := "haproxy jobs mariadb nginx valkey wordpress"; strings.Join(names, " ") != want {
		t.Errorf("images %v, want %s", names, want)
	}
	// The figures that the project holds itself to, where they do not depend on the machine.
	const megabyte = 1_000_000
	for _, i := range images {
		if most := map[string]int64{"wordpress": 64 + 3, "valkey": 12, "haproxy": 10, "mariadb": 30}[i.Image]; most > 0 && i.Size > most*megabyte {
			t.Errorf("%s has %d bytes compressed, at most %d MB", i.Image, i.Size, most)
		}
	}
}

// A lock whose holder is gone without a word, on this machine, is taken over; unlock removes it.
func TestALostLockIsNoObstacle(t *testing.T) {
	sharedSite(t)
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	up := s.Start(t, "up", "--yes")
	if !up.Until(func(e report.Event) bool { return holdsLock(e) }) {
		_, stderr := up.Wait()
		t.Fatalf("up ended early:\n%s", stderr)
	}
	up.Signal(t, syscall.SIGKILL)
	up.Wait()
	if said := s.Run(t, 0, "unlock", "--yes").Stdout; strings.Contains(said, "Nobody") {
		t.Errorf("unlock found no lock: %s", said)
	}
	if said := s.Run(t, 0, "unlock").Stdout; !strings.Contains(said, "Nobody") {
		t.Errorf("after unlock there is still one: %s", said)
	}
}
