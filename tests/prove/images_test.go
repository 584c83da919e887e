//go:build prove

package prove

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

// built is one run of image build: digests by image and platform, and what it cost.
type built struct {
	digests map[string]string
	wall    float64 // seconds by the clock
	memory  float64 // bytes, at the highest
}

// buildWith runs image build --json under a wrapper, "" for none.
func buildWith(s *site.Site, wrapper []string, args ...string) (built, string, error) {
	cmd, err := s.Command(append([]string{"image", "build", "--json"}, args...)...)
	if err != nil {
		return built{}, "", err
	}
	if len(wrapper) > 0 {
		found, err := exec.LookPath(wrapper[0])
		if err != nil {
			return built{}, "", err
		}
		cmd.Path, cmd.Args = found, slices.Concat(wrapper, []string{cmd.Path}, cmd.Args[1:])
	}
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return built{}, said.String(), err
	}
	wall := time.Since(begin).Seconds()
	var images []struct{ Image, Platform, Digest string }
	if err := json.Unmarshal([]byte(out.String()), &images); err != nil {
		return built{}, out.String(), err
	}
	b := built{digests: map[string]string{}, wall: wall}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		b.memory = float64(usage.Maxrss) * 1024
	}
	for _, i := range images {
		b.digests[i.Image+" "+i.Platform] = i.Digest
	}
	return b, said.String(), nil
}

func mustBuild(t *testing.T, s *site.Site, args ...string) built {
	t.Helper()
	b, said, err := buildWith(s, nil, args...)
	if err != nil {
		t.Fatalf("image build %v: %v\n%s", args, err, said)
	}
	return b
}

// imageSite is a folder of a site that builds into a cache of its own.
func imageSite(t *testing.T, cache string, env ...string) *site.Site {
	t.Helper()
	s := site.Open(t.TempDir())
	s.Env = append([]string{"XDG_CACHE_HOME=" + cache}, env...)
	s.Configure(t, "web: {tasks: 1}")
	return s
}

func copyLock(t *testing.T, from, to *site.Site) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(from.Dir, "platen.lock"))
	if err != nil {
		t.Fatal(err)
	}
	to.Write(t, "platen.lock", string(lock))
}

func forgetLayers(t *testing.T, cache string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(cache, "platen", "images")); err != nil {
		t.Fatal(err)
	}
}

// imageFigures builds the whole set without a layer in the cache, and with all packages in it: what
// a machine does apart from the network. The first build, which fetches, counts for the memory too.
func imageFigures(t *testing.T) []Figure {
	t.Helper()
	cache := t.TempDir()
	s := imageSite(t, cache)
	first := mustBuild(t, s)
	forgetLayers(t, cache)
	cold := mustBuild(t, s)
	return []Figure{
		{Name: "all images, packages there, no layer cached", Value: cold.wall, Unit: "s", Goal: 60, Runs: 1},
		{Name: "all images, memory at the highest, fetching too", Value: max(first.memory, cold.memory) / megabyte, Unit: "MB", Goal: 512, Runs: 1},
		{Name: "push after a change of one file of a plugin", Value: oneFile(t, cache) / megabyte, Unit: "MB", Goal: 1, Runs: 3},
	}
}

