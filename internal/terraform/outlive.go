package terraform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"platen/internal/report"
)

// An apply outlives the platen that started it: Terraform that dies in the middle forgets what it
// made since it last wrote its state, and the next apply meets resources that nobody owns. So it
// writes to a file and not to a pipe that could break, it is in a session of its own, and it
// holds a lock on a file for as long as it lives, by which the next run knows to wait for it.
const (
	applyLog  = "platen.apply.json"
	applyLock = "platen.apply.lock"
)

// poll is how often a growing file and a held lock are looked at.
const poll = 200 * time.Millisecond

// apply runs Terraform on the plan and reads what it says until it ends.
func (r *Runner) apply(ctx context.Context, stack string, s *stream) error {
	folder := filepath.Join(r.Folder, stack)
	lock, err := os.OpenFile(filepath.Join(folder, applyLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("mark that Terraform applies: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("mark that Terraform applies: %w", err)
	}
	out, err := os.OpenFile(filepath.Join(folder, applyLog), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("keep what Terraform says: %w", err)
	}
	defer func() { _ = out.Close(); _ = os.Remove(out.Name()) }()
	env, err := r.environment()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, r.program.Path, "apply", "-json", "-input=false", "-auto-approve", planFile)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, out, out
	cmd.ExtraFiles = []*os.File{lock} // the lock is held until the last that has the file is gone
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopping
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "TF_IN_AUTOMATION=1", "TF_LOG=")
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start Terraform: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	said, err := os.Open(out.Name())
	if err != nil {
		return errors.Join(err, <-ended)
	}
	defer func() { _ = said.Close() }()
	for {
		if _, err := io.Copy(s, said); err != nil {
			return errors.Join(err, <-ended)
		}
		select {
		case err := <-ended:
			if _, copied := io.Copy(s, said); err == nil {
				err = copied
			}
			return err
		case <-time.After(poll):
		}
	}
}

// awaitOrphan waits for the Terraform of a platen that was killed.
func (r *Runner) awaitOrphan(ctx context.Context, stack string) error {
	path := filepath.Join(r.Folder, stack, applyLock)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("see whether Terraform still applies: %w", err)
	}
	defer func() { _ = f.Close() }()
	told := false
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return unix.Flock(int(f.Fd()), unix.LOCK_UN)
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("see whether Terraform still applies: %w", err)
		}
		if !told {
			told = true
			r.sink.Step(stack, report.Running, "waiting for the Terraform of an interrupted run, which is still at work")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}
