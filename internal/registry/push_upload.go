package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// stall is how long a connection may take nothing before it counts as dead; the kernel itself would
// wait a quarter of an hour.
const stall = time.Minute

var errStalled = fmt.Errorf("the registry took no byte for %s", stall)

// upload is one blob on its way to a repository.
//
// The first attempt is one request with everything, as every client sends it and every registry
// takes it. When that breaks, the registry is asked how much it has (GET of the upload's address,
// OCI distribution-spec "Resuming"), and the rest follows in pieces, of which at most one is lost at
// the next break. A registry that cannot tell, or that throws broken uploads away (distribution 2.8
// does), gets the blob from its start; one that refuses pieces, in one request again.
type upload struct {
	*repository
	content
	from  string // a repository that has the blob; "" = none is known
	piece int64  // bytes
	wait  func(context.Context, time.Duration) error
	say   func(string)
	tally *tally

	to      *url.URL // where the next bytes go; nil = no upload is open
	at      int64    // bytes that the registry has
	pieces  bool     // send in pieces
	refused bool     // the registry does not take pieces
}

// run returns when the repository has the blob.
func (u *upload) run(ctx context.Context) error {
	furthest := int64(0)
	for attempt := 1; ; attempt++ {
		err := u.try(ctx)
		if err == nil {
			u.tally.set(u.digest, u.size)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var broken *brokenError
		if !errors.As(err, &broken) {
			return err
		}
		if !broken.goesOn(attempt) {
			return fmt.Errorf("gave up after %d attempts without progress: %w", attempt, broken.err)
		}
		pause, tooLong := pauseFor(broken.answer, attempt)
		if tooLong != nil {
			return tooLong
		}
		u.say(fmt.Sprintf("%s: %s: %s; again in %s", u.RegistryStr(), u.digest.Hex[:12], broken.err, pause.Round(100*time.Millisecond)))
		if err := u.wait(ctx, pause); err != nil {
			return err
		}
		// The answer to a request that arrived may have been lost: then everything is there.
		if has, err := u.has(ctx, u.digest); err != nil {
			return err
		} else if has {
			u.tally.set(u.digest, u.size)
			return nil
		}
		if err := u.resume(ctx, broken); err != nil {
			return err
		}
		if u.at > furthest {
			furthest, attempt = u.at, 0
		}
		u.tally.set(u.digest, u.at)
	}
}

// try sends what is missing and closes the upload.
func (u *upload) try(ctx context.Context) error {
	if u.to == nil {
		mounted, err := u.open(ctx)
		if err != nil || mounted {
			return err
		}
	}
	for u.at < u.size {
		n := u.size - u.at
		if u.pieces {
			n = min(n, u.piece)
		}
		// The last piece comes with the request that closes: ECR refuses an empty one after pieces.
		if u.pieces && u.at+n == u.size {
			break
		}
		answer, err := u.send(ctx, http.MethodPatch, u.to, n, http.StatusAccepted, http.StatusNoContent, http.StatusCreated) //nolint:bodyclose // send has read and closed it
		if err != nil {
			return err
		}
		// What was sent counts, not what Range says: ECR's stays at the first piece.
		u.at += n
		u.tally.add(n)
		if err := u.follow(answer); err != nil {
			return err
		}
	}
	last := *u.to
	query := last.Query()
	query.Set("digest", u.digest.String())
	last.RawQuery = query.Encode()
	n := u.size - u.at
	_, err := u.send(ctx, http.MethodPut, &last, n, http.StatusCreated, http.StatusNoContent, http.StatusOK) //nolint:bodyclose // send has read and closed it
	if err == nil {
		u.tally.add(n)
	}
	return err
}

// open begins an upload, unless the registry has the blob in another repository and takes it from
// there. The carrier tries again.
func (u *upload) open(ctx context.Context) (mounted bool, err error) {
	address := u.address("uploads/")
	if u.from != "" {
		address.RawQuery = url.Values{"mount": {u.digest.String()}, "from": {u.from}}.Encode()
		u.from = "" // once: a registry that cannot do it is not asked twice
	}
	mounting := address.RawQuery != ""
	answer, err := u.ask(ctx, http.MethodPost, address)
	if err != nil {
		return false, err
	}
	defer discard(answer)
	if err := transport.CheckError(answer, http.StatusAccepted, http.StatusCreated); err != nil {
		if mounting {
			return u.open(ctx) // some refuse what they do not know instead of ignoring it
		}
		return false, err
	}
	if answer.StatusCode == http.StatusCreated && mounting {
		return true, nil
	}
	u.at = 0
	if least, err := strconv.ParseInt(answer.Header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil {
		u.piece = max(u.piece, least)
	}
	return false, u.follow(answer)
}

// follow takes the address for the next request from an answer.
func (u *upload) follow(answer *http.Response) error {
	text := answer.Header.Get("Location")
	if text == "" && u.to != nil {
		return nil
	}
	next, err := answer.Request.URL.Parse(text)
	if text == "" || err != nil {
		return fmt.Errorf("%s %s: the registry does not say where to send the blob (Location: %q)", answer.Request.Method, answer.Request.URL.Path, text)
	}
	if answer.Request.URL.Scheme == "https" && next.Scheme != "https" {
		return fmt.Errorf("the registry wants the blob sent without encryption, to %s://%s: not done", next.Scheme, next.Host)
	}
	u.to = next
	return nil
}

// send sends the next n bytes in one request.
func (u *upload) send(parent context.Context, method string, to *url.URL, n int64, good ...int) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(once(parent))
	defer cancel(nil)
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watch.Stop()
	var bodies []*section
	end := u.at + n
	open := func() (io.ReadCloser, error) {
		bodies = append(bodies, &section{layer: u.Layer, at: u.at, end: end, moved: func(at int64) {
			watch.Reset(stall)
			if at == end {
				watch.Stop() // all is sent: the answer has its own limit
			}
			u.tally.set(u.digest, at)
		}})
		return bodies[len(bodies)-1], nil
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), nil)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		req.GetBody, req.ContentLength = open, n
		if req.Body, err = open(); err != nil {
			return nil, err
		}
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	if u.pieces && n > 0 {
		req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", u.at, u.at+n-1))
	}
	answer, err := u.do(req)
	var unread error
	for _, body := range bodies {
		unread = errors.Join(unread, body.stop())
	}
	if err != nil {
		if unread != nil {
			return nil, &localError{fmt.Errorf("read the blob: %w", unread)}
		}
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		}
		if parent.Err() == nil && passingError(err, 1) {
			return nil, &brokenError{err: err}
		}
		return nil, err
	}
	defer discard(answer)
	if err := transport.CheckError(answer, good...); err != nil {
		// The upload itself may have become useless: begun with another instance, or timed out.
		if slices.Contains(busy, answer.StatusCode) || slices.Contains(lost, answer.StatusCode) {
			return nil, &brokenError{err: summary(err), answer: answer}
		}
		return nil, err
	}
	return answer, nil
}

