package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"platen/internal/report"
	"platen/tests/e2e/site"
)

// refused runs `platen up` and wants it to fail with the exit status, saying each of says, and
// with nothing left in the engine.
func refused(t *testing.T, s *site.Site, exit int, says ...string) site.Result {
	t.Helper()
	result := s.Run(t, exit, "up", "--yes")
	for _, want := range says {
		if !strings.Contains(strings.ToLower(result.Stderr), strings.ToLower(want)) {
			t.Errorf("no %q in what it says:\n%s", want, result.Stderr)
		}
	}
	if strings.Contains(result.Stderr, "goroutine ") {
		t.Errorf("it panicked:\n%s", result.Stderr)
	}
	return result
}

func untouched(t *testing.T, s *site.Site) {
	t.Helper()
	if containers := s.Containers(t); len(containers) > 0 {
		t.Errorf("%d containers were made", len(containers))
	}
}

func TestNoEngineAnswers(t *testing.T) {
	s := site.New(t)
	s.Configure(t)
	s.Env = []string{"DOCKER_HOST=unix://" + filepath.Join(s.Dir, "no.sock")}
	refused(t, s, 1, "no.sock", "platen doctor")
}

// The engine runs, but its socket belongs to root.
func TestEngineWithoutPermission(t *testing.T) {
	s := site.New(t)
	s.Configure(t)
	socket := filepath.Join(s.Dir, "root.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "platen.yaml"), []byte("platen: 1\nname: "+s.Name+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir := s.Dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	exit, output := asNobody(t, home, []string{"DOCKER_HOST=unix://" + socket}, copied(t, home), "up", "--yes")
	if exit != 1 || !strings.Contains(output, "permission") || !strings.Contains(output, "docker") {
		t.Errorf("exit %d:\n%s", exit, output)
	}
}

func TestMirrorUnreachable(t *testing.T) {
	s := site.New(t)
	s.Configure(t)
	s.Env = []string{"PLATEN_DEBIAN_MIRROR=http://127.0.0.1:1/debian", "XDG_CACHE_HOME=" + t.TempDir()}
	refused(t, s, 1, "127.0.0.1:1", "PLATEN_DEBIAN_MIRROR")
	untouched(t, s)
}

func TestMirrorThatIsNone(t *testing.T) {
	for name, answer := range map[string]string{
		"a captive portal":   "<html>Please log in</html>",
		"an unsigned index":  "Suite: stable\nCodename: trixie\n",
		"a broken signature": "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: stable\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(answer))
			}))
			defer server.Close()
			s := site.New(t)
			s.Configure(t)
			s.Env = []string{"PLATEN_DEBIAN_MIRROR=" + server.URL + "/debian", "XDG_CACHE_HOME=" + t.TempDir()}
			refused(t, s, 1, "InRelease", "sign")
			untouched(t, s)
		})
	}
}

func TestAPackageThatDoesNotExist(t *testing.T) {
	s := site.New(t)
	s.Configure(t, "image: {packages: [php8.4-telepathy]}")
	refused(t, s, 1, "php8.4-telepathy")
	untouched(t, s)
}

