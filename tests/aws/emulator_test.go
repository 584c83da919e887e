// Package aws drives the real binary, with the real Terraform and the real AWS provider, against
// an emulator of AWS, and asks AWS' own SDK what came of it. Nothing in the binary or in the
// stacks knows of it: AWS_ENDPOINT_URL says where AWS is.
package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hc-install/product"
	"github.com/hashicorp/hc-install/releases"
)

const (
	account = "123456789012" // the emulator's
	region  = "eu-west-1"
)

// place is an AWS of its own, and a folder with a site.
type place struct {
	t       *testing.T
	folder  string
	address string
	env     []string
	log     *bytes.Buffer
}

// platen is the binary under test: PLATEN_BIN, else built once.
var platen = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PLATEN_BIN"); path != "" {
		return path, nil
	}
	folder, err := os.MkdirTemp("", "platen-aws-bin")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "platen")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "../../cmd/platen").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build platen: %w\n%s", err, out)
	}
	return path, nil
})

const providerVersion = "5.100.0"

// mirror is the folder of a provider mirror: one that Terraform fills once in the user's cache, or
// one that lies on this disk already.
var mirror = sync.OnceValues(func() (string, error) {
	folder, err := tools()
	if err != nil {
		return "", err
	}
	folder = filepath.Join(folder, "providers")
	if packed, _ := filepath.Glob(filepath.Join(folder, "registry.terraform.io/hashicorp/aws/terraform-provider-aws_"+providerVersion+"_*.zip")); len(packed) > 0 {
		return folder, nil
	}
	if found := unpacked(); found != "" {
		return found, nil
	}
	path, err := program()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(path, "-chdir="+filepath.Join(source, "shared"), "providers", "mirror", folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("download the AWS provider: %w\n%s", err, out)
	}
	return folder, nil
})

// unpacked looks for MIRROR/registry.terraform.io/hashicorp/aws/VERSION/PLATFORM/terraform-provider-aws_v…
func unpacked() string {
	var found string
	_ = filepath.WalkDir("/", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fs.SkipDir
		case path == "/proc" || path == "/sys" || path == "/dev" || path == filepath.Clean(os.TempDir()):
			return fs.SkipDir
		case d.Name() == ".terraform" || d.Name() == "node_modules" || d.Name() == "overlay2" || d.Name() == "snapshots":
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasPrefix(d.Name(), "terraform-provider-aws_v"+providerVersion) {
			registry := filepath.Join(filepath.Dir(path), "../../../..")
			if filepath.Base(registry) == "registry.terraform.io" {
				found = filepath.Dir(registry)
				return fs.SkipAll
			}
		}
		return nil
	})
	return found
}

// python is one that has moto: the machine's own, or one in the user's cache.
var python = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("../../scripts/need-moto")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("scripts/need-moto: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

// tools is the folder in the user's cache for what these tests need.
func tools() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "platen-tests"), err
}

const terraformVersion = "1.11.4"

// program is the Terraform that platen finds in PATH: the machine's own, else one that is installed
// once for all tests.
var program = sync.OnceValues(func() (string, error) {
	folder, err := tools()
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath("terraform"); err == nil {
		return path, nil
	}
	exact := version.Must(version.NewVersion(terraformVersion))
	folder = filepath.Join(folder, "terraform-"+terraformVersion)
	path := filepath.Join(folder, product.Terraform.BinaryName())
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	install := &releases.ExactVersion{Product: product.Terraform, Version: exact, InstallDir: folder, ApiBaseURL: os.Getenv("PLATEN_TERRAFORM_MIRROR")}
	return install.Install(context.Background())
})

