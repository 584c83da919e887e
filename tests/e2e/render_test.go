package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"platen/tests/e2e/site"
)

// Platen can be left behind: what render writes, Docker's own compose runs, without ever an `up`.
func TestDockersComposeRunsWhatRenderWrites(t *testing.T) {
	compose := dockerCompose(t)
	s := site.New(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	s.Write(t, "platen.yaml", fmt.Sprintf(
		"platen: 1\nname: %s\ntitle: Left Behind\nweb: {tasks: 2}\nenvironments:\n  local: {target: local, port: %d}\n", s.Name, port))
	s.Run(t, 0, "render", "out")

	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(compose, append([]string{"--file", filepath.Join(s.Dir, "out", "compose.yaml")}, args...)...)
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("docker compose %s: %v\n%s", strings.Join(args, " "), err, output)
		}
		return string(output)
	}
	run("up", "--detach", "--wait")
	s.At(fmt.Sprintf("http://localhost:%d", port))
	visitor := s.Visitor(t)
	// Compose waits for containers; the edge asks a task once more before it sends visitors there.
	site.Eventually(t, time.Minute, "the front page", func() error {
		page, err := visitor.Try(http.MethodGet, "/", "", nil)
		if err == nil && !strings.Contains(page.Body, "<title>Left Behind</title>") {
			err = fmt.Errorf("status %d, and no title of the site:\n%.600s", page.Status, page.Body)
		}
		return err
	})
	run("down", "--volumes")
	if left := s.Containers(t); len(left) > 0 {
		t.Errorf("%d containers are left", len(left))
	}
}

// dockerCompose builds Docker's own compose, at the version that tests/tools pins.
func dockerCompose(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "docker-compose")
	build := exec.Command("go", "build", "-o", program, "github.com/docker/compose/v5/cmd")
	build.Dir = filepath.Join("..", "tools")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build Docker's compose: %v\n%s", err, output)
	}
	return program
}
