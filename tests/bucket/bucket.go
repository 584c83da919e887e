// Package bucket is a store that speaks as much of S3 as Platen's PHP does, for its tests. Who asks
// must sign: signatures are judged by AWS' own signer. It holds objects in memory, remembers what it
// was asked, and fails as it is told. A test's script, which runs in a container, tells it by HTTP.
package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Region is the store's own: a signature for another is refused, as AWS does.
const Region = "eu-west-1"

// Control is the path below which a test, and nobody else, speaks to the store without signing.
const Control = "/_test/"

// Call is what the store was asked, and what it answered. Status 0 is a connection that was cut.
type Call struct {
	Method string `json:"method"`
	Key    string `json:"key"`
	Status int    `json:"status"`
	Why    string `json:"why,omitempty"`
}

// Fault is how some requests fail: the next Times that have the method and whose key holds Key.
type Fault struct {
	Method string `json:"method"` // any when empty
	Key    string `json:"key"`    // any when empty
	Kind   string `json:"kind"`   // 500 | SlowDown | AccessDenied | cut (in the middle of the body) | flip (a byte of it)
	Times  int    `json:"times"`
}

type object struct {
	data   []byte
	header http.Header
	at     time.Time
}

// Store is one bucket. It answers at the path of its name.
type Store struct {
	name  string
	creds aws.Credentials

	mu      sync.Mutex
	objects map[string]object
	calls   []Call
	faults  []Fault
	meeting map[string]chan struct{}
}

// New makes an empty bucket that knows one pair of keys; a session's has a token too.
func New(name string, creds aws.Credentials) *Store {
	return &Store{name: name, creds: creds, objects: map[string]object{}, meeting: map[string]chan struct{}{}}
}

// Object is an object's bytes and what it says of itself; nil when there is none.
func (s *Store) Object(key string) ([]byte, http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, found := s.objects[key]
	if !found {
		return nil, nil
	}
	return o.data, o.header
}

// Keys are the keys of all objects, sorted.
func (s *Store) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]string, 0, len(s.objects))
	for key := range s.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

type failure struct {
	status        int
	code, message string
}

func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if what, ours := strings.CutPrefix(r.URL.Path, Control); ours {
		s.control(w, r, what)
		return
	}
	key, ours := strings.CutPrefix(r.URL.Path, "/"+s.name+"/")
	call := Call{Method: r.Method, Key: key}
	if prefix := r.URL.Query().Get("prefix"); key == "" {
		call.Method, call.Key = "LIST", prefix
	}
	fault := s.fault(call)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, call)
	}()
	refuse := func(f failure) {
		call.Status, call.Why = f.status, f.code+": "+f.message
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(f.status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", f.code, f.message)
		}
	}
	cut := func() {
		call.Why = "cut"
		connection, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			connection.Close()
		}
	}
	switch fault {
	case "cut":
		if r.Method == http.MethodPut {
			io.CopyN(io.Discard, r.Body, r.ContentLength/2) //nolint:errcheck // the cut is the point
		}
		if r.Method != http.MethodGet || key == "" {
			cut()
			return
		}
	case "500":
		refuse(failure{500, "InternalError", "We encountered an internal error. Please try again."})
		return
	case "SlowDown":
		refuse(failure{503, "SlowDown", "Please reduce your request rate."})
		return
	case "AccessDenied":
		refuse(failure{403, "AccessDenied", "Access Denied"})
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		cut()
		return
	}
	if f := s.judge(r, body); f != nil {
		refuse(*f)
		return
	}
	if !ours {
		refuse(failure{404, "NoSuchBucket", "The specified bucket does not exist"})
		return
	}
	if key == "" {
		call.Status = 200
		s.list(w, r)
		return
	}

	s.mu.Lock()
	o, found := s.objects[key]
	switch r.Method {
	case http.MethodPut:
		if r.Header.Get("If-None-Match") == "*" && found {
			s.mu.Unlock()
			refuse(failure{412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"})
			return
		}
		s.objects[key] = object{body, r.Header.Clone(), time.Now()}
	case http.MethodDelete:
		delete(s.objects, key)
	}
	s.mu.Unlock()

	switch r.Method {
	case http.MethodPut:
		call.Status = 200
	case http.MethodDelete:
		call.Status = 204
		w.WriteHeader(204)
	case http.MethodGet, http.MethodHead:
		if !found {
			refuse(failure{404, "NoSuchKey", "The specified key does not exist."})
			return
		}
		call.Status = 200
		sum := sha256.Sum256(o.data)
		w.Header().Set("Content-Type", o.header.Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(len(o.data)))
		w.Header().Set("Last-Modified", o.at.UTC().Format(http.TimeFormat))
		if r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
			w.Header().Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
		}
		if r.Method == http.MethodHead {
			return
		}
		data := o.data
		if fault == "flip" {
			data = slices.Clone(data)
			data[len(data)/2] ^= 1
		}
		if fault == "cut" {
			data = data[:len(data)/2]
		}
		w.Write(data) //nolint:errcheck // who asked has gone
		if fault == "cut" {
			call.Status = 0
			http.NewResponseController(w).Flush() //nolint:errcheck // the cut is the point
			cut()
		}
	default:
		refuse(failure{405, "MethodNotAllowed", r.Method})
	}
}

