package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"

	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/site"
	"platen/internal/topology"
)

// place is a local place and a topology of a site of the test's own, whose images are the stub.
// It needs a Docker Engine, and removes by label whatever the test leaves.
type place struct {
	*Place
	t topology.Topology
}

func openPlace(t *testing.T) *place {
	t.Helper()
	p, err := New(t.Context(), Options{State: t.TempDir()})
	if err != nil {
		t.Fatalf("these tests need a Docker Engine: %v", err)
	}
	folder := filepath.Join(t.TempDir(), "t"+random(t))
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	spec, err := site.Default(folder).Environment("local")
	if err != nil {
		t.Fatal(err)
	}
	here := &place{Place: p}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	images := here.images(t)
	here.t, err = topology.For(spec, topology.State{Port: freePort(t), Images: images})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.sweep(t) }) // before the images go
	here.t.Folder = folder
	here.t.Web.Tasks.Min = 2
	here.t.Web.Config.Drain = 1
	return here
}

// release is a release of the stub images; another note is another release.
func (p *place) release(note string) release.Release {
	config := p.t.Web.Config
	config.PHP.Env = map[string]string{"STUB": note}
	return release.New(p.t.Images, config, "test@here", time.Unix(0, 0))
}

// sweep removes what carries the project's label, also after a failure.
func (p *place) sweep(t *testing.T) {
	t.Helper()
	p.t.Folder = "" // whoever owns it
	if _, err := p.Destroy(context.WithoutCancel(t.Context()), p.t, report.Keep{}, nil); err != nil {
		t.Errorf("sweep %s: %v", p.t.Project, err)
	}
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 4)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// stub builds the stub program once.
var stub = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "platen-stub")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "stub"), "./testdata/stub")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(folder, "stub"))
})

// images makes and loads the six images: one program under the names of all.
func (p *place) images(t *testing.T) map[string]string {
	t.Helper()
	program, err := stub()
	if err != nil {
		t.Fatalf("build the stub: %v", err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	put := func(h tar.Header, data []byte) {
		h.Size, h.Mode = int64(len(data)), 0o755
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	put(tar.Header{Name: agent[1:], Typeflag: tar.TypeReg}, program)
	for _, link := range []string{"usr/bin/platen-job", "usr/sbin/nginx", "usr/sbin/haproxy"} {
		put(tar.Header{Name: link, Typeflag: tar.TypeLink, Linkname: agent[1:]}, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]string{}
	load := map[name.Tag]v1.Image{}
	suffix := random(t)
	for image, command := range map[string][]string{
		"nginx":     {"/usr/sbin/nginx"},
		"wordpress": {agent},
		"jobs":      {"/usr/bin/platen-job"},
		"mariadb":   {agent, "mariadb"},
		"valkey":    {agent, "valkey"},
		"haproxy":   {"/usr/sbin/haproxy"},
	} {
		made, err := mutate.AppendLayers(empty.Image, content)
		if err != nil {
			t.Fatal(err)
		}
		made, err = mutate.Config(made, v1.Config{Entrypoint: command})
		if err != nil {
			t.Fatal(err)
		}
		images[image] = "platen/stub-" + image + ":" + suffix
		tag, err := name.NewTag(images[image])
		if err != nil {
			t.Fatal(err)
		}
		load[tag] = made
	}
	var archive bytes.Buffer
	if err := tarball.MultiWrite(load, &archive); err != nil {
		t.Fatal(err)
	}
	loaded, err := p.api.ImageLoad(t.Context(), &archive)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, loaded); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, image := range images {
			if _, err := p.api.ImageRemove(context.WithoutCancel(t.Context()), image, client.ImageRemoveOptions{Force: true}); err != nil {
				t.Error(err)
			}
		}
	})
	return images
}

// narrate shows the events with go test -v.
func narrate(t *testing.T) report.Sink {
	start := time.Now()
	return func(e report.Event) {
		t.Logf("%5.2f %s %s %s %s", time.Since(start).Seconds(), e.Event, e.Step, e.State, e.Detail)
	}
}

func TestSiteComesUpScalesAndGoes(t *testing.T) {
	p := openPlace(t)
	ctx, sink := t.Context(), narrate(t)

	plan, err := p.Plan(ctx, p.t)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"service/edge", "service/db-1", "service/init", "network/data", "volume/secrets-master"} {
		if !slices.ContainsFunc(plan.Changes, func(c report.Change) bool { return c.Address == want && c.Action == "create" }) {
			t.Errorf("the first plan does not create %s: %v", want, plan.Changes)
		}
	}
	if err := p.Apply(ctx, p.t, sink); err != nil {
		t.Fatal(err)
	}
	if plan, err = p.Plan(ctx, p.t); err != nil || len(plan.Changes) != 0 {
		t.Fatalf("the plan after Apply is %v, %v; want none", plan.Changes, err)
	}

	first := p.release("one")
	var out strings.Builder
	exit, err := p.Run(ctx, p.t, first, topology.Job{Name: "install", Command: []string{"install"}, Input: []byte("the title")}, &out, sink)
	if err != nil || exit != 0 || out.String() != "install\nthe title" {
		t.Fatalf("Run = %d, %v, %q", exit, err, out.String())
	}
	if err := p.Roll(ctx, p.t, first, sink); err != nil {
		t.Fatal(err)
	}
	if page := p.front(t); page != first.ID {
		t.Fatalf("the front page is of release %q, want %s", page, first.ID)
	}
	running, err := p.Running(ctx, p.t)
	if err != nil || len(running) != 1 || running[first.ID] != 2 {
		t.Fatalf("Running = %v, %v", running, err)
	}
	status, err := p.Observe(ctx, p.t)
	if err != nil || !status.Healthy || status.Release != first.ID {
		t.Fatalf("Observe = %+v, %v", status, err)
	}

	// No visitor notices any of this.
	visitors := visit(t, p)
	second := p.release("two")
	for _, change := range []struct {
		release release.Release
		tasks   int
	}{{first, 4}, {second, 4}, {second, 1}} {
		p.t.Web.Tasks.Min = change.tasks
		if err := p.Roll(ctx, p.t, change.release, sink); err != nil {
			t.Fatal(err)
		}
		running, err := p.Running(ctx, p.t)
		if err != nil || len(running) != 1 || running[change.release.ID] != change.tasks {
			t.Fatalf("Running = %v, %v; want %d of %s", running, err, change.tasks, change.release.ID)
		}
	}
	asked, failed := visitors()
	if len(failed) > 0 || asked == 0 {
		t.Errorf("%d of %d requests failed, first: %v", len(failed), asked, failed[:min(3, len(failed))])
	}
	if plan, err = p.Plan(ctx, p.t); err != nil || len(plan.Changes) != 0 {
		t.Errorf("the plan at the end is %v, %v; want none", plan.Changes, err)
	}

	kept, err := p.Destroy(ctx, p.t, report.Keep{Data: true}, sink)
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) != len(p.t.Volumes()) {
		t.Errorf("Destroy kept %v, want the %d volumes", kept, len(p.t.Volumes()))
	}
	if err := p.Apply(ctx, p.t, sink); err != nil {
		t.Fatalf("Apply on kept volumes: %v", err)
	}
}

