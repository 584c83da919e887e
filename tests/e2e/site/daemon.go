package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Daemon is a Docker Engine of a test's own, in a network namespace of its own: it can be started
// again, as a reboot does, without a hand on the engine that everybody shares. It needs root.
type Daemon struct {
	dir, namespace string
	running        *exec.Cmd
	log            bytes.Buffer
}

// NewDaemon starts an engine that ends with the test, and with it all that it holds.
func NewDaemon(t testing.TB) *Daemon {
	t.Helper()
	// Not t.TempDir: sockets' names have 108 bytes at most.
	dir, err := os.MkdirTemp("", "platen-engine-")
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{dir: dir, namespace: filepath.Base(dir)}
	t.Cleanup(func() {
		if err := d.remove(); err != nil {
			t.Errorf("remove the test's engine: %v", err)
		}
	})
	for _, args := range [][]string{{"netns", "add", d.namespace}, {"-n", d.namespace, "link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	d.start(t)
	return d
}

// Host is the engine's address, for DOCKER_HOST.
func (d *Daemon) Host() string { return "unix://" + filepath.Join(d.dir, "docker.sock") }

// inside prepares a program in the engine's network namespace.
func (d *Daemon) inside(program string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + d.namespace, "--", program}, args...)...)
}

func (d *Daemon) start(t testing.TB) {
	t.Helper()
	d.running = d.inside("dockerd", "--host", d.Host(), "--data-root", filepath.Join(d.dir, "data"),
		"--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"), "--config-file", "",
		"--containerd-namespace", d.namespace, "--containerd-plugins-namespace", d.namespace+"-plugins")
	d.running.Stdout, d.running.Stderr = &d.log, &d.log
	if err := d.running.Start(); err != nil {
		t.Fatalf("start an engine: %v", err)
	}
	socket := filepath.Join(d.dir, "docker.sock")
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	Eventually(t, 2*time.Minute, "the test's engine answers", func() error {
		answer, err := client.Get("http://docker/_ping")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
}

// stop ends the engine as an init system does, and its containers with it.
func (d *Daemon) stop() error {
	if d.running == nil {
		return nil
	}
	err := d.running.Process.Signal(syscall.SIGTERM)
	if wait := d.running.Wait(); err == nil && wait != nil {
		err = fmt.Errorf("the engine ended: %w\n%s", wait, d.log.String())
	}
	d.running = nil
	return err
}

// Restart ends the engine with all containers and starts it again.
func (d *Daemon) Restart(t testing.TB) {
	t.Helper()
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d.start(t)
}

// remove ends the engine and takes away what it left.
func (d *Daemon) remove() error {
	errs := []error{d.stop()}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	errs = append(errs, err)
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[4]; strings.HasPrefix(at, d.dir+"/") {
			errs = append(errs, unix.Unmount(at, unix.MNT_DETACH))
		}
	}
	if out, err := exec.Command("ip", "netns", "delete", d.namespace).CombinedOutput(); err != nil {
		errs = append(errs, fmt.Errorf("ip netns delete: %w: %s", err, out))
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}

// Carry makes a site live on this engine: the binary runs beside it, and visitors come from there.
func (d *Daemon) Carry(t testing.TB, s *Site) {
	t.Helper()
	binary, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	s.Program = filepath.Join(d.dir, "platen")
	script := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=/run/netns/%s -- '%s' \"$@\"\n", d.namespace, binary)
	if err := os.WriteFile(s.Program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Env = append(s.Env, "DOCKER_HOST="+d.Host())
	s.dial = d.dial
}

// dial connects from inside the engine's network namespace.
func (d *Daemon) dial(ctx context.Context, network, address string) (net.Conn, error) {
	namespace, err := os.Open("/run/netns/" + d.namespace)
	if err != nil {
		return nil, err
	}
	defer func() { _ = namespace.Close() }()
	type dialed struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialed)
	go func() {
		// Never unlocked: the thread ends with this goroutine and serves nobody else.
		runtime.LockOSThread()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- dialed{nil, fmt.Errorf("enter the engine's network: %w", err)}
			return
		}
		conn, err := (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, strings.Replace(address, "localhost:", "127.0.0.1:", 1))
		done <- dialed{conn, err}
	}()
	made := <-done
	return made.conn, made.err
}
