package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"platen/internal/site"
	"platen/internal/topology"
)

// request is one that the SDK sent, in the words of its service: an action with its parameters
// (query protocol), a target with a body (JSON protocol), or method and path.
type request struct {
	Action string
	Values url.Values // of the query protocol
	Body   string
	Query  string // the first parameter behind the path: of S3, what of a bucket is meant
	Region string // that it was signed for
}

// account answers the real SDK over HTTP with what AWS documents, and remembers what was asked.
type account struct {
	mu    sync.Mutex
	asked []string // action and what the answer noted
	// answer returns the status and the body; note is remembered behind the action.
	answer func(r request) (status int, body, note string)
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	in := request{Body: string(body), Action: r.Method + " " + r.URL.Path}
	in.Query, _, _ = strings.Cut(r.URL.RawQuery, "&")
	in.Query = strings.TrimSuffix(in.Query, "=")
	if _, scope, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		if parts := strings.Split(scope, "/"); len(parts) > 2 {
			in.Region = parts[2]
		}
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		in.Action = target[strings.LastIndex(target, ".")+1:]
	} else if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		in.Values, _ = url.ParseQuery(in.Body)
		in.Action = in.Values.Get("Action")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	status, answer, note := a.answer(in)
	a.asked = append(a.asked, strings.TrimSpace(in.Action+" "+note))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// wants fails unless exactly these were asked, in this order, of the actions that are named.
func (a *account) wants(t *testing.T, of []string, want ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var got []string
	for _, asked := range a.asked {
		action, _, _ := strings.Cut(asked, " ")
		if slices.Contains(of, action) {
			got = append(got, asked)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

// placeOn is the environment blog/dev in an account that answers so.
func placeOn(t *testing.T, answer func(request) (int, string, string)) (*Place, *account) {
	t.Helper()
	a := &account{answer: answer}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	topo := topology.Topology{Site: "blog", Env: "dev", AWS: &topology.AWS{AWSSpec: site.AWSSpec{Account: "123456789012", Region: "eu-west-1"}}}
	p := connect(aws.Config{
		Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		RetryMaxAttempts: 1,
	}, Options{Topology: topo, Now: time.Now})
	p.pause = func(ctx context.Context, _ time.Duration) error { return pause(ctx, time.Millisecond) }
	return p, a
}

// field is a string in a JSON body.
func field(body, name string) string {
	all := map[string]any{}
	_ = json.Unmarshal([]byte(body), &all)
	return fmt.Sprint(all[name])
}

// unexpected fails the SDK's call: the test did not foresee it.
func unexpected(r request) (int, string, string) {
	return http.StatusBadRequest, `{"__type":"Unexpected","message":"` + r.Action + `"}`, "unexpected"
}

// rendered is a stack's variables as JSON.
func rendered(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
