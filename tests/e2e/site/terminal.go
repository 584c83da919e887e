package site

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/console"
)

// Terminal is a run of the binary with a person in front of it: it draws, asks, and takes keys.
type Terminal struct {
	cmd    *exec.Cmd
	master console.Console

	mu     sync.Mutex
	screen strings.Builder
	ended  chan struct{}
}

// Terminal starts the binary in the site's folder on a terminal of its own.
func (s *Site) Terminal(t testing.TB, args ...string) *Terminal {
	t.Helper()
	cmd, err := s.Command(args...)
	if err != nil {
		t.Fatal(err)
	}
	master, name, err := console.NewPty()
	if err != nil {
		t.Fatal(err)
	}
	if err := master.Resize(console.WinSize{Width: 100, Height: 40}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close() // the binary has it
	r := &Terminal{cmd: cmd, master: master, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			r.mu.Lock()
			r.screen.Write(buffer[:n])
			r.mu.Unlock()
			if err != nil {
				return // the last process has closed it
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = master.Close()
	})
	return r
}

// Screen is all that was drawn, with the terminal's own commands in it.
func (r *Terminal) Screen() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.screen.String()
}

// Until waits until the text was drawn.
func (r *Terminal) Until(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(r.Screen(), text); time.Sleep(20 * time.Millisecond) {
		select {
		case <-r.ended:
			if !strings.Contains(r.Screen(), text) {
				t.Fatalf("it ended before %q was on the screen:\n%s", text, r.Screen())
			}
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%q does not come on the screen:\n%s", text, r.Screen())
		}
	}
}

// Type sends keys; "\x03" is Ctrl-C.
func (r *Terminal) Type(t testing.TB, keys string) {
	t.Helper()
	if _, err := r.master.Write([]byte(keys)); err != nil {
		t.Fatal(err)
	}
}

// Wait returns the exit status; 128 + its number after a signal, as a shell says it.
func (r *Terminal) Wait(t testing.TB) int {
	t.Helper()
	<-r.ended
	_ = r.cmd.Wait()
	if status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return r.cmd.ProcessState.ExitCode()
}
