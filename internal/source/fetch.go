package source

import (
	"context"
	"crypto/sha1" // #nosec G505 -- what the project publishes; what counts is the SHA-256
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/retry"
)

// attempts is how often in a row a request may fail without having brought a byte more.
const attempts = 4

// longestWait bounds what a server may ask for with Retry-After.
const longestWait = time.Minute

// sums are what a download turned out to be.
type sums struct {
	sha256, sha1 string
	size         int64
}

// statusError is an answer that is not the file.
type statusError struct {
	url  string
	code int
	wait time.Duration // Retry-After
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s answered %d %s", e.url, e.code, http.StatusText(e.code))
}

// gone tells that the server works and does not have the file.
func gone(err error) bool {
	var s *statusError
	return errors.As(err, &s) && (s.code == http.StatusNotFound || s.code == http.StatusGone)
}

// sumError is a file that is not the pinned one.
type sumError struct{ url, got, want string }

func (e *sumError) Error() string {
	return fmt.Sprintf("the SHA-256 of %s is %s, and %s is pinned", e.url, e.got, e.want)
}

// sizeError is a file that nobody wants whole.
type sizeError struct {
	url  string
	most int64
}

func (e *sizeError) Error() string {
	return fmt.Sprintf("%s has more than %d bytes, which no plugin, theme or WordPress has", e.url, e.most)
}

// cacheError is a failure of the local disk: no other attempt helps.
type cacheError struct {
	dir string
	err error
}

func (e *cacheError) Error() string { return fmt.Sprintf("write the cache: %v", e.err) }
func (e *cacheError) Unwrap() error { return e.err }

// Hint implements what report.HintOf looks for.
func (e *cacheError) Hint() string {
	if errors.Is(e.err, syscall.ENOSPC) || errors.Is(e.err, syscall.EDQUOT) {
		return "the disk of " + e.dir + " is full: make room, or set XDG_CACHE_HOME to a folder on another disk"
	}
	return "make " + e.dir + " writable, or set XDG_CACHE_HOME to a folder that is"
}

// temporary tells whether the same request may succeed a moment later.
func temporary(err error) bool {
	var s *statusError
	if errors.As(err, &s) {
		return s.code >= 500 || s.code == http.StatusRequestTimeout || s.code == http.StatusTooManyRequests
	}
	var sum *sumError
	var size *sizeError
	var disk *cacheError
	return !errors.As(err, &sum) && !errors.As(err, &size) && !errors.As(err, &disk)
}

// cached returns the size of a download that is there whole.
func (s *Sources) cached(d image.Download) (int64, error) {
	f, err := os.Open(s.path(d.SHA256))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return s.verify(f, d.SHA256)
}

// verify reads a file of the cache and compares it with its hash: a disk that went bad, or another
// program, may have changed it since it was fetched. What was read once, and nobody has touched
// since, is not read again. It leaves the file at its beginning, and returns its size.
func (s *Sources) verify(f *os.File, sum string) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	known, ok := s.verified[sum]
	s.mu.Unlock()
	if ok && os.SameFile(known, info) && known.Size() == info.Size() && known.ModTime().Equal(info.ModTime()) {
		return info.Size(), nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return 0, err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return 0, report.Hint(&sumError{f.Name(), got, sum}, "remove that file and run it again: it will be fetched anew")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.verified[sum] = info
	s.mu.Unlock()
	return info.Size(), nil
}

// sumsOf hashes a download that is there.
func (s *Sources) sumsOf(d image.Download) (got sums, err error) {
	if d.SHA256 == "" {
		return got, os.ErrNotExist
	}
	f, err := os.Open(s.path(d.SHA256))
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := newHashes()
	if _, err := io.Copy(h, f); err != nil {
		return got, err
	}
	return h.sums(), nil
}

func (s *Sources) discard(sha256 string) error { return os.Remove(s.path(sha256)) }

// download fetches a file into the cache. It goes on where the connection broke when the server can
// and the file is still the same, and begins anew otherwise. A file whose hash is not the pinned
// one is not kept.
func (s *Sources) download(ctx context.Context, d image.Download, sink report.Sink) (_ sums, err error) {
	dir := filepath.Join(s.o.CacheDir, "sha256")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return sums{}, &cacheError{dir, err}
	}
	f, err := os.CreateTemp(dir, ".download-*")
	if err != nil {
		return sums{}, &cacheError{dir, err}
	}
	defer func() {
		_ = f.Close()           // closed before it is renamed
		_ = os.Remove(f.Name()) // gone when it was
	}()
	sink.Step(step(d), report.Running, "fetching "+shown(d.URL))
	defer func() {
		if err != nil {
			sink.Step(step(d), report.Failed, err.Error())
		}
	}()
	part := &partial{f: f, dir: dir, hashes: newHashes(), url: shown(d.URL), most: s.o.Limits.Packed, sink: sink, step: step(d)}
	if err := s.again(ctx, func() (int64, error) { return part.n, s.fill(ctx, d.URL, part) }); err != nil {
		return sums{}, err
	}
	got := part.sums()
	if d.SHA256 != "" && got.sha256 != d.SHA256 {
		return got, &sumError{shown(d.URL), got.sha256, d.SHA256}
	}
	if err := part.publish(s.path(got.sha256)); err != nil {
		return got, &cacheError{dir, err}
	}
	sink.Step(step(d), report.Done, fmt.Sprintf("%.1f MB", float64(got.size)/1e6))
	return got, nil
}

