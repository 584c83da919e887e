package debiantest

import (
	"bytes"
	"net/http"
	"strings"
)

// Fault is something that goes wrong with the answers to some requests.
type Fault struct {
	Path  string // part of the URL path
	Times int    // how many requests; 0 = all

	// One of these.
	Status  int             // answer with this status instead
	Cut     int             // break the connection after so many bytes of the body
	Keep    int             // serve a file that ends after so many bytes, honestly
	Corrupt bool            // change a byte in the middle
	Stall   bool            // send half, then nothing more
	Hold    <-chan struct{} // answer only after this is closed

	RetryAfter string // with a Status: when to ask again

	NoRange bool // with or without one of them: ignore the Range header
}

// Fault makes requests go wrong from now on; earlier faults come first.
func (a *Archive) Fault(f Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.Times == 0 {
		f.Times = -1
	}
	a.faults = append(a.faults, &f)
}

// Heal takes all faults away.
func (a *Archive) Heal() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = nil
}

func (a *Archive) faultFor(path string) *Fault {
	for _, f := range a.faults {
		if f.Times != 0 && strings.Contains(path, f.Path) {
			f.Times--
			return f
		}
	}
	return nil
}

// apply returns what to answer with; a nil writer means that it has answered.
func (f *Fault) apply(w http.ResponseWriter, r *http.Request, data []byte) (http.ResponseWriter, []byte) {
	if f.NoRange {
		r.Header.Del("Range")
	}
	switch {
	case f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		http.Error(w, "fault", f.Status)
		return nil, nil
	case f.Cut > 0:
		return &cutWriter{w, f.Cut}, data
	case f.Keep > 0:
		return w, data[:min(f.Keep, len(data))]
	case f.Corrupt:
		data = bytes.Clone(data)
		data[len(data)/2] ^= 0xff
		return w, data
	case f.Stall:
		return &stallWriter{w, r, len(data) / 2}, data
	case f.Hold != nil:
		select {
		case <-f.Hold:
		case <-r.Context().Done():
		}
	}
	return w, data
}

// cutWriter breaks the connection after some bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if len(b) < c.left {
		c.left -= len(b)
		return c.ResponseWriter.Write(b)
	}
	send(c.ResponseWriter, b[:c.left])
	panic(http.ErrAbortHandler)
}

// stallWriter sends some bytes and then nothing until the client goes away.
type stallWriter struct {
	http.ResponseWriter
	r    *http.Request
	left int
}

func (s *stallWriter) Write(b []byte) (int, error) {
	if len(b) < s.left {
		s.left -= len(b)
		return s.ResponseWriter.Write(b)
	}
	send(s.ResponseWriter, b[:s.left])
	<-s.r.Context().Done()
	panic(http.ErrAbortHandler)
}

// send writes what is still to be seen of an answer; whether the client is there no longer matters.
func send(w http.ResponseWriter, b []byte) {
	_, _ = w.Write(b)
	_ = http.NewResponseController(w).Flush()
}
