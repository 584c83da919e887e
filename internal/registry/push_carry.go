package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"platen/internal/retry"
)

const (
	// attempts at a request, or without progress at a blob: with the pauses below, a minute.
	attempts = 8
	// dialAttempts is less: an address at which nobody listens is mostly a wrong one.
	dialAttempts = 3
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	// patience is the longest that a registry may ask us to wait.
	patience = 5 * time.Minute
)

// carrier carries requests below the authentication of go-containerregistry: it tries again what a
// registry or the way to it failed for the moment, and renews credentials that have expired in the
// middle. Every attempt has the whole body, also that of a caller who read the first one.
type carrier struct {
	inner http.RoundTripper
	login *login
	wait  func(context.Context, time.Duration) error
	say   func(string)
}

type carryOnce struct{}

// once marks requests that have to be looked at after every failure.
func once(ctx context.Context) context.Context { return context.WithValue(ctx, carryOnce{}, true) }

// RoundTrip implements http.RoundTripper.
func (c *carrier) RoundTrip(in *http.Request) (*http.Response, error) {
	if in.Body != nil {
		defer func() { _ = in.Body.Close() }() // GetBody has it from the start
	}
	for attempt := 1; ; attempt++ {
		answer, err := c.attempt(in)
		if in.Context().Value(carryOnce{}) != nil || !passing(in.Context(), answer, err, attempt) {
			return answer, err
		}
		pause, tooLong := pauseFor(answer, attempt)
		if tooLong != nil {
			return nil, errors.Join(tooLong, answer.Body.Close())
		}
		c.say(fmt.Sprintf("%s: %s; again in %s", in.URL.Host, failure(answer, err), pause.Round(100*time.Millisecond)))
		discard(answer)
		if err := c.wait(in.Context(), pause); err != nil {
			return nil, err
		}
	}
}

// attempt sends a request, and sends it again when only the credentials were too old.
func (c *carrier) attempt(in *http.Request) (*http.Response, error) {
	answer, err := c.send(in, in.Header.Get("Authorization"))
	stale := in.Header.Get("Authorization")
	if err != nil || !strings.HasPrefix(stale, "Basic ") || !c.expired(answer) {
		return answer, err
	}
	fresh, ok, err := c.login.renew(in.Context(), stale)
	if err != nil {
		return nil, errors.Join(err, answer.Body.Close())
	}
	if !ok {
		return answer, nil
	}
	discard(answer)
	return c.send(in, fresh)
}

func (c *carrier) send(in *http.Request, authorization string) (*http.Response, error) {
	out := in.Clone(in.Context())
	if authorization != "" {
		out.Header.Set("Authorization", authorization)
	}
	if in.GetBody != nil {
		body, err := in.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	return c.inner.RoundTrip(out)
}

// expired reports whether newer credentials may help. ECR says 403 to a token that has expired, in
// words, and to HEAD without any.
func (c *carrier) expired(answer *http.Response) bool {
	switch answer.StatusCode {
	case http.StatusUnauthorized:
		return true
	case http.StatusForbidden:
		if answer.Request != nil && answer.Request.Method == http.MethodHead {
			return c.login.tokens
		}
		text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(text), answer.Body), answer.Body}
		return err == nil && strings.Contains(strings.ToLower(string(text)), "token has expired")
	default:
		return false
	}
}

// busy are the answers that may be another a moment later; 499 and the 520s are those of proxies.
var busy = []int{
	http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	499, 520, 521, 522, 523, 524,
}

// passing reports whether another attempt may end otherwise.
func passing(ctx context.Context, answer *http.Response, err error, attempt int) bool {
	if ctx.Err() != nil || attempt >= attempts {
		return false
	}
	if err == nil {
		return slices.Contains(busy, answer.StatusCode)
	}
	return passingError(err, attempt)
}

func passingError(err error, attempt int) bool {
	var (
		local   *localError
		dns     *net.DNSError
		dial    *net.OpError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		asked   *tooLongError
	)
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, &local), errors.As(err, &asked):
		return false
	case errors.As(err, &dns) && dns.IsNotFound, errors.As(err, &cert), errors.As(err, &record), errors.As(err, &unknown),
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return false
	case errors.As(err, &dial) && dial.Op == "dial":
		return attempt < dialAttempts
	default:
		return true
	}
}

// tooLongError is a registry that wants to be left alone for longer than a person would wait.
type tooLongError struct {
	status string
	asked  time.Duration
}

func (e *tooLongError) Error() string {
	return fmt.Sprintf("the registry answered %s and asks to wait %s", e.status, e.asked)
}

func (e *tooLongError) Hint() string {
	return "run it again then: what the registry has is not sent again"
}

// pauseFor is how long to wait before the next attempt: what the registry asks for, else longer
// each time.
func pauseFor(answer *http.Response, attempt int) (time.Duration, error) {
	pause := min(firstPause<<(attempt-1), longestPause)
	pause += rand.N(pause / 10) // several of us do not come back at the same moment
	if answer == nil {
		return pause, nil
	}
	asked, ok := retry.After(answer)
	if !ok {
		return pause, nil
	}
	if asked > patience {
		return 0, &tooLongError{answer.Status, asked}
	}
	return asked, nil
}

// failure is what went wrong, in a few words.
func failure(answer *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	return answer.Status
}

// discard ends an answer so that its connection can be used again.
func discard(answer *http.Response) {
	if answer != nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
		_ = answer.Body.Close()
	}
}
