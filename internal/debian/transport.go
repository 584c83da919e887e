package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"platen/internal/report"
	"platen/internal/retry"
)

// attempts is how often in a row a request may fail without having brought a byte more.
const attempts = 4

// longestWait bounds what a server may ask for with Retry-After.
const longestWait = time.Minute

func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true // sizes and checksums are those of the file as it is
	t.MaxIdleConnsPerHost = parallel
	t.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	return &http.Client{Transport: t}
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

// absentError is the answer of a server that works and lists the file nowhere.
type absentError struct{ text string }

func (e *absentError) Error() string { return e.text }

// gone tells that the server works and does not have the file.
func gone(err error) bool {
	var s *statusError
	var absent *absentError
	return errors.As(err, &absent) || errors.As(err, &s) && (s.code == http.StatusNotFound || s.code == http.StatusGone)
}

// temporary tells whether the same request may succeed a moment later.
func temporary(err error) bool {
	var s *statusError
	if errors.As(err, &s) {
		return s.code >= 500 || s.code == http.StatusRequestTimeout || s.code == http.StatusTooManyRequests
	}
	var wrong *contentError
	var cache *cacheError
	return !errors.As(err, &wrong) && !errors.As(err, &cache) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// contentError is a file that is not what the signed index says.
type contentError struct{ url, what string }

func (e *contentError) Error() string { return e.url + ": " + e.what }

// request asks for url from byte offset on. The body ends with an error when it is silent for
// longer than Options.Stall; closing it ends the request.
func (a *Archive) request(ctx context.Context, url string, offset int64) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := fmt.Errorf("%s: no byte for %v", url, a.o.Stall)
	timer := time.AfterFunc(a.o.Stall, func() { cancel(stalled) })
	stop := func() { timer.Stop(); cancel(nil) }

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		stop()
		return nil, err
	}
	req.Header.Set("User-Agent", "platen")
	if offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		if errors.Is(context.Cause(ctx), stalled) {
			err = stalled
		}
		stop()
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, stalled: stalled, stop: stop,
		alive: func() { timer.Reset(a.o.Stall) }}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		resp.Body.Close()
		failed := &statusError{url: url, code: resp.StatusCode}
		failed.wait, _ = retry.After(resp)
		return nil, failed
	}
	return resp, nil
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

// get reads a whole file of at most limit bytes into memory, trying again while that may help.
func (a *Archive) get(ctx context.Context, url string, limit int64) ([]byte, error) {
	var last error
	for n := range attempts {
		if err := a.pause(ctx, n, last); err != nil {
			return nil, err
		}
		var data []byte
		data, last = a.getOnce(ctx, url, limit)
		if last == nil {
			return data, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !temporary(last) {
			return nil, last
		}
	}
	return nil, fmt.Errorf("%w (tried %d times)", last, attempts)
}

func (a *Archive) getOnce(ctx context.Context, url string, limit int64) ([]byte, error) {
	resp, err := a.request(ctx, url, 0)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var buf bytes.Buffer
	if resp.ContentLength > 0 && resp.ContentLength <= limit {
		buf.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1)); err != nil {
		return nil, fmt.Errorf("read %s after %d bytes: %w", url, buf.Len(), err)
	}
	if int64(buf.Len()) > limit {
		return nil, &contentError{url, fmt.Sprintf("larger than the %d bytes that it may have", limit)}
	}
	return buf.Bytes(), nil
}

// pause waits before attempt n (0 is the first); the wait doubles each time, and is at least what the
// server asked for when the one before failed.
func (a *Archive) pause(ctx context.Context, n int, last error) error {
	if n == 0 {
		return context.Cause(ctx)
	}
	wait := a.o.RetryWait << (n - 1)
	if status := (*statusError)(nil); errors.As(last, &status) {
		wait = max(wait, min(status.wait, longestWait))
	}
	return a.o.Wait(ctx, wait)
}

// mirrorHint says what to do about a mirror that does not answer or answers wrongly.
func (a *Archive) mirrorHint(err error) error {
	return report.Hint(err,
		"the mirror was taken from %s; check the network or the proxy (http_proxy), or name another mirror with image.mirror in platen.yaml or %s",
		a.o.Mirror.From, MirrorEnv)
}
