package aws

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// canned is an AWS of recorded answers: the real SDK asks it by HTTP. Objects of the state bucket
// are kept, so that records are read back.
type canned struct {
	mu      sync.Mutex
	objects map[string]string
	calls   []string
	// noBucket: the bucket of state was never made.
	noBucket bool
	// answer is what an action says, by its name, with the request's parameters: the status and the
	// body, in XML or JSON as the action's protocol has it.
	answer map[string]func(in url.Values) (int, string)
}

const (
	cannedAccount = "123456789012"
	cannedYAML    = `platen: 1
name: blog
admin: {email: ops@example.com}
environments:
  prod:
    target: aws
    account: "123456789012"
    region: eu-west-1
    hosts: {type: m7g.large, count: 2..4}
    database: {class: db.r6g.large, readers: 1}
`
)

func newCanned() *canned {
	return &canned{objects: map[string]string{}, answer: map[string]func(url.Values) (int, string){
		"GetCallerIdentity": func(url.Values) (int, string) {
			return 200, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>` + cannedAccount + `</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
		},
		"DescribeTable": func(url.Values) (int, string) { return 400, `{"__type":"ResourceNotFoundException"}` },
	}}
}

func (c *canned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	in, _ := url.ParseQuery(string(body))
	action := in.Get("Action")
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		action, in = target[strings.LastIndexByte(target, '.')+1:], url.Values{"body": {string(body)}}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	}
	if action == "" {
		c.object(w, r, body)
		return
	}
	c.calls = append(c.calls, action)
	say, ok := c.answer[action]
	if !ok {
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, `{"__type":"NotCanned","message":%q}`, action)
		return
	}
	status, text := say(in)
	w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE([]byte(text)))) // DynamoDB's
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// object is S3, as far as records need it.
func (c *canned) object(w http.ResponseWriter, r *http.Request, body []byte) {
	key := r.URL.Path
	etag := func() string { return fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(c.objects[key]))) }
	now, there := c.objects[key]
	switch {
	case c.noBucket:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<Error><Code>NoSuchBucket</Code></Error>`)
	case r.Method == http.MethodGet && r.URL.Query().Has("tagging"):
		_, _ = io.WriteString(w, `<Tagging><TagSet><Tag><Key>ManagedBy</Key><Value>platen</Value></Tag><Tag><Key>Site</Key><Value>blog</Value></Tag></TagSet></Tagging>`)
	case r.Method == http.MethodHead && strings.Count(strings.Trim(key, "/"), "/") == 0:
	case r.Method == http.MethodGet && there:
		w.Header().Set("ETag", etag())
		_, _ = io.WriteString(w, now)
	case r.Method == http.MethodPut:
		if match := r.Header.Get("If-Match"); match != "" && match != etag() || r.Header.Get("If-None-Match") == "*" && there {
			w.WriteHeader(http.StatusPreconditionFailed)
			_, _ = io.WriteString(w, `<Error><Code>PreconditionFailed</Code></Error>`)
			return
		}
		text := string(body)
		if strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") { // records are one chunk
			size, rest, _ := strings.Cut(text, "\r\n")
			size, _, _ = strings.Cut(size, ";")
			n, err := strconv.ParseInt(size, 16, 32)
			if err != nil || int(n) > len(rest) {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			text = rest[:n]
		}
		c.objects[key] = text
		w.Header().Set("ETag", etag())
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
	}
}

// applied is a Terraform that plans what the test says.
type applied struct {
	plan  report.StackPlan
	err   error
	then  func() // after an apply
	image string // that the variables of the cluster name

	mu    sync.Mutex // stacks are planned and applied side by side
	calls []string
}

func (a *applied) note(call string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
}

func (a *applied) Prepare(_ context.Context, stacks []topology.Stack, _ report.Sink) error {
	for _, s := range stacks {
		if s.Name == topology.StackCluster {
			var v struct{ Hosts struct{ Image string } }
			if err := json.Unmarshal(s.Files[topology.VariablesFile("prod")], &v); err != nil {
				return err
			}
			a.image = v.Hosts.Image
		}
	}
	a.note("prepare " + a.image)
	return nil
}

func (a *applied) Plan(_ context.Context, stack string, _ topology.StackRun) (report.StackPlan, error) {
	a.note("plan " + stack)
	return a.plan, a.err
}

func (a *applied) Apply(_ context.Context, stack string, _ report.Sink) error {
	a.note("apply " + stack)
	if a.then != nil {
		a.then()
	}
	return a.err
}

func (a *applied) Forget(string) error { return nil }

func (a *applied) Discard(string) {}

func cannedTopology(t *testing.T, yaml string) topology.Topology {
	t.Helper()
	s, err := site.Parse("platen.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := s.Environment("prod")
	if err != nil {
		t.Fatal(err)
	}
	topo, err := topology.For(spec, topology.State{})
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// openCanned is a place on recorded answers. It waits for nothing.
func openCanned(t *testing.T, c *canned, tf Terraform) (*Place, topology.Topology) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	topo := cannedTopology(t, cannedYAML)
	p, err := Open(t.Context(), Options{Topology: topo, Stacks: os.DirFS("../../terraform"), Terraform: tf, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	p.pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return p, topo
}

// stands puts a whole state of the cluster stack, and pins, into the bucket.
func (c *canned) stands(t *testing.T, topo topology.Topology, image string) {
	t.Helper()
	outputs := map[string]any{}
	for _, name := range topology.StackOutputs[topology.StackCluster] {
		outputs[name] = map[string]any{"value": "blog-prod-" + name}
	}
	var resources []any
	for _, kind := range []string{"aws_autoscaling_group", "aws_ecs_cluster", "aws_lb"} {
		resources = append(resources, map[string]any{"mode": "managed", "type": kind, "name": "this", "instances": []any{map[string]any{}}})
	}
	state, err := json.Marshal(map[string]any{"outputs": outputs, "resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	pins, err := json.Marshal(topology.Pins{Zones: []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"}, Image: image, For: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	c.objects["/"+topo.StateBucket()+"/"+topo.StateKey(topology.StackCluster)] = string(state)
	c.objects["/"+topo.StateBucket()+"/"+topo.RecordPrefix()+pinsKey] = string(pins)
}

// whole puts a stack's state with all its outputs into the bucket.
func (c *canned) whole(t *testing.T, topo topology.Topology, stack string) {
	t.Helper()
	outputs := map[string]any{}
	for _, name := range topology.StackOutputs[stack] {
		outputs[name] = map[string]any{"value": map[string]string{}}
	}
	state, err := json.Marshal(map[string]any{"outputs": outputs})
	if err != nil {
		t.Fatal(err)
	}
	c.objects["/"+topo.StateBucket()+"/"+topo.StateKey(stack)] = string(state)
}

func (c *canned) pinned(t *testing.T, topo topology.Topology) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.objects["/"+topo.StateBucket()+"/"+topo.RecordPrefix()+pinsKey]
	var pins topology.Pins
	if err := json.Unmarshal([]byte(text), &pins); err != nil {
		t.Fatalf("the record of pins: %v\n%s", err, text)
	}
	return pins.Image
}

// steps collects what is narrated, without repetitions.
func steps(all *[]string) report.Sink {
	return func(e report.Event) {
		line := strings.TrimSpace(e.Step + " " + e.State + " " + e.Detail)
		if len(*all) == 0 || (*all)[len(*all)-1] != line {
			*all = append(*all, line)
		}
	}
}

func has(lines []string, part string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, part) })
}