// lost are the answers of a registry that does not know the upload, or wants none of it like this.
var lost = []int{
	http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusGone,
	http.StatusLengthRequired, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable, http.StatusNotImplemented,
}

// resume finds out where to go on after a break.
func (u *upload) resume(ctx context.Context, broken *brokenError) error {
	if broken.answer != nil && slices.Contains(lost, broken.answer.StatusCode) {
		u.refused = u.refused || u.pieces
		u.to = nil
	}
	u.pieces = !u.refused
	to := u.to
	u.to, u.at = nil, 0
	if to == nil || u.refused {
		return nil
	}
	answer, err := u.ask(ctx, http.MethodGet, to)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return nil // the next attempt says what is wrong
	}
	defer discard(answer)
	at, ok := acknowledged(answer.Header.Get("Range"))
	if answer.StatusCode/100 != 2 || !ok || at > u.size {
		return nil
	}
	u.to = to
	if err := u.follow(answer); err != nil {
		return err
	}
	u.at = at
	return nil
}

// acknowledged reads how many bytes the registry has from "0-1023" or "bytes=0-1023". "0-0" is what
// registries say of none; then there is nothing to go on from.
func acknowledged(text string) (int64, bool) {
	text = strings.TrimPrefix(strings.TrimPrefix(text, "bytes="), "bytes ")
	first, last, ok := strings.Cut(text, "-")
	end, err := strconv.ParseInt(last, 10, 64)
	if !ok || first != "0" || err != nil || end < 1 {
		return 0, false
	}
	return end + 1, true
}