// oneFile pushes a site whose plugins are in its images, changes one file at a time of its 20 MB of
// plugins, and returns the most bytes that a push of that sent: blobs, manifests, bills of materials.
func oneFile(t *testing.T, cache string) (most float64) {
	t.Helper()
	s := imageSite(t, cache)
	s.Configure(t, "web: {tasks: 1}\nwordpress: {content: image, plugins: [./plugins/shop, ./plugins/gallery]}")
	chance := rand.New(rand.NewPCG(3, 3))
	program := func(size int) string {
		var text strings.Builder
		for text.Len() < size {
			fmt.Fprintf(&text, "function f%d($a%d) { return g%x('text %d'); }\n", chance.IntN(1e6), chance.IntN(99), chance.Uint32(), chance.IntN(1e6))
		}
		return text.String()
	}
	for i := range 250 {
		s.Write(t, fmt.Sprintf("plugins/shop/lib%d/class-%d.php", i%20, i), program(40_000))
		s.Write(t, fmt.Sprintf("plugins/shop/assets/view-%d.js", i), program(20_000))
	}
	s.Write(t, "plugins/gallery/gallery.php", "<?php // Plugin Name: Gallery")
	for i := range 30 {
		picture := make([]byte, 150_000)
		for j := range picture {
			picture[j] = byte(chance.IntN(256))
		}
		s.Write(t, fmt.Sprintf("plugins/gallery/picture-%d.png", i), string(picture))
	}

	var sent atomic.Int64
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(body, counter{&sent}), body}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	push := func() float64 {
		t.Helper()
		sent.Store(0)
		s.Run(t, 0, "image", "push", strings.TrimPrefix(server.URL, "http://")+"/team")
		return float64(sent.Load())
	}
	if all := push(); all < 60*megabyte {
		t.Fatalf("the first push sent %.0f bytes: they are counted wrongly", all)
	}
	for _, name := range []string{"shop/lib3/class-3.php", "shop/assets/view-9.js", "gallery/picture-7.png"} {
		s.Write(t, "plugins/"+name, program(30_000))
		most = max(most, push())
	}
	return most
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func TestImagesAreTheSameWhereverTheyAreBuilt(t *testing.T) {
	cache := t.TempDir()
	first := imageSite(t, cache)
	both := []string{"--platform", "linux/amd64,linux/arm64"}
	whole := mustBuild(t, first, both...).digests
	if len(whole) != 12 {
		t.Fatalf("built %v, want six images for two processors", whole)
	}
	// Every variation on the smallest image, and on one with an agent.
	some := []string{"nginx", "valkey"}
	want := mustBuild(t, first, some...).digests
	again := func(what string, s *site.Site) {
		t.Helper()
		if got := mustBuild(t, s, some...).digests; !maps.Equal(got, want) {
			t.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	again("twice in a row", first)

	other := imageSite(t, cache, "TZ=Pacific/Auckland", "LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8")
	copyLock(t, first, other)
	again("in another folder", other)
	forgetLayers(t, cache)
	before := syscall.Umask(0o077)
	if got := mustBuild(t, other, both...).digests; !maps.Equal(got, whole) {
		t.Errorf("another time zone, locale and umask, no layer cached: %v, not %v", got, whole)
	}
	syscall.Umask(before)

	// Two at once, with one cache that has no layers.
	forgetLayers(t, cache)
	third := imageSite(t, cache)
	copyLock(t, first, third)
	var wait sync.WaitGroup
	for _, s := range []*site.Site{other, third} {
		wait.Go(func() {
			if got, said, err := buildWith(s, nil, some...); err != nil || !maps.Equal(got.digests, want) {
				t.Errorf("two at once: %v, not %v (%v)\n%s", got.digests, want, err, said)
			}
		})
	}
	wait.Wait()

	// A cache that has all is enough, also where it cannot be written to.
	locked := []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"`, cache}
	if got, said, err := buildWith(first, locked, some...); err != nil || !maps.Equal(got.digests, want) {
		t.Errorf("a cache that is read-only: %v, not %v (%v)\n%s", got.digests, want, err, said)
	}
	forgetLayers(t, cache)
	if err := os.MkdirAll(filepath.Join(cache, "platen", "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ mount, want string }{
		"a cache without layers that is read-only": {`mount -t tmpfs -o ro none "$0"`, "XDG_CACHE_HOME"},
		"a disk that is full":                      {`mount -t tmpfs -o size=3m none "$0"`, "is full"},
	} {
		wrapper := []string{"unshare", "--mount", "sh", "-c", c.mount + ` && exec "$@"`, filepath.Join(cache, "platen", "images")}
		if _, said, err := buildWith(first, wrapper, some...); err == nil || !strings.Contains(said, c.want) {
			t.Errorf("%s: %v, want something of %q:\n%s", what, err, c.want, said)
		}
	}
	again("after a disk was full", first)
}

// The images for arm64 are made on whatever builds them, and run here by an emulator of that
// processor's programs.
func TestArm64ImagesRun(t *testing.T) {
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Fatalf("the test needs qemu's user emulation (scripts/need-qemu installs it): %v", err)
	}
	s := imageSite(t, t.TempDir())
	oci := filepath.Join(s.Dir, "oci")
	mustBuild(t, s, "--platform", "linux/arm64", "--output", oci)
	root := func(image string) string {
		t.Helper()
		at := filepath.Join(s.Dir, "root-"+image)
		if _, err := os.Stat(at); errors.Is(err, os.ErrNotExist) {
			unpack(t, oci, image, "arm64", at)
		}
		return at
	}
	for _, c := range []struct{ image, program, want string }{
		{"nginx", "usr/sbin/nginx -V", "nginx version"},
		{"wordpress", "usr/sbin/php-fpm8.4 -v", "PHP 8.4"},
		{"wordpress", "usr/sbin/php-fpm8.4 -m", "mysqli"},
		{"wordpress", "usr/bin/platen-agent", "init of the php container"},
		{"jobs", "usr/bin/php8.4 -v", "PHP 8.4"},
		{"jobs", "usr/bin/php8.4 -m", "intl"},
		{"jobs", "usr/bin/mariadb --version", "aarch64"},
		{"mariadb", "usr/sbin/mariadbd --version", "aarch64"},
		{"valkey", "usr/bin/valkey-server --version", "Valkey server"},
		{"haproxy", "usr/sbin/haproxy -v", "HAProxy version"},
	} {
		root := root(c.image)
		words := strings.Fields(c.program)
		cmd := exec.Command(qemu, append([]string{"-L", root, filepath.Join(root, words[0])}, words[1:]...)...)
		// Absolute links lead out of the folder: the command line's list of extensions is one.
		cmd.Env = append(os.Environ(), "PHP_INI_SCAN_DIR=/etc/php/8.4/fpm/conf.d")
		out, err := cmd.CombinedOutput()
		// The agent without arguments says how it is used, and fails.
		if !strings.Contains(string(out), c.want) || (err != nil && c.program != "usr/bin/platen-agent") || strings.Contains(string(out), "Unable to load") {
			t.Errorf("%s: %s: %v, want something of %q:\n%s", c.image, c.program, err, c.want, out)
		}
	}
	parsesItsConfiguration(t, qemu, root)
}

// parsesItsConfiguration renders a web task's configuration with the agent of the image, and has each
// program read what it is given in a container.
func parsesItsConfiguration(t *testing.T, qemu string, root func(image string) string) {
	t.Helper()
	emulator, err := os.ReadFile(qemu)
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{"nginx": "33:33", "wordpress": "33:33", "haproxy": "203:203"} // as their recipes say
	in := func(image string, env []string, command string) *exec.Cmd {
		at := root(image)
		if err := os.WriteFile(filepath.Join(at, "qemu"), emulator, 0o755); err != nil {
			t.Fatal(err)
		}
		words := append([]string{"--mount", "--net", "bash", "-c",
			`mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && exec chroot --userspec="$1" "$0" /qemu "${@:2}"`, at, users[image]}, strings.Fields(command)...)
		cmd := exec.Command("unshare", words...)
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, env...)
		return cmd
	}
	config, err := json.Marshal(task.Config{
		Site: "blog", Env: "local", Release: "0123456789ab", URL: "http://localhost:8080", Content: "shared",
		PHP:      task.PHP{Children: 6, Memory: 768 << 20, Upload: 64 << 20, Timeout: 60, Env: map[string]string{"WP_MEMORY_LIMIT": "256M"}, Settings: map[string]string{"max_input_vars": "9000"}},
		Nginx:    task.Nginx{Memory: 128 << 20},
		Database: task.Endpoint{Writer: "127.0.0.1:3306", Reader: "127.0.0.1:3307", Name: "wordpress", User: "wordpress"},
		Sessions: task.Store{Address: "127.0.0.1:6379"}, Objects: task.Store{Address: "127.0.0.1:6380"},
		Mail:  task.Mail{Address: "127.0.0.1:2525", From: "blog@example.com", TLS: "none"},
		Drain: 5, Trusted: []string{"172.16.0.0/12", "fd00::/8"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// run returns what a program says. It gets a file for that: php-fpm opens its standard error once
	// more, which of a pipe of root's it may not.
	run := func(cmd *exec.Cmd) (string, error) {
		said, err := os.CreateTemp(t.TempDir(), "said")
		if err == nil {
			err = said.Chmod(0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = said, said
		failed := cmd.Run()
		text, err := os.ReadFile(said.Name())
		if err = errors.Join(err, said.Close()); err != nil {
			t.Fatal(err)
		}
		return string(text), failed
	}
	for _, image := range []string{"wordpress", "nginx", "haproxy"} {
		if err := os.Chmod(filepath.Join(root(image), "tmp"), 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{filepath.Join(root("wordpress"), task.Shared), filepath.Join(root("wordpress"), task.Private), filepath.Join(root("nginx"), task.Shared)} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chown(dir, task.WebUID, task.WebUID)); err != nil {
			t.Fatal(err)
		}
	}
	// The agent renders, and starts php-fpm then: which a kernel without a handler for programs of
	// arm64 cannot. What it rendered is what counts.
	var said strings.Builder
	agent := in("wordpress", []string{
		task.EnvTask + "=" + string(config), "DB_PASSWORD=a", "SESSIONS_TOKEN=b", "OBJECTS_TOKEN=c", "SALT=" + strings.Repeat("0a", 64), "SITE_TOKEN=d",
	}, "/usr/bin/platen-agent web")
	agent.Stdout, agent.Stderr = &said, &said
	agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = agent.Wait() // killed, or ended by itself: what it rendered tells
	}()
	rendered := func() bool {
		for _, name := range []string{task.Shared + "/nginx.conf", task.Private + "/php-fpm.conf", task.Private + "/php.ini", task.Private + "/config.php"} {
			if _, err := os.Stat(filepath.Join(root("wordpress"), name)); err != nil {
				return false
			}
		}
		return true
	}
	for done := false; !done && !rendered(); {
		select {
		case <-ended:
			done = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	_ = syscall.Kill(-agent.Process.Pid, syscall.SIGKILL) // it may have ended by itself
	if !rendered() {
		t.Fatalf("the agent rendered nothing:\n%s", said.String())
	}
	text, err := os.ReadFile(filepath.Join(root("wordpress"), task.Shared, "nginx.conf"))
	if err == nil {
		err = os.WriteFile(filepath.Join(root("nginx"), task.Shared, "nginx.conf"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		image, command, want string
		env                  []string
	}{
		{"nginx", "/usr/sbin/nginx -t -c /run/task/nginx.conf", "test is successful", nil},
		{"wordpress", "/usr/sbin/php-fpm8.4 -t --fpm-config /run/php/php-fpm.conf -c /run/php/php.ini", "test is successful", nil},
		{"haproxy", "/usr/sbin/haproxy -c -V -f /etc/haproxy/edge.cfg", "Configuration file is valid", []string{"PLATEN_SLOTS=10", "PLATEN_TIMEOUT=80s"}},
		{"haproxy", "/usr/sbin/haproxy -c -V -f /etc/haproxy/endpoints.cfg", "Configuration file is valid", nil},
	} {
		out, err := run(in(c.image, c.env, c.command))
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %s: %v, want %q:\n%s", c.image, c.command, err, c.want, out)
		}
	}
	// What is broken is not taken either: else the checks above would say nothing.
	broken := filepath.Join(root("nginx"), task.Shared, "nginx.conf")
	if err := os.WriteFile(broken, []byte(strings.Replace(string(text), "http {", "http { no_such_directive on;", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(in("nginx", nil, "/usr/sbin/nginx -t -c /run/task/nginx.conf")); err == nil || !strings.Contains(out, "no_such_directive") {
		t.Errorf("nginx takes a broken configuration: %v\n%s", err, out)
	}
}

// unpack writes the files of an image of a layout into a folder.
func unpack(t *testing.T, oci, name, arch, to string) {
	t.Helper()
	top, err := layout.ImageIndexFromPath(oci)
	if err != nil {
		t.Fatal(err)
	}
	names, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names.Manifests {
		if n.Annotations["org.opencontainers.image.ref.name"] != name {
			continue
		}
		platforms, err := top.ImageIndex(n.Digest)
		if err != nil {
			t.Fatal(err)
		}
		list, err := platforms.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list.Manifests {
			if p.Platform.Architecture != arch {
				continue
			}
			img, err := platforms.Image(p.Digest)
			if err != nil {
				t.Fatal(err)
			}
			layers, err := img.Layers()
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range layers {
				files, err := l.Uncompressed()
				if err != nil {
					t.Fatal(err)
				}
				extract(t, files, to)
				if err := files.Close(); err != nil {
					t.Fatal(err)
				}
			}
			return
		}
	}
	t.Fatalf("%s has no image %s for %s", oci, name, arch)
}

func extract(t *testing.T, files io.Reader, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(to, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(at, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, at)
		default:
			var f *os.File
			if f, err = os.OpenFile(at, os.O_CREATE|os.O_WRONLY, os.FileMode(h.Mode)&0o777); err == nil {
				_, err = io.Copy(f, r)
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
