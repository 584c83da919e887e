package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"platen/internal/image"
	"platen/internal/report"
)

const (
	stepPackages = "packages"
	parallel     = 4 // downloads at once
)

// Fetch brings the .debs of packages into the cache, verified by SHA256 and size. What is there is
// not fetched again, unless it was damaged since; what was begun, by this or a killed process, goes on where it ended. Several
// processes may fetch the same packages at once. A file that the mirror does not give, for whatever
// reason, is looked for at Debian's snapshot service.
func (a *Archive) Fetch(ctx context.Context, packages []image.Package, sink report.Sink) (err error) {
	var wanted []image.Package
	seen := map[string]bool{}
	progress := progress{sink: sink}
	for _, p := range packages {
		if err := checkPin(p); err != nil {
			return err
		}
		if !seen[p.SHA256] {
			wanted = append(wanted, p)
		}
		seen[p.SHA256] = true
	}
	missing := a.missing(wanted, sink)
	for _, p := range missing {
		progress.total += p.Size
	}
	if len(missing) == 0 {
		sink.Step(stepPackages, report.Same, fmt.Sprintf("%d packages, all in the cache", len(seen)))
		return nil
	}
	sink.Step(stepPackages, report.Running, fmt.Sprintf("fetching %d of %d packages", len(missing), len(seen)))
	defer func() {
		a.client.CloseIdleConnections()
		if err != nil {
			sink.Step(stepPackages, report.Failed, err.Error())
		} else {
			sink.Step(stepPackages, report.Done, fmt.Sprintf("%d packages, %d fetched", len(seen), len(missing)))
		}
	}()

	// The largest first: a small one at the end leaves no connection idle for long.
	slices.SortStableFunc(missing, func(x, y image.Package) int { return int(y.Size - x.Size) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, p := range missing {
		group.Go(func() error { return a.fetchOne(ctx, p, &progress) })
	}
	return group.Wait()
}

// checkPin refuses what a damaged or hostile platen.lock could make of a path or a URL.
func checkPin(p image.Package) error {
	bad := ""
	switch {
	case p.Name == "" || p.Version == "":
		bad = "name or version is missing"
	case !isSHA256(p.SHA256):
		bad = fmt.Sprintf("%q is no SHA256", p.SHA256)
	case p.Size <= 0:
		bad = fmt.Sprintf("size %d", p.Size)
	case p.Filename == "" || !filepath.IsLocal(p.Filename) || strings.ContainsAny(p.Filename, "?#\\"):
		bad = fmt.Sprintf("file %q is not below the archive", p.Filename)
	default:
		return nil
	}
	return report.Hint(fmt.Errorf("package %s %s: %s", p.Name, p.Version, bad),
		"platen.lock is damaged: take it from version control, or run platen image update")
}

// path is where the .deb of p is in the cache.
func (a *Archive) path(p image.Package) string {
	return filepath.Join(a.o.CacheDir, "sha256", p.SHA256[:2], p.SHA256)
}

// missing lists the packages that the cache does not have whole.
func (a *Archive) missing(packages []image.Package, sink report.Sink) []image.Package {
	lacks := make([]bool, len(packages))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, p := range packages {
		group.Go(func() error {
			err := a.verify(p)
			if lacks[i] = err != nil; lacks[i] && !errors.Is(err, os.ErrNotExist) {
				sink.Log(stepPackages, fmt.Sprintf("%s %s is fetched again: what the cache has of it is damaged: %v", p.Name, p.Version, err))
			}
			return nil
		})
	}
	_ = group.Wait() // it has no errors: what cannot be read is missing
	var missing []image.Package
	for i, p := range packages {
		if lacks[i] {
			missing = append(missing, p)
		}
	}
	return missing
}

// verify reads the cached .deb of p and compares it with its pin: a disk that went bad, or another
// program, may have changed it since it was fetched. What this Archive has read once, and nobody has
// touched since, is not read again.
func (a *Archive) verify(p image.Package) error {
	f, err := os.Open(a.path(p))
	if err != nil {
		return err
	}
	defer f.Close()
	return a.verifyFile(f, p)
}

// verifyFile is verify of an open file, which it leaves at its beginning.
func (a *Archive) verifyFile(f *os.File, p image.Package) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	a.verifiedMu.Lock()
	known, ok := a.verified[p.SHA256]
	a.verifiedMu.Unlock()
	if ok && os.SameFile(known, info) && known.Size() == info.Size() && known.ModTime().Equal(info.ModTime()) {
		return nil
	}
	if !info.Mode().IsRegular() || info.Size() != p.Size {
		return &contentError{f.Name(), fmt.Sprintf("it has %d bytes, the signed index says %d", info.Size(), p.Size)}
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != p.SHA256 {
		return &contentError{f.Name(), fmt.Sprintf("its SHA256 is %s, the signed index says %s", sum, p.SHA256)}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	a.verifiedMu.Lock()
	a.verified[p.SHA256] = info
	a.verifiedMu.Unlock()
	return nil
}

func (a *Archive) fetchOne(ctx context.Context, p image.Package, progress *progress) error {
	part, err := a.lockPartial(ctx, p)
	if err != nil || part == nil { // nil: another process has just brought it
		if err == nil {
			progress.add(p.Size)
		}
		return err
	}
	defer part.Close()
	progress.add(part.n)
	part.progress = progress

	var failures []error
	for url, err := range a.sources(ctx, p) {
		if err == nil {
			err = a.fill(ctx, part, url, p)
		}
		if err == nil {
			return part.publish(a.path(p))
		}
		failures = append(failures, err)
		var disk *cacheError
		if errors.As(err, &disk) || ctx.Err() != nil {
			break // the disk, or a person who stopped it: no other source helps
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return a.fetchFailed(p, failures)
}

// goneError tells that every source of a file was asked, and that none has it any more.
type goneError struct{ err error }

func (e *goneError) Error() string { return e.err.Error() }
func (e *goneError) Unwrap() error { return e.err }

// nobodyHas tells whether all sources answered, and none with the file. One that cannot be asked
// may have it.
func nobodyHas(failures []error) bool {
	for _, err := range failures {
		var wrong *contentError
		if !gone(err) && !errors.As(err, &wrong) {
			return false
		}
	}
	return len(failures) > 0
}

func (a *Archive) fetchFailed(p image.Package, failures []error) error {
	err := fmt.Errorf("fetch %s %s (%s): %w", p.Name, p.Version, p.Architecture, errors.Join(failures...))
	definite := nobodyHas(failures)
	if definite {
		err = &goneError{err}
	}
	var cache *cacheError
	var wrong *contentError
	first := failures[0]
	switch {
	case errors.As(err, &cache):
		return err // it has its own hint
	case errors.As(first, &wrong):
		return report.Hint(err,
			"nothing of it was used. The mirror or a proxy truncates or changes files: name another mirror with image.mirror in platen.yaml or %s; or the pin was changed by hand: take platen.lock from version control, or run platen image update", MirrorEnv)
	case definite:
		return report.Hint(err,
			"neither the mirror (from %s) nor the snapshot service has this version any more: run platen image update to pin today's versions, or name a mirror that keeps old ones with image.mirror",
			a.o.Mirror.From)
	case gone(first):
		return report.Hint(err,
			"the mirror (from %s) no longer has this version, and the snapshot service, which may, gave no answer: try again in a few minutes, name a mirror that keeps old versions with image.mirror, or run platen image update to pin today's",
			a.o.Mirror.From)
	}
	return a.mirrorHint(err)
}

// sources yields where p may be had, one after the other: the mirror; for a security update that
// became part of a point release, the main archive; the snapshot service.
func (a *Archive) sources(ctx context.Context, p image.Package) func(yield func(string, error) bool) {
	return func(yield func(string, error) bool) {
		base := a.o.Mirror.Main
		if p.Archive == partSecurity {
			base = a.o.Mirror.Security
		}
		if !yield(base+"/"+p.Filename, nil) {
			return
		}
		if rest, ok := strings.CutPrefix(p.Filename, "pool/updates/main/"); ok && p.Archive == partSecurity {
			if !yield(a.o.Mirror.Main+"/pool/main/"+rest, nil) {
				return
			}
		}
		yield(a.snapshotURL(ctx, p))
	}
}

// fill brings the rest of the file from url and checks it.
func (a *Archive) fill(ctx context.Context, part *partial, url string, p image.Package) error {
	furthest := part.n
	clean := part.n == 0 // no byte is of an earlier run
	var last error
	for failed := 0; failed < attempts; {
		if err := a.pause(ctx, failed, last); err != nil {
			return err
		}
		last = a.fillOnce(ctx, part, url, p)
		if last == nil && part.n == p.Size {
			if part.sum() == p.SHA256 {
				return nil
			}
			last = &contentError{url, fmt.Sprintf("its SHA256 is %s, the signed index says %s", part.sum(), p.SHA256)}
			if err := part.reset(); err != nil {
				return err
			}
			if clean {
				return last
			}
			clean, furthest = true, 0 // the bytes of an earlier run may have been the bad ones
			continue
		}
		if last == nil {
			last = fmt.Errorf("%s: the connection ended after %d of %d bytes", url, part.n, p.Size)
		}
		if !temporary(last) {
			return last
		}
		failed++
		if part.n > furthest {
			furthest, failed = part.n, 1 // a bad line that still moves is not given up
		}
	}
	return fmt.Errorf("%w (tried %d times without a byte more)", last, attempts)
}

func (a *Archive) fillOnce(ctx context.Context, part *partial, url string, p image.Package) error {
	if part.n == p.Size {
		return nil
	}
	resp, err := a.request(ctx, url, part.n)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable {
		// Its file is shorter than ours: begin anew, and let the length be compared.
		if err := part.reset(); err != nil {
			return err
		}
		resp, err = a.request(ctx, url, 0)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()

	length := resp.ContentLength
	if resp.StatusCode == http.StatusPartialContent {
		var from, to, total int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total); err != nil || from != part.n {
			return &contentError{url, fmt.Sprintf("answered with Content-Range %q to a request from byte %d", resp.Header.Get("Content-Range"), part.n)}
		}
		length = total
	} else if part.n > 0 { // it knows no ranges
		if err := part.reset(); err != nil {
			return err
		}
	}
	if length >= 0 && length != p.Size {
		return &contentError{url, fmt.Sprintf("it has %d bytes, the signed index says %d", length, p.Size)}
	}
	if _, err := io.Copy(part, io.LimitReader(resp.Body, p.Size-part.n)); err != nil {
		return fmt.Errorf("read %s after %d of %d bytes: %w", url, part.n, p.Size, err)
	}
	return nil
}

// progress adds up what all downloads have and reports it about a hundred times.
type progress struct {
	sink            report.Sink
	total           int64
	mu              sync.Mutex
	current, silent int64
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current += n
	p.silent += abs64(n)
	if p.silent*100 >= p.total || p.current == p.total {
		p.silent = 0
		p.sink.Progress(stepPackages, p.current, p.total)
	}
}

func abs64(n int64) int64 { return max(n, -n) }