// has reports whether the repository has a blob.
func (r *repository) has(ctx context.Context, digest v1.Hash) (bool, error) {
	answer, err := r.ask(ctx, http.MethodHead, r.address(digest.String()))
	if err != nil {
		return false, err
	}
	defer discard(answer)
	if err := transport.CheckError(answer, http.StatusOK, http.StatusNotFound); err != nil {
		return false, err
	}
	return answer.StatusCode == http.StatusOK, nil
}

func (r *repository) address(blob string) *url.URL {
	return &url.URL{Scheme: r.Scheme(), Host: r.RegistryStr(), Path: "/v2/" + r.RepositoryStr() + "/blobs/" + blob}
}

func (r *repository) ask(ctx context.Context, method string, address *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address.String(), nil)
	if err != nil {
		return nil, err
	}
	return r.do(req)
}

// do sends a request. Its error is without the address, in which uploads carry what proves who we are.
func (r *repository) do(req *http.Request) (*http.Response, error) {
	answer, err := r.client.Do(req)
	var with *url.Error
	if !errors.As(err, &with) {
		return answer, err
	}
	err = with.Err
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		err = fmt.Errorf("the connection broke: %w", err)
	}
	return answer, fmt.Errorf("%s: %w", req.Method, err)
}

// brokenError is a transfer after which there may be a way to go on.
type brokenError struct {
	err    error
	answer *http.Response // nil when the connection broke
}

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

func (e *brokenError) goesOn(attempt int) bool {
	return attempt < attempts && (e.answer != nil || passingError(e.err, attempt))
}

// localError is a failure on this side: no attempt ends otherwise.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }

// section reads a blob from at to end. It is opened by the first read: of several bodies that are
// made for a request mostly one is read. The transport may read on when the request has been
// answered or has failed; stop ends that.
type section struct {
	layer v1.Layer
	end   int64
	moved func(at int64)

	mu      sync.Mutex
	at      int64
	open    io.ReadCloser
	failed  error
	stopped bool
}

func (s *section) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return 0, errors.New("the request is over")
	}
	if s.at == s.end {
		return 0, io.EOF
	}
	if s.open == nil {
		if s.open, s.failed = from(s.layer, s.at); s.failed != nil {
			return 0, s.failed
		}
	}
	n, err := s.open.Read(p[:min(int64(len(p)), s.end-s.at)])
	s.at += int64(n)
	if errors.Is(err, io.EOF) && s.at < s.end {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	if n > 0 {
		s.moved(s.at)
	}
	return n, err
}

// Close implements io.Closer.
func (s *section) Close() error {
	_ = s.stop()
	return nil
}

// stop ends reading, and returns what was wrong with the blob.
func (s *section) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.open != nil {
		_ = s.open.Close() // it was only read
		s.open = nil
	}
	return s.failed
}

// from opens a layer at an offset.
func from(l v1.Layer, offset int64) (io.ReadCloser, error) {
	content, err := l.Compressed()
	if err != nil || offset == 0 {
		return content, err
	}
	if file, ok := content.(io.Seeker); ok {
		_, err = file.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, content, offset)
	}
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return content, nil
}
