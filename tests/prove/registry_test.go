//go:build prove

package prove

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// distribution starts Debian's docker-registry with an empty folder, and returns where it listens.
func distribution(t *testing.T) string {
	t.Helper()
	program := filepath.Join(root, "out/registry/usr/bin/docker-registry")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("the test needs Debian's docker-registry (scripts/need-registry fetches it): %v", err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", filepath.Join(dir, "data"), address)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
		_ = said.Close()
	})
	for range 200 {
		answer, err := http.Get("http://" + address + "/v2/")
		if err == nil {
			_ = answer.Body.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(said.Name())
	t.Fatalf("docker-registry does not answer:\n%s", log)
	return ""
}

// cutting passes connections on to an address, and cuts the first of those that carry 3 MB there.
type cutting struct {
	to    string
	after int64
	left  atomic.Int64 // connections to cut
	cut   atomic.Int64
}

func (c *cutting) serve(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		wait.Wait()
	})
	wait.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go c.carry(in)
		}
	})
	return listener.Addr().String()
}

func (c *cutting) carry(in net.Conn) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	go func() {
		_, _ = io.Copy(in, out)
		_ = in.Close()
	}()
	if n, err := io.CopyN(out, in, c.after); err != nil || n < c.after {
		return
	}
	if c.left.Add(-1) >= 0 {
		c.cut.Add(1)
		return
	}
	_, _ = io.Copy(out, in)
}

// The registry that most others are made of, over a way that breaks.
func TestPushToDistribution(t *testing.T) {
	c := &cutting{to: distribution(t), after: 3e6}
	c.left.Store(6)
	address := c.serve(t)
	s := imageSite(t, t.TempDir())
	push := func() (images []struct{ Image, Reference string }) {
		t.Helper()
		answer := s.Run(t, 0, "image", "push", address+"/team", "--json")
		if err := json.Unmarshal([]byte(answer.Stdout), &images); err != nil || len(images) != 6 {
			t.Fatalf("pushed %v, %v:\n%s", images, err, answer.Stdout)
		}
		return images
	}
	images := push()
	if n := c.cut.Load(); n != 6 {
		t.Errorf("%d connections were cut, want 6", n)
	}
	for _, img := range images {
		reference, err := name.NewDigest(strings.Replace(img.Reference, address, c.to, 1))
		if err != nil {
			t.Fatal(err)
		}
		there, err := remote.Image(reference)
		if err == nil {
			err = validate.Image(there) // every byte by its digest
		}
		if err != nil {
			t.Errorf("%s: %v", img.Reference, err)
		}
	}

	// It is pulled as it was pushed, and an image that is there is not built.
	other := imageSite(t, t.TempDir())
	var lines []string
	for _, img := range images {
		lines = append(lines, fmt.Sprintf("  %s: %q", img.Image, strings.Replace(img.Reference, address, c.to, 1)))
	}
	other.Configure(t, "web: {tasks: 1}", "images:", strings.Join(lines, "\n"))
	for image, digest := range mustBuild(t, other).digests {
		named, _, _ := strings.Cut(image, " ")
		for _, img := range images {
			if img.Image == named && !strings.HasSuffix(img.Reference, "@"+digest) {
				t.Errorf("%s is %s, want %s", named, digest, img.Reference)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(other.Dir, "platen.lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("packages were pinned for images that are not built: %v", err)
	}

	again := images[0].Reference
	if images = push(); images[0].Reference != again {
		t.Errorf("pushed again it is %s, was %s", images[0].Reference, again)
	}
}
