package agent

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// process is a child of ours and what came of it.
type process struct {
	pid    int
	exited <-chan int // one exit status, 128+N after signal N
	relays *sync.WaitGroup
}

// start runs argv with env as the init of the container: its output goes to the log, and from
// now on every process that ends here is reaped, orphans too. It may be called once.
func start(argv, env []string, log *Log) (*process, error) {
	// Before the child is there, so that no end of it is missed.
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)

	relays := &sync.WaitGroup{}
	stdout, err := relay("stdout", relays, log)
	if err != nil {
		return nil, err
	}
	stderr, err := relay("stderr", relays, log)
	if err != nil {
		return nil, errors.Join(err, stdout.Close())
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, errors.Join(err, stdout.Close(), stderr.Close())
	}
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{null.Fd(), stdout.Fd(), stderr.Fd()},
	})
	// Ours must go, or the relays would never see the end of the child's.
	closed := errors.Join(null.Close(), stdout.Close(), stderr.Close())
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], errors.Join(err, closed))
	}
	exited := make(chan int, 1)
	go func() {
		for range children {
			for _, ended := range reap() {
				if ended.pid == pid {
					exited <- ended.status
				}
			}
		}
	}()
	return &process{pid: pid, exited: exited, relays: relays}, nil
}

func relay(stream string, relays *sync.WaitGroup, log *Log) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	relays.Go(func() {
		log.Relay(stream, r)
		_ = r.Close()
	})
	return w, nil
}

type ended struct{ pid, status int }

// reap collects every child that has ended. One SIGCHLD may stand for several.
func reap() []ended {
	var all []ended
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil || pid <= 0:
			return all
		case status.Signaled():
			all = append(all, ended{pid, 128 + int(status.Signal())})
		case status.Exited():
			all = append(all, ended{pid, status.ExitStatus()})
		}
	}
}

// signal sends s to the child; one that has ended already needs none.
func (p *process) signal(s syscall.Signal) error {
	if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.pid, err)
	}
	return nil
}

// drained waits until all that the child wrote is in the log, for a moment: a grandchild that
// lives on may hold the pipe.
func (p *process) drained() {
	done := make(chan struct{})
	go func() {
		p.relays.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}
