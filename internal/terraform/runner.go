package terraform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"github.com/hashicorp/terraform-exec/tfexec"
	"golang.org/x/sys/unix"

	"platen/internal/report"
	"platen/internal/topology"
)

// stopping is what an interrupted Terraform may take to write its state and give its lock
// back; after it the process is killed. A resource that is being made is waited for.
const stopping = 2 * time.Minute

// lockedPlatform is the platform whose checksums are in the embedded lock file. Elsewhere the
// file would refuse a genuine provider; there the exact version in the stack and the
// registry's signature are what is checked.
const lockedPlatform = "linux_amd64"

// Runner runs Terraform for one environment, in folders that no person works in.
type Runner struct {
	// Find returns the Terraform to run; it is called once, when there is something to run.
	Find      func(context.Context, report.Sink) (Program, error)
	Folder    string // the stacks are written here, a folder each
	Cache     string // the providers', shared by all sites
	Workspace string // the environment

	once    sync.Mutex
	program *Program
	sink    report.Sink // of the last Prepare
}

// Ready finds Terraform, or installs it: one that cannot be had is told before anything is made.
func (r *Runner) Ready(ctx context.Context, sink report.Sink) error {
	_, err := r.find(ctx, sink)
	return err
}

// Prepare writes the stacks out and initialises those that changed. It works on one after the
// other: they share the providers' cache.
func (r *Runner) Prepare(ctx context.Context, stacks []topology.Stack, sink report.Sink) error {
	if _, err := r.find(ctx, sink); err != nil {
		return err
	}
	r.sink = sink
	for _, s := range stacks {
		if err := r.write(s); err != nil {
			err = fmt.Errorf("write the stack %s: %w", s.Name, err)
			if errors.Is(err, unix.ENOSPC) {
				err = report.Hint(err, "free some disk space, then run the same command again")
			}
			return err
		}
		if r.initialised(s) {
			continue
		}
		step := "init/" + s.Name
		sink.Step(step, report.Running, "")
		if err := r.init(ctx, s); err != nil {
			sink.Step(step, report.Failed, "")
			return err
		}
		sink.Step(step, report.Done, "")
	}
	return nil
}

func (r *Runner) find(ctx context.Context, sink report.Sink) (Program, error) {
	r.once.Lock()
	defer r.once.Unlock()
	if r.program != nil {
		return *r.program, nil
	}
	p, err := r.Find(ctx, sink)
	if err == nil {
		r.program = &p
	}
	return p, err
}

// write brings the stack's folder to exactly its files; what Terraform keeps there stays.
func (r *Runner) write(s topology.Stack) error {
	folder := filepath.Join(r.Folder, s.Name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	there, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range there {
		name := entry.Name()
		if _, wanted := s.Files[name]; !wanted && (strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tf.json") || strings.HasSuffix(name, ".tfvars.json")) {
			if err := os.Remove(filepath.Join(folder, name)); err != nil {
				return err
			}
		}
	}
	for name, data := range s.Files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if name == topology.ProviderLock {
			// Terraform may have added a checksum to it; it is renewed with init.
			if r.initialised(s) || runtime.GOOS+"_"+runtime.GOARCH != lockedPlatform && !topology.LocksEveryPlatform(data) {
				continue
			}
		}
		if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := renameio.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// marker remembers what a stack was initialised with. It lies in .terraform, and goes with it.
func (r *Runner) marker(s topology.Stack) string {
	return filepath.Join(r.Folder, s.Name, ".terraform", "platen")
}

func (r *Runner) initialised(s topology.Stack) bool {
	data, err := os.ReadFile(r.marker(s))
	return err == nil && string(data) == r.digest(s)
}

// digest covers what init looks at: the HCL, the backend, the workspace and Terraform itself.
func (r *Runner) digest(s topology.Stack) string {
	h := sha256.New()
	fmt.Fprintln(h, r.program.Version, r.Workspace, os.Getenv("TF_CLI_CONFIG_FILE"))
	for _, name := range s.FileNames() {
		if strings.HasSuffix(name, ".tfvars.json") {
			continue
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(s.Files[name]), s.Files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (r *Runner) init(ctx context.Context, s topology.Stack) error {
	tf, err := r.terraform(s.Name)
	if err != nil {
		return err
	}
	// Reconfigured, not migrated: the state stays where it is when the kind of lock changes.
	if err := tf.Init(ctx, tfexec.Reconfigure(true), tfexec.Upgrade(false)); err != nil {
		return r.failed(ctx, "initialise", s.Name, err, nil)
	}
	if err := r.choose(ctx, tf, s.Name); err != nil {
		return err
	}
	if err := renameio.WriteFile(r.marker(s), []byte(r.digest(s)), 0o600); err != nil {
		return fmt.Errorf("remember that %s is initialised: %w", s.Name, err)
	}
	return nil
}

// choose makes the environment's workspace, or finds it made.
func (r *Runner) choose(ctx context.Context, tf *tfexec.Terraform, stack string) error {
	all, current, err := tf.WorkspaceList(ctx)
	if err != nil {
		return r.failed(ctx, "list the workspaces of", stack, err, nil)
	}
	switch {
	case current == r.Workspace:
		return nil
	case slices.Contains(all, r.Workspace):
		err = tf.WorkspaceSelect(ctx, r.Workspace)
	default:
		err = tf.WorkspaceNew(ctx, r.Workspace)
	}
	if err != nil {
		return r.failed(ctx, "choose the workspace "+r.Workspace+" of", stack, err, nil)
	}
	return nil
}

// Forget removes what is remembered of a stack, for one whose state is gone.
func (r *Runner) Forget(stack string) error {
	if err := os.RemoveAll(filepath.Join(r.Folder, stack)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the work folder of %s: %w", stack, err)
	}
	return nil
}

// terraform is Terraform in a stack's folder. One is used by one goroutine.
func (r *Runner) terraform(stack string) (*tfexec.Terraform, error) {
	tf, err := tfexec.NewTerraform(filepath.Join(r.Folder, stack), r.program.Path)
	if err != nil {
		return nil, fmt.Errorf("start Terraform in %s: %w", stack, err)
	}
	env, err := r.environment()
	if err != nil {
		return nil, err
	}
	if err := tf.SetEnv(env); err != nil {
		return nil, fmt.Errorf("start Terraform in %s: %w", stack, err)
	}
	if err := tf.SetWaitDelay(stopping); err != nil {
		return nil, err
	}
	tf.SetStdout(io.Discard)
	tf.SetStderr(io.Discard)
	return tf, nil
}

// environment is what Terraform runs with: this process' own, without what would change what it
// does behind our back.
func (r *Runner) environment() (map[string]string, error) {
	env := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	env = maps.Clone(tfexec.CleanEnv(env))
	delete(env, "TF_DATA_DIR") // one folder for all stacks would mix their backends
	env["CHECKPOINT_DISABLE"] = "1"
	if env["TF_PLUGIN_CACHE_DIR"] == "" {
		cache := filepath.Join(r.Cache, "terraform", "providers")
		if err := os.MkdirAll(cache, 0o755); err != nil {
			return nil, fmt.Errorf("make the providers' cache: %w", err)
		}
		env["TF_PLUGIN_CACHE_DIR"] = cache
	}
	return env, nil
}
