//go:build prove

package prove

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"

	"platen/tests/e2e/site"
)

// built is one run of image build: digests by image and platform, and what it cost.
type built struct {
	digests map[string]string
	cpu     float64 // seconds, of all cores, the kernel's work included
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
	if err := cmd.Run(); err != nil {
		return built{}, said.String(), err
	}
	var images []struct{ Image, Platform, Digest string }
	if err := json.Unmarshal([]byte(out.String()), &images); err != nil {
		return built{}, out.String(), err
	}
	b := built{digests: map[string]string{}, cpu: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
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
// a machine does apart from the network.
func imageFigures(t *testing.T) []Figure {
	t.Helper()
	cache := t.TempDir()
	s := imageSite(t, cache)
	mustBuild(t, s)
	forgetLayers(t, cache)
	cold := mustBuild(t, s)
	return []Figure{
		{Name: "all images, packages there, no layer cached: CPU time", Value: cold.cpu, Unit: "s", Goal: 60 * float64(min(2, runtime.NumCPU())), Runs: 1},
		{Name: "all images, packages there, no layer cached: memory", Value: cold.memory / megabyte, Unit: "MB", Goal: 512, Runs: 1},
	}
}

func TestImagesAreTheSameWhereverTheyAreBuilt(t *testing.T) {
	cache := t.TempDir()
	first := imageSite(t, cache)
	whole := mustBuild(t, first).digests
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
	if got := mustBuild(t, other).digests; !maps.Equal(got, whole) {
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
		root := filepath.Join(s.Dir, "root-"+c.image)
		if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
			unpack(t, oci, c.image, "arm64", root)
		}
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