// smallDisk mounts two megabytes at the folder for the time of the test.
func smallDisk(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatalf("make a small disk (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// packagesOnly returns a cache that has every package that the shared site's images needed, and no layer.
func packagesOnly(t *testing.T) string {
	t.Helper()
	sharedSite(t)
	full, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	if err := os.Mkdir(filepath.Join(cache, "platen"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"index", "sha256"} {
		if err := os.Symlink(filepath.Join(full, "platen", part), filepath.Join(cache, "platen", part)); err != nil {
			t.Fatal(err)
		}
	}
	return cache
}

func TestDiskFullWhileDownloading(t *testing.T) {
	small := t.TempDir()
	smallDisk(t, small)
	s := site.New(t)
	s.Configure(t)
	s.Env = []string{"XDG_CACHE_HOME=" + small}
	refused(t, s, 1, "no space left", small)
	untouched(t, s)
}

func TestDiskFullWhileUnpacking(t *testing.T) {
	cache := packagesOnly(t)
	layers := filepath.Join(cache, "platen", "images")
	smallDisk(t, layers)
	s := site.New(t)
	s.Configure(t)
	s.Env = []string{"XDG_CACHE_HOME=" + cache}
	refused(t, s, 1, "no space left", layers)
	untouched(t, s)
}

// What a build that was ended in the middle of unpacking left is no part of what the next one makes.
func TestInterruptedBuildGoesOn(t *testing.T) {
	sharedSite(t)
	const image = "valkey"
	digest := func(s *site.Site) string {
		return s.Run(t, 0, "image", "build", image, "--json").Stdout
	}
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		exit   int
	}{{"Ctrl-C", syscall.SIGINT, 130}, {"SIGKILL", syscall.SIGKILL, -1}} {
		t.Run(c.name, func(t *testing.T) {
			s := site.New(t)
			s.Configure(t)
			want := digest(s)
			s.Env = []string{"XDG_CACHE_HOME=" + packagesOnly(t)}
			build := s.Start(t, "up", "--yes")
			if !build.Until(func(e report.Event) bool {
				return strings.HasPrefix(e.Detail, "unpacking") || strings.HasPrefix(e.Detail, "packing")
			}) {
				_, stderr := build.Wait()
				t.Fatalf("the build unpacked nothing:\n%s", stderr)
			}
			build.Signal(t, c.signal)
			if exit, stderr := build.Wait(); exit != c.exit {
				t.Errorf("exit %d, want %d\n%s", exit, c.exit, stderr)
			}
			untouched(t, s)
			if got := digest(s); got != want {
				t.Errorf("after the interruption it makes\n%s\nnot\n%s", got, want)
			}
		})
	}
}

func TestBadConfigurationIsReportedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name, file string
		says       []string
	}{
		{"broken YAML", "platen: 1\nname: [blog\n", []string{"platen.yaml:"}},
		{"unknown key", "platen: 1\nname: blog\nwebb: {tasks: 2}\n", []string{"platen.yaml:3:1", "webb"}},
		{"duplicate key", "platen: 1\nname: blog\nname: other\n", []string{"platen.yaml:3:1", "name"}},
		{"wrong type", "platen: 1\nname: blog\nweb: {tasks: many}\n", []string{"platen.yaml:3:14", "many"}},
		{"absurd sizes", "platen: 1\nname: blog\nweb: {tasks: 2, php: {memory: 900T}}\n", []string{"platen.yaml:3:", "900T"}},
		{"all of them", "platen: 1\nname: Not A Name\nwebb: 1\nweb: {tasks: 0}\n", []string{"platen.yaml:2:", "platen.yaml:3:", "platen.yaml:4:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site.New(t)
			s.Write(t, "platen.yaml", c.file)
			refused(t, s, 2, c.says...)
			untouched(t, s)
		})
	}
}

// The wanted port is somebody else's: the site takes the next free one and says so.
func TestPortTaken(t *testing.T) {
	sharedSite(t) // its images make this one quick
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	s := site.New(t)
	s.Write(t, "platen.yaml", fmt.Sprintf("platen: 1\nname: %s\nweb: {tasks: 1}\nenvironments:\n  local: {target: local, port: %d}\n", s.Name, port))
	s.Up(t)
	if strings.HasSuffix(s.URL(), fmt.Sprint(":", port)) {
		t.Errorf("the site says it is at %s, which is taken", s.URL())
	}
	s.Visitor(t).Get(t, http.StatusOK, "/")
}

func TestTwoUpsAtOnce(t *testing.T) {
	sharedSite(t)
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	first := s.Start(t, "up", "--yes")
	if !first.Until(func(e report.Event) bool { return e.Event == "step" && holdsLock(e) }) {
		_, stderr := first.Wait()
		t.Fatalf("the first up ended early:\n%s", stderr)
	}
	second := s.Run(t, 4, "up", "--yes")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"lock", host} {
		if !strings.Contains(second.Stderr, want) {
			t.Errorf("no %q in what the second says:\n%s", want, second.Stderr)
		}
	}
	if exit, stderr := first.Wait(); exit != 0 {
		t.Errorf("the first up: exit %d\n%s", exit, stderr)
	}
}

// holdsLock: images are built, and everything after, under the lock.
func holdsLock(e report.Event) bool {
	return strings.HasPrefix(e.Step, "images") || strings.HasPrefix(e.Step, "web") || strings.HasPrefix(e.Step, "database")
}

// Ctrl-C and SIGKILL at several moments; the next up finishes the work, and nothing is lost.
func TestInterruptedUpGoesOn(t *testing.T) {
	sharedSite(t)
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		exit   int
		at     func(report.Event) bool
	}{
		{"Ctrl-C while images are built", syscall.SIGINT, 130, func(e report.Event) bool { return strings.HasPrefix(e.Step, "images") }},
		{"SIGKILL while images are built", syscall.SIGKILL, -1, func(e report.Event) bool { return strings.HasPrefix(e.Step, "images") }},
		{"Ctrl-C while containers start", syscall.SIGINT, 130, func(e report.Event) bool { return e.Step != "" && !strings.HasPrefix(e.Step, "images") && holdsLock(e) }},
		{"SIGKILL while containers start", syscall.SIGKILL, -1, func(e report.Event) bool { return e.Step != "" && !strings.HasPrefix(e.Step, "images") && holdsLock(e) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site.New(t)
			s.Configure(t, "web: {tasks: 1}", "title: Interrupted")
			up := s.Start(t, "up", "--yes")
			if !up.Until(c.at) {
				_, stderr := up.Wait()
				t.Fatalf("up ended before the moment came:\n%s", stderr)
			}
			up.Signal(t, c.signal)
			exit, stderr := up.Wait()
			if exit != c.exit {
				t.Errorf("exit %d, want %d\n%s", exit, c.exit, stderr)
			}
			s.Up(t)
			if page := s.Visitor(t).Get(t, http.StatusOK, "/"); !strings.Contains(page.Body, "<title>Interrupted") {
				t.Errorf("the site is not whole:\n%s", site.Excerpt(page.Body))
			}
		})
	}
}