func (s *Store) fault(call Call) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults {
		f := &s.faults[i]
		if f.Times > 0 && (f.Method == "" || f.Method == call.Method) && strings.Contains(call.Key, f.Key) {
			f.Times--
			return f.Kind
		}
	}
	return ""
}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request,\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})$`)

// mustSign are the headers that change what a request does: AWS refuses one that leaves out any x-amz.
func mustSign(header http.Header) []string {
	names := []string{"host"}
	for name := range header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			names = append(names, name)
		}
	}
	return names
}

// judge verifies the signature and the body's digest, in AWS' order and with AWS' words.
func (s *Store) judge(r *http.Request, body []byte) *failure {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return &failure{403, "AccessDenied", "Access Denied"}
	}
	if m[1] != s.creds.AccessKeyID {
		return &failure{403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."}
	}
	if r.Header.Get("X-Amz-Security-Token") != s.creds.SessionToken {
		return &failure{400, "ExpiredToken", "The provided token has expired."}
	}
	if m[3] != Region {
		return &failure{400, "AuthorizationHeaderMalformed", "the region is wrong; expecting " + Region}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || at.Format("20060102") != m[2] || time.Since(at).Abs() > 15*time.Minute {
		return &failure{403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large."}
	}
	signed := strings.Split(m[4], ";")
	for _, name := range mustSign(r.Header) {
		if !slices.Contains(signed, name) {
			return &failure{403, "AccessDenied", "There were headers present in the request which were not signed: " + name}
		}
	}
	// The same request, with nothing but what was signed, signed by AWS' code.
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), nil)
	if err != nil {
		return &failure{400, "InvalidRequest", err.Error()}
	}
	for _, name := range signed {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	digest := r.Header.Get("X-Amz-Content-Sha256")
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(context.Background(), s.creds, again, digest, "s3", m[3], at); err != nil {
		return &failure{400, "InvalidRequest", err.Error()}
	}
	want := authorization.FindStringSubmatch(again.Header.Get("Authorization"))
	if want == nil || want[4] != m[4] || want[5] != m[5] {
		return &failure{403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."}
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != digest {
		return &failure{400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."}
	} else if told := r.Header.Get("X-Amz-Checksum-Sha256"); told != "" && told != base64.StdEncoding.EncodeToString(sum[:]) {
		return &failure{400, "BadDigest", "The SHA256 you specified did not match the calculated checksum."}
	}
	return nil
}

type listed struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []content
	CommonPrefixes        []commonPrefix
}

type content struct {
	Key, LastModified string
	Size              int
}

type commonPrefix struct{ Prefix string }

func (s *Store) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	most, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil {
		most = 1000
	}
	prefix, delimiter, after := q.Get("prefix"), q.Get("delimiter"), q.Get("continuation-token")
	s.mu.Lock()
	found := map[string]*content{}
	for key, o := range s.objects {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if i := strings.Index(key[len(prefix):], delimiter); delimiter != "" && i >= 0 {
			found[key[:len(prefix)+i+len(delimiter)]] = nil
		} else {
			found[key] = &content{key, o.at.UTC().Format("2006-01-02T15:04:05.000Z"), len(o.data)}
		}
	}
	s.mu.Unlock()
	entries := make([]string, 0, len(found))
	for entry := range found {
		if entry > after {
			entries = append(entries, entry)
		}
	}
	sort.Strings(entries)
	var answer listed
	if len(entries) > most {
		entries = entries[:most]
		answer.IsTruncated, answer.NextContinuationToken = true, entries[most-1]
	}
	for _, entry := range entries {
		if c := found[entry]; c != nil {
			answer.Contents = append(answer.Contents, *c)
		} else {
			answer.CommonPrefixes = append(answer.CommonPrefixes, commonPrefix{entry})
		}
	}
	w.Header().Set("Content-Type", "application/xml")
	xml.NewEncoder(w).Encode(answer) //nolint:errcheck // who asked has gone
}

// control is the test's own way in: keys, an object, the calls since the last question, faults, a
// place where several meet, and the keys of a task's role as ECS hands them out.
func (s *Store) control(w http.ResponseWriter, r *http.Request, what string) {
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v) //nolint:errcheck // who asked has gone
	}
	switch what {
	case "keys":
		answer(s.Keys())
	case "object":
		data, header := s.Object(r.FormValue("key"))
		if header == nil {
			http.NotFound(w, r)
			return
		}
		sum := sha256.Sum256(data)
		answer(map[string]any{
			"size": len(data), "sha256": hex.EncodeToString(sum[:]), "type": header.Get("Content-Type"),
			"cache": header.Get("Cache-Control"), "disposition": header.Get("Content-Disposition"),
		})
	case "calls":
		s.mu.Lock()
		calls := append([]Call{}, s.calls...)
		s.calls = nil
		s.mu.Unlock()
		answer(calls)
	case "faults":
		var faults []Fault
		if err := json.NewDecoder(r.Body).Decode(&faults); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.faults = faults
		s.mu.Unlock()
	case "meet": // waits until a second one is here
		s.mu.Lock()
		name := r.FormValue("name")
		other, waits := s.meeting[name]
		if waits {
			delete(s.meeting, name)
			close(other)
		} else {
			other = make(chan struct{})
			s.meeting[name] = other
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-time.After(time.Minute):
			http.Error(w, "nobody came", http.StatusGatewayTimeout)
		}
	case "role":
		answer(map[string]any{
			"AccessKeyId": s.creds.AccessKeyID, "SecretAccessKey": s.creds.SecretAccessKey, "Token": s.creds.SessionToken,
			"Expiration": time.Now().Add(6 * time.Hour).UTC().Format(time.RFC3339), "RoleArn": "arn:aws:iam::123456789012:role/blog-web-task",
		})
		s.mu.Lock()
		s.calls = append(s.calls, Call{Method: "ROLE", Status: 200})
		s.mu.Unlock()
	default:
		http.NotFound(w, r)
	}
}
