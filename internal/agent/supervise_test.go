package agent

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

type played struct {
	command *exec.Cmd
	lines   *bufio.Scanner
	marker  string
}

func playAs(t *testing.T, kind string) *played {
	t.Helper()
	p := &played{marker: filepath.Join(t.TempDir(), "draining")}
	p.command = exec.CommandContext(t.Context(), "/proc/self/exe", kind, p.marker)
	p.command.Env = []string{roleVariable + "=init"}
	out, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.command.Stderr = os.Stderr
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	return p
}

// until reads the log to a line that holds text.
func (p *played) until(t *testing.T, text string) {
	t.Helper()
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the log ended without %q", text)
}

func (p *played) end(t *testing.T) int {
	t.Helper()
	for p.lines.Scan() { // to the end, before Wait closes the pipe
	}
	err := p.command.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.command.ProcessState.ExitCode()
}

func TestDrainMarksTheTaskThenEndsPHP(t *testing.T) {
	p := playAs(t, "well")
	p.until(t, "ready")
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.until(t, `"ended"`)
	if code := p.end(t); code != 0 {
		t.Errorf("a drained task ended with %d: want 0", code)
	}
	if _, err := os.Stat(p.marker); err != nil {
		t.Errorf("the balancer was not told: %v", err)
	}
}

func TestDrainKillsPHPThatDoesNotEnd(t *testing.T) {
	p := playAs(t, "stubborn")
	p.until(t, "ready")
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.until(t, "is killed")
	if code := p.end(t); code != 0 {
		t.Errorf("ended with %d: want 0", code)
	}
}

func TestEndsWithPHPsStatus(t *testing.T) {
	for kind, want := range map[string]int{"crash": 70, "killed": 128 + 9} {
		if code := playAs(t, kind).end(t); code != want {
			t.Errorf("%s: ended with %d: want %d", kind, code, want)
		}
	}
}

func TestRelaysPHPsLinesWithTheirLevel(t *testing.T) {
	p := playAs(t, "crash")
	p.until(t, `"level":"error","stream":"stderr","message":"gone"`)
	p.end(t)
}

func TestReapsOrphans(t *testing.T) {
	if code := playAs(t, "orphans").end(t); code != 0 {
		t.Errorf("ended with %d: want php's own 0, whoever else ended", code)
	}
}