func terraformIn(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// tfsec is the scanner, built once.
var tfsec = sync.OnceValues(func() (string, error) {
	const module, version = "github.com/aquasecurity/tfsec/cmd/tfsec", "v1.26.0"
	folder, err := tools()
	if err != nil {
		return "", err
	}
	folder = filepath.Join(folder, "tfsec-"+version)
	path := filepath.Join(folder, "tfsec")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.Command("go", "install", module+"@"+version)
	cmd.Env = append(os.Environ(), "GOBIN="+folder, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tfsec: %w\n%s", err, out)
	}
	return path, nil
})

// terraformEnv is this process' environment without what would lead to another AWS or change what
// Terraform does. Terraform's own configuration is written to rc.
func terraformEnv(t *testing.T, rc string) []string {
	t.Helper()
	from, err := mirror()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", from)
	if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// A quarter of the processor time of Terraform and its provider is the collection of what their
	// start leaves behind. Within the memory that they take anyway it can wait.
	env := []string{"TF_CLI_CONFIG_FILE=" + rc, "CHECKPOINT_DISABLE=1", "GOGC=off", "GOMEMLIMIT=768MiB"}
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "AWS_") && !strings.HasPrefix(pair, "TF_") && !strings.HasPrefix(pair, "XDG_") {
			env = append(env, pair)
		}
	}
	return env
}

// emulator starts an AWS and writes the site's file.
func emulator(t *testing.T, yaml string) *place {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, folder: t.TempDir(), address: fmt.Sprintf("http://127.0.0.1:%d", port), log: &bytes.Buffer{}}
	interpreter, err := python()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(interpreter, "emulator/emulator.py", "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	cmd.Env = append(os.Environ(), "MOTO_ACM_VALIDATION_WAIT=1", "MOTO_IAM_LOAD_MANAGED_POLICIES=true")
	log := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the emulator: %v", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	deadline := time.Now().Add(time.Minute)
	for {
		resp, err := http.Get(p.address + "/moto-api/")
		if err == nil {
			_ = resp.Body.Close()
			break
		}
		select {
		case <-ended:
			t.Fatalf("the emulator ended\n%s", log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the emulator does not answer: %v\n%s", err, log)
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.env = terraformEnv(t, filepath.Join(p.folder, "terraform.rc"))
	p.env = append(p.env, "AWS_ENDPOINT_URL="+p.address, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_MAX_ATTEMPTS=3",
		"AWS_EC2_METADATA_DISABLED=true",
		"PATH="+filepath.Dir(terraformIn(t))+string(os.PathListSeparator)+os.Getenv("PATH"),
		"XDG_STATE_HOME="+filepath.Join(p.folder, "state"), "XDG_CACHE_HOME="+filepath.Join(p.folder, "cache"))
	p.write("platen.yaml", yaml)
	return p
}

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) read(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.folder, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

// edit replaces a part of the site's file.
func (p *place) edit(old, new string) {
	p.t.Helper()
	data := p.read("platen.yaml")
	if strings.Count(data, old) != 1 {
		p.t.Fatalf("%q is not once in platen.yaml", old)
	}
	p.write("platen.yaml", strings.Replace(data, old, new, 1))
}

// command is platen with these arguments, or another program, in the site's folder.
func (p *place) command(extra []string, name string, args ...string) *exec.Cmd {
	p.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = p.folder, append(append([]string{}, p.env...), extra...)
	return cmd
}

// run runs platen and returns its output and exit code. All output is kept for the search for
// secrets.
func (p *place) run(args ...string) (out string, code int) {
	p.t.Helper()
	return p.runWith(nil, args...)
}

func (p *place) runWith(extra []string, args ...string) (out string, code int) {
	p.t.Helper()
	path, err := platen()
	if err != nil {
		p.t.Fatal(err)
	}
	data, err := p.command(extra, path, args...).CombinedOutput()
	p.log.Write(data)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(data), exit.ExitCode()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data), 0
}

// must runs platen and wants it to succeed.
func (p *place) must(args ...string) string {
	p.t.Helper()
	out, code := p.run(args...)
	if code != 0 {
		p.t.Fatalf("platen %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// sdk is AWS' own view.
func (p *place) sdk() awssdk.Config {
	p.t.Helper()
	c, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(region), config.WithBaseEndpoint(p.address),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
