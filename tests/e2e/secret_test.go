package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"platen/tests/e2e/site"
)

// The password of the SMTP server comes in by standard input or with up, reaches the processes
// that log in there, and can be seen nowhere else. Another one is another release.
func TestMailPassword(t *testing.T) {
	sharedSite(t) // its images
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}", `mail: {smtp: "smtp.example.org:587", from: blog@example.com, user: blog}`)

	refused := s.Run(t, 1, "up", "--yes")
	if !strings.Contains(refused.Stderr, "platen credentials set mail") || len(s.Containers(t)) != 0 {
		t.Errorf("up without a password made %d containers and said:\n%s", len(s.Containers(t)), refused.Stderr)
	}

	const first, second = "first-Wq8'\"$HOME\\x", "second-Zt4"
	kept, err := s.ExecInput(first+"\n", "credentials", "set", "mail", "--json")
	if err != nil || kept.Exit != 0 {
		t.Fatalf("credentials set mail: exit %d, %v\n%s", kept.Exit, err, kept.Stderr)
	}
	before := s.Up(t).Done().Release
	if got := knownPassword(t, s); got != first {
		t.Errorf("the site logs in with %q, want %q", got, first)
	}

	s.Env = append(s.Env, "PLATEN_MAIL_PASSWORD="+second)
	events := s.Up(t)
	s.Env = nil
	if after := events.Done().Release; after == before {
		t.Errorf("another password left the release %s serving", after)
	}
	if got := knownPassword(t, s); got != second {
		t.Errorf("the site logs in with %q, want %q", got, second)
	}
	s.Visitor(t).Get(t, http.StatusOK, "/")

	docker := site.Engine(t)
	for _, c := range s.Containers(t) {
		inspected, err := json.Marshal(c.Inspect)
		if err != nil {
			t.Fatal(err)
		}
		log, err := docker.ContainerLogs(context.Background(), c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if _, err := io.Copy(&text, log); err != nil {
			t.Fatal(err)
		}
		_ = log.Close()
		for what, said := range map[string]string{"docker inspect": string(inspected), "the log": text.String()} {
			for _, password := range []string{"first-Wq8", "second-Zt4"} {
				if strings.Contains(said, password) {
					t.Errorf("%s of %s tells the password %s…", what, c.Service, password)
				}
			}
		}
	}
	said, err := json.Marshal(events)
	if err != nil || strings.Contains(string(said), second) {
		t.Errorf("up tells the password (%v)", err)
	}
}

// knownPassword is what a job of the site logs in with.
func knownPassword(t *testing.T, s *site.Site) string {
	t.Helper()
	return s.Run(t, 0, "exec", "--", "php", "-r", `echo (require "/run/php/config.php")["mail"]["password"];`).Stdout
}

// A site stays on its port: links in posts have it.
func TestRecordedPortIsNotLeftSilently(t *testing.T) {
	sharedSite(t) // its images
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	s.Up(t)
	s.Run(t, 0, "down", "--yes")
	taken, err := net.Listen("tcp", "127.0.0.1:"+strings.TrimPrefix(s.URL(), "http://localhost:"))
	if err != nil {
		t.Fatal(err)
	}
	refused := s.Run(t, 1, "up", "--yes")
	if !strings.Contains(refused.Stderr, "is taken by") || !strings.Contains(refused.Stderr, "--port") {
		t.Errorf("up on a port that somebody else has said:\n%s", refused.Stderr)
	}
	former := s.URL()
	s.Up(t, "--port", "0")
	if s.URL() == former {
		t.Errorf("up --port 0 stayed at %s", former)
	}
	s.Visitor(t).Get(t, http.StatusOK, "/")
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	moved := s.URL()

	// The records are lost while the site runs: what runs says where.
	if err := os.RemoveAll(s.State()); err != nil {
		t.Fatal(err)
	}
	if done := s.Up(t).Done(); s.URL() != moved || done.Changed == nil || *done.Changed {
		t.Errorf("without records up went to %s: want nothing changed at %s", s.URL(), moved)
	}
	s.Run(t, 0, "credentials") // asks for the release on record
}
