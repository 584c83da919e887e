package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"platen/internal/capacity"
	"platen/internal/image"
	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// memory is a Store in memory, with the contract of the real ones.
type memory struct {
	mu      sync.Mutex
	records map[string]string
	etags   map[string]int
	next    int
}

func newMemory() *memory { return &memory{records: map[string]string{}, etags: map[string]int{}} }

func (m *memory) etag(key string) string {
	if _, ok := m.records[key]; !ok {
		return ""
	}
	return fmt.Sprint(m.etags[key])
}

func (m *memory) Get(_ context.Context, key string) ([]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.records[key]
	if !ok {
		return nil, "", release.ErrNotFound
	}
	return []byte(data), m.etag(key), nil
}

func (m *memory) Put(_ context.Context, key string, data []byte, etag string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.etag(key) != etag {
		return "", release.ErrConflict
	}
	m.next++
	m.records[key], m.etags[key] = string(data), m.next
	return m.etag(key), nil
}

func (m *memory) List(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.records {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

func (m *memory) Delete(_ context.Context, key, etag string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.etag(key) != etag {
		return release.ErrConflict
	}
	delete(m.records, key)
	return nil
}

func (m *memory) keys() []string {
	keys, _ := m.List(context.Background(), "")
	return keys
}

// place is an environment that records what is asked of it and does what the test says.
type place struct {
	*memory
	calls   []string
	applied bool
	data    bool
	// installed: the database holds WordPress; it goes with the data.
	installed bool
	running   map[string]int
	memory_   int64
	fail      map[string]error // call → its error
	before    func(call string)
	page      string

	secrets   map[string]string // kept ones
	published int               // the edge's port
	images    map[string]string // tier → image of its container

	narrates []report.Event // of Apply

	said string // of a job, on its standard error
	exit int
}

func (p *place) call(name string) error {
	if p.before != nil {
		p.before(name)
	}
	p.calls = append(p.calls, name)
	return p.fail[name]
}

func (p *place) Limits(context.Context, topology.Topology) (capacity.Limits, error) {
	return capacity.Limits{Memory: p.memory_}, p.call("limits")
}

func (p *place) Plan(context.Context, topology.Topology) (report.Plan, error) {
	if p.applied {
		return report.Plan{}, p.fail["plan"]
	}
	return report.Plan{Changes: []report.Change{{Stack: "docker", Address: "service/edge", Action: "create"}}}, p.fail["plan"]
}

func (p *place) Apply(_ context.Context, t topology.Topology, sink report.Sink) error {
	for _, ev := range p.narrates {
		sink(ev)
	}
	if err := p.call("apply"); err != nil {
		return err
	}
	p.applied, p.data, p.published = true, true, t.Edge.Port
	return nil
}

func (p *place) Observe(_ context.Context, t topology.Topology) (report.Status, error) {
	s := report.Status{Environment: t.Env, URL: t.URL}
	if p.applied {
		s.Tiers = []report.Tier{{Name: "edge", Members: []report.Member{{Name: "edge", Healthy: true}}}}
	}
	for name, image := range p.images {
		s.Tiers = append(s.Tiers, report.Tier{Name: name, Members: []report.Member{{Name: name, Healthy: true, Image: image}}})
	}
	return s, nil
}

func (p *place) Destroy(_ context.Context, _ topology.Topology, keep report.Keep, _ report.Sink) ([]report.Kept, error) {
	if err := p.call("destroy"); err != nil {
		return nil, err
	}
	p.applied, p.running, p.published = false, nil, 0
	if keep.Data {
		return []report.Kept{{Name: "db-1", Why: "data"}}, nil
	}
	p.data, p.installed = false, false
	return nil, nil
}

func (p *place) Publish(_ context.Context, images []image.Image, _ report.Sink) (map[string]string, error) {
	refs := map[string]string{}
	for _, i := range images {
		refs[i.Name] = "platen/blog-" + i.Name + ":" + i.Digest
	}
	return refs, p.call("publish")
}

func (p *place) Run(_ context.Context, _ topology.Topology, _ release.Release, j topology.Job, out io.Writer, sink report.Sink) (int, error) {
	if j.Name == "install" {
		_, _ = fmt.Fprintf(out, "printed by a plugin\n{\"installed\":%t}\n", !p.installed)
		p.installed = true
	}
	if p.said != "" {
		sink.Log("jobs/"+j.Name, p.said)
	}
	return p.exit, p.call("run " + j.Name)
}

func (p *place) Roll(ctx context.Context, t topology.Topology, r release.Release, _ report.Sink) error {
	if err := p.call(fmt.Sprintf("roll %d", t.Web.Tasks.Min)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.fail["roll "+r.Images["nginx"]]; err != nil {
		return err
	}
	p.running = map[string]int{r.ID: t.Web.Tasks.Min}
	return nil
}

func (p *place) Running(context.Context, topology.Topology) (map[string]int, error) {
	return p.running, nil
}

func (p *place) Keep(_ context.Context, _ topology.Topology, name, value string) (string, error) {
	if p.secrets == nil {
		p.secrets = map[string]string{}
	}
	p.secrets[name] = value
	version, _ := p.Version(context.Background(), topology.Topology{}, name)
	return version, p.call("keep " + name)
}

func (p *place) Version(_ context.Context, _ topology.Topology, name string) (string, error) {
	value, ok := p.secrets[name]
	if !ok {
		return "", nil
	}
	return fmt.Sprintf("version-%d", len(value)), nil
}

func (p *place) Published(context.Context, topology.Topology) (int, error) { return p.published, nil }

func (p *place) Listener(context.Context, int) string { return "nginx (pid 812)" }

// bench is an engine on a place, with a web server for a front page.
type bench struct {
	*Engine
	place  *place
	digest string // of every image; a change is a new release
	site   Site
}

func newBench(t *testing.T) *bench {
	t.Helper()
	p := &place{memory: newMemory(), fail: map[string]error{}, page: "<title>Blog &#8211; It&#8217;s on</title>"}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = p.call("smoke")
		_, _ = io.WriteString(w, p.page)
	}))
	t.Cleanup(front.Close)
	b := &bench{place: p, digest: "one", site: Site{Folder: filepath.Join(t.TempDir(), "blog")}}
	b.Engine = &Engine{
		Open: func(context.Context, site.Spec, string) (Place, error) {
			return Place{Target: p, Fleet: p, Store: p.memory, Vault: p, Ports: p}, nil
		},
		Build: func(context.Context, BuildRequest, report.Sink) ([]image.Image, error) {
			var images []image.Image
			for _, name := range ImageNames() {
				images = append(images, image.Image{Name: name, Digest: b.digest})
			}
			return images, p.call("build")
		},
		// Whatever port was chosen, the front page is the test's.
		HTTP:    &http.Client{Transport: to(front.Listener.Addr().String())},
		Now:     time.Now,
		Process: ThisProcess(),
	}
	return b
}

// to sends every request to one address.
type to string

func (address to) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = string(address)
	return http.DefaultTransport.RoundTrip(r)
}

func (b *bench) up(t *testing.T) Result {
	t.Helper()
	b.place.calls = nil
	result, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

var errBroken = errors.New("broken")