// The same on a site that people use: what they wrote and uploaded is there after it.
func TestInterruptedUpOfALiveSiteLosesNothing(t *testing.T) {
	sharedSite(t)
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	s.Up(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	var post struct{ Link string }
	v.REST(t, http.StatusCreated, http.MethodPost, "/wp/v2/posts",
		map[string]string{"title": "Kept", "content": "Written before the kill.", "status": "publish"}, &post)
	var media struct {
		URL string `json:"source_url"`
	}
	v.Upload(t, "kept.png", "image/png", picture(t, 64, 64), &media)

	for memory, signal := range map[string]syscall.Signal{"700M": syscall.SIGKILL, "710M": syscall.SIGINT} {
		s.Configure(t, "web: {tasks: 1, php: {memory: "+memory+"}}")
		up := s.Start(t, "up", "--yes")
		if !up.Until(func(e report.Event) bool { return strings.HasPrefix(e.Step, "web/") }) {
			_, stderr := up.Wait()
			t.Fatalf("up ended before it came to the web tasks:\n%s", stderr)
		}
		up.Signal(t, signal)
		up.Wait()
	}
	s.Up(t)
	reader := s.Visitor(t)
	if page := reader.Get(t, http.StatusOK, post.Link); !strings.Contains(page.Body, "Written before the kill.") {
		t.Errorf("the post is gone:\n%s", site.Excerpt(page.Body))
	}
	reader.Get(t, http.StatusOK, media.URL)
	v.Get(t, http.StatusOK, "/wp-admin/") // and who was logged in still is
}

// A second folder with the same name must not take the first one's site over.
func TestAnotherFolderWithTheSameName(t *testing.T) {
	s := sharedSite(t)
	other := &site.Site{Name: s.Name, Dir: t.TempDir()}
	other.Configure(t)
	before := s.Containers(t)
	refused(t, other, 1, s.Dir)
	after := s.Containers(t)
	if len(before) != len(after) || before[0].ID != after[0].ID {
		t.Error("the first folder's containers were touched")
	}
}

func TestDownKeepsDataUnlessAsked(t *testing.T) {
	sharedSite(t)
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}", "title: First title")
	s.Up(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	var post struct{ Link string }
	v.REST(t, http.StatusCreated, http.MethodPost, "/wp/v2/posts",
		map[string]string{"title": "Kept", "content": "Still here.", "status": "publish"}, &post)

	s.Run(t, 0, "down")
	for _, c := range s.Containers(t) {
		t.Errorf("%s is still there", c.Service)
	}
	// Without a terminal there is nobody to ask, and data is worth a flag. With one, no is no.
	asked := s.Terminal(t, "down", "--volumes")
	asked.Until(t, "[y/N]")
	asked.Type(t, "n\n")
	if exit := asked.Wait(t); exit == 0 {
		t.Errorf("after a no it says that all is well:\n%s", asked.Screen())
	}
	if refused := s.Run(t, 2, "down", "--volumes"); !strings.Contains(refused.Stderr, "--yes") {
		t.Errorf("it does not name --yes:\n%s", refused.Stderr)
	}
	s.Up(t)
	// The port may be another one now; the path is the same.
	kept, err := url.Parse(post.Link)
	if err != nil {
		t.Fatal(err)
	}
	if page := s.Visitor(t).Get(t, http.StatusOK, kept.Path); !strings.Contains(page.Body, "Still here.") {
		t.Errorf("the post is gone:\n%s", site.Excerpt(page.Body))
	}
}

func TestNoFileMeansDefaults(t *testing.T) {
	s := site.New(t)
	// Its name is the folder's; nothing is started to show that.
	dir := filepath.Join(s.Dir, s.Name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.Dir = dir
	target := t.TempDir()
	said := s.Run(t, 0, "render", "local", target).Stderr
	content, err := os.ReadFile(filepath.Join(target, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), s.Project()) {
		t.Errorf("%s is not the project's name:\n%s", s.Project(), content)
	}
	if !strings.Contains(said, "platen.yaml") {
		t.Errorf("it does not say that there is no file:\n%s", said)
	}
}