// again tries until it succeeds, cannot, or has failed too often without having come further.
func (s *Sources) again(ctx context.Context, try func() (reached int64, err error)) error {
	var furthest int64
	for failed := 0; ; {
		reached, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !temporary(err) {
			return err
		}
		failed++
		if reached > furthest {
			furthest, failed = reached, 1
		}
		if failed >= attempts {
			return fmt.Errorf("%w (tried %d times without a byte more)", err, attempts)
		}
		wait := s.o.RetryWait << (failed - 1)
		if status := (*statusError)(nil); errors.As(err, &status) {
			wait = max(wait, min(status.wait, longestWait))
		}
		if err := s.o.Wait(ctx, wait); err != nil {
			return err
		}
	}
}

// small reads a file of at most 4 KB.
func (s *Sources) small(ctx context.Context, address string) (data []byte, err error) {
	err = s.again(ctx, func() (int64, error) {
		resp, err := s.request(ctx, address, 0, "")
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		data, err = io.ReadAll(io.LimitReader(resp.Body, 4096))
		return 0, err
	})
	return data, err
}

// fill brings the rest of the file.
func (s *Sources) fill(ctx context.Context, address string, part *partial) error {
	if part.etag == "" {
		if err := part.reset(); err != nil {
			return err
		}
	}
	resp, err := s.request(ctx, address, part.n, part.etag)
	if status := (*statusError)(nil); errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable {
		part.etag = "" // its file is shorter than ours: begin anew
		return fmt.Errorf("%s answered 416 to a request from byte %d", part.url, part.n)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusPartialContent {
		var from int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &from); err != nil || from != part.n {
			part.etag = ""
			return fmt.Errorf("%s answered with Content-Range %q to a request from byte %d", part.url, resp.Header.Get("Content-Range"), part.n)
		}
	} else if err := part.reset(); err != nil {
		return err
	}
	if part.total = -1; resp.ContentLength >= 0 {
		if part.total = part.n + resp.ContentLength; part.total > part.most {
			return &sizeError{part.url, part.most}
		}
	}
	part.etag = ""
	if tag := resp.Header.Get("Etag"); len(tag) > 0 && tag[0] == '"' { // a weak one vouches for no bytes
		part.etag = tag
	}
	if _, err := io.Copy(part, resp.Body); err != nil {
		return fmt.Errorf("read %s after %d bytes: %w", part.url, part.n, err)
	}
	return nil
}

// request asks for url from a byte on, if its file still has the tag. The body ends with an error
// when it is silent for longer than Options.Stall; closing it ends the request.
func (s *Sources) request(ctx context.Context, address string, offset int64, etag string) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := fmt.Errorf("%s: no byte for %v", shown(address), s.o.Stall)
	timer := time.AfterFunc(s.o.Stall, func() { cancel(stalled) })
	stop := func() { timer.Stop(); cancel(nil) }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		stop()
		return nil, err
	}
	req.Header.Set("User-Agent", "platen")
	if offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
		req.Header.Set("If-Range", etag)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if errors.Is(context.Cause(ctx), stalled) {
			err = stalled
		}
		stop()
		return nil, plain(err)
	}
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, stalled: stalled, stop: stop, alive: func() { timer.Reset(s.o.Stall) }}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		failed := &statusError{url: shown(address), code: resp.StatusCode}
		failed.wait, _ = retry.After(resp)
		return nil, errors.Join(failed, resp.Body.Close())
	}
	return resp, nil
}

// plain takes the address off an error of net/http: its query may hold a licence key.
func plain(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

type body struct {
	io.ReadCloser
	ctx         context.Context
	stalled     error
	alive, stop func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(b.ctx), b.stalled) {
		err = b.stalled
	} else if n > 0 {
		b.alive()
	}
	return n, err
}

func (b *body) Close() error {
	b.stop()
	return b.ReadCloser.Close()
}

// hashes counts and hashes what is written to it.
type hashes struct {
	one, strong hash.Hash
	n           int64
}

func newHashes() *hashes { return &hashes{one: sha1.New(), strong: sha256.New()} } // #nosec G401

func (h *hashes) Write(p []byte) (int, error) {
	h.one.Write(p)
	h.strong.Write(p)
	h.n += int64(len(p))
	return len(p), nil
}

func (h *hashes) sums() sums {
	return sums{hex.EncodeToString(h.strong.Sum(nil)), hex.EncodeToString(h.one.Sum(nil)), h.n}
}

// partial is a file under way, with the hash of what it holds.
type partial struct {
	*hashes
	f           *os.File
	dir         string
	url, step   string
	etag        string // of the server's file; "" = it cannot be gone on with
	most, total int64  // total: -1 = unknown
	told        int64
	sink        report.Sink
}

func (p *partial) Write(b []byte) (int, error) {
	if p.n+int64(len(b)) > p.most {
		return 0, &sizeError{p.url, p.most}
	}
	n, err := p.f.WriteAt(b, p.n)
	if err != nil {
		return n, &cacheError{p.dir, err}
	}
	if _, err := p.hashes.Write(b); err != nil {
		return n, err
	}
	if p.total > 0 && (p.n-p.told)*50 >= p.total {
		p.told = p.n
		p.sink.Progress(p.step, p.n, p.total)
	}
	return n, nil
}

func (p *partial) reset() error {
	if err := p.f.Truncate(0); err != nil {
		return &cacheError{p.dir, err}
	}
	p.hashes, p.told = newHashes(), 0
	return nil
}

// publish gives the file its final name, on the disk first: after a power loss a file under its
// final name is whole.
func (p *partial) publish(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	for _, step := range []func() error{p.f.Sync, func() error { return p.f.Chmod(0o644) }, p.f.Close} {
		if err := step(); err != nil {
			return err
		}
	}
	return os.Rename(p.f.Name(), name)
}
