package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"platen/internal/image"
)

// lockPoll is how often a process looks whether another has let go of a file that it downloads.
const lockPoll = 100 * time.Millisecond

// partial is a download under way: the file SHA256.part, locked, with the hash of what it holds.
type partial struct {
	f        *os.File
	h        hash.Hash
	n        int64 // bytes in the file and in the hash
	progress *progress
}

// lockPartial opens the .part file of p and holds it alone. It returns nil when, in the meantime,
// another process has brought the whole file.
func (a *Archive) lockPartial(ctx context.Context, p image.Package) (*partial, error) {
	path := a.path(p) + ".part"
	if err := makeDirOf(path); err != nil {
		return nil, err
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, cacheFailed(path, err)
		}
		if err := lock(ctx, f); err != nil {
			f.Close()
			return nil, err
		}
		if a.verify(p) == nil {
			// The lock is of the file that was renamed, or of a .part made after that.
			if same(f, path) {
				_ = os.Remove(path) // the next one to lock it tries again
			}
			return nil, f.Close()
		}
		if !same(f, path) { // renamed or removed while we waited
			f.Close()
			continue
		}
		part := &partial{f: f, h: sha256.New()}
		if err := part.load(p.Size); err != nil {
			f.Close()
			return nil, err
		}
		return part, nil
	}
}

// lock waits for the exclusive lock of f, which ends with the process that holds it.
func lock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return cacheFailed(f.Name(), fmt.Errorf("lock %s: %w", f.Name(), err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func same(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(path)
	return err == nil && os.SameFile(mine, theirs)
}

// load hashes what an earlier run left.
func (p *partial) load(limit int64) error {
	info, err := p.f.Stat()
	if err != nil {
		return cacheFailed(p.f.Name(), err)
	}
	if info.Size() > limit {
		return p.reset()
	}
	if p.n, err = io.Copy(p.h, io.LimitReader(p.f, info.Size())); err != nil {
		return cacheFailed(p.f.Name(), err)
	}
	return nil
}

// Write appends to file and hash.
func (p *partial) Write(b []byte) (int, error) {
	n, err := p.f.WriteAt(b, p.n)
	p.h.Write(b[:n])
	p.n += int64(n)
	p.progress.add(int64(n))
	if err != nil {
		return n, cacheFailed(p.f.Name(), err)
	}
	return n, nil
}

func (p *partial) reset() error {
	if err := p.f.Truncate(0); err != nil {
		return cacheFailed(p.f.Name(), err)
	}
	if p.progress != nil {
		p.progress.add(-p.n)
	}
	p.h.Reset()
	p.n = 0
	return nil
}

func (p *partial) sum() string { return hex.EncodeToString(p.h.Sum(nil)) }

// publish gives the verified file its final name. It is on the disk before it has it: after a power
// loss a file under its final name is whole.
func (p *partial) publish(path string) error {
	if err := p.f.Sync(); err != nil {
		return cacheFailed(path, err)
	}
	if err := os.Rename(p.f.Name(), path); err != nil {
		return cacheFailed(path, err)
	}
	return nil
}

// Close lets go of the file; what it holds stays for the next run.
func (p *partial) Close() { p.f.Close() }
