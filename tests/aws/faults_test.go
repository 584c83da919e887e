package aws

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// fault is AWS' answer to what would else reach the emulator.
type fault struct {
	// what is part of a request: "PUT /bucket", or in its body "Action=CreateVpc".
	what   string
	status int
	body   string
}

// faulty puts a proxy before the emulator, which gives AWS' own answers where a test wants them.
// The SDK view of a place goes past it.
type faulty struct {
	mu     sync.Mutex
	faults []fault
}

// answer sets the faults; none lets everything through again.
func (f *faulty) answer(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

func (f *faulty) find(line, body string) (fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.faults {
		if strings.HasPrefix(line, one.what) || strings.Contains(body, one.what) {
			return one, true
		}
	}
	return fault{}, false
}

// faults lets a test answer in the emulator's place, from now on.
func (p *place) faults() *faulty {
	p.t.Helper()
	target, err := url.Parse(p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	f := &faulty{}
	forward := httputil.NewSingleHostReverseProxy(target)
	// An interrupted command drops its requests: no reason to say so.
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if one, ok := f.find(r.Method+" "+r.URL.Path, string(body)); ok {
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(one.status)
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(w, one.body)
			}
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	}))
	p.t.Cleanup(server.Close)
	p.env = append(p.env, "AWS_ENDPOINT_URL="+server.URL)
	return f
}

// queryError is an answer of the APIs that speak XML.
func queryError(code, message string) string {
	return `<ErrorResponse><Error><Type>Sender</Type><Code>` + code + `</Code><Message>` + message +
		`</Message></Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>`
}