// A release that does not come up leaves no trace and the old one serving.
func TestRollGivesUpOnABrokenRelease(t *testing.T) {
	p := openPlace(t)
	ctx, sink := t.Context(), narrate(t)
	if err := p.Apply(ctx, p.t, sink); err != nil {
		t.Fatal(err)
	}
	good, bad := p.release("good"), p.release("fail")
	if err := p.Roll(ctx, p.t, good, sink); err != nil {
		t.Fatal(err)
	}
	err := p.Roll(ctx, p.t, bad, sink)
	var rolled *report.RollError
	if !errors.As(err, &rolled) {
		t.Fatalf("Roll = %v, want a RollError", err)
	}
	if rolled.Release != bad.ID || rolled.Task != "web-3-php" || !strings.Contains(strings.Join(rolled.LastLines, "\n"), "told to fail") {
		t.Errorf("the RollError is %+v", rolled)
	}
	running, err := p.Running(ctx, p.t)
	if err != nil || len(running) != 1 || running[good.ID] != 2 {
		t.Errorf("Running = %v, %v; want two of %s", running, err, good.ID)
	}
	if page := p.front(t); page != good.ID {
		t.Errorf("the front page is of release %q, want %s", page, good.ID)
	}
}

// front asks for the front page through the edge.
func (p *place) front(t *testing.T) string {
	t.Helper()
	page, err := p.fetch()
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func (p *place) fetch() (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", p.t.Edge.Port))
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(page), err
}

// visit asks for the front page again and again until the returned function is called, which
// tells how many requests were made and what failed.
func visit(t *testing.T, p *place) func() (int, []error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	asked, failed := 0, []error(nil)
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			_, err := p.fetch()
			asked++
			if err != nil {
				failed = append(failed, err)
			}
		}
	})
	return func() (int, []error) {
		stop()
		group.Wait()
		return asked, failed
	}
}

// serial makes a sink of a function that may not be called twice at once.
func serial(f func(report.Event)) report.Sink {
	var mu sync.Mutex
	return func(e report.Event) {
		mu.Lock()
		defer mu.Unlock()
		f(e)
	}
}

// onWrite calls do at the first write.
type onWrite struct {
	once sync.Once
	do   func()
}

func (w *onWrite) Write(data []byte) (int, error) {
	w.once.Do(w.do)
	return len(data), nil
}
