//go:build prove

package prove

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"platen/tests/e2e/site"
)

// shareDelay is what an operation on the share takes: EFS answers within a few milliseconds.
const shareDelay = 3 * time.Millisecond

// shareCached is how long the kernel trusts what it knows of names and attributes: NFS begins with
// 3 s for files and 30 s for folders, and goes up to 60 s (acregmin and so on; EFS leaves them).
const shareCached = 30 * time.Second

// share passes every operation on to a folder, late. The kernel keeps names, attributes, contents
// of folders and of files, as NFS does; each open asks, as NFS does to see what others wrote.
type share struct {
	fs.LoopbackNode
	operations *atomic.Int64
}

func (s *share) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	if inner, ok := child.(*fs.LoopbackNode); ok {
		return &share{fs.LoopbackNode{RootData: inner.RootData}, s.operations}
	}
	return child
}

func (s *share) wait() {
	s.operations.Add(1)
	time.Sleep(shareDelay)
}

func (s *share) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	s.wait()
	return s.LoopbackNode.Lookup(ctx, name, out)
}

func (s *share) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	s.wait()
	return s.LoopbackNode.Getattr(ctx, f, out)
}

func (s *share) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	s.wait()
	return s.LoopbackNode.Setattr(ctx, f, in, out)
}

func (s *share) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	s.wait()
	f, kept, errno := s.LoopbackNode.Open(ctx, flags)
	return f, kept | fuse.FOPEN_KEEP_CACHE, errno
}

// OpendirHandle asks nobody with NFS: only what is in the folder does, where the kernel has not kept it.
func (s *share) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	f, kept, errno := s.LoopbackNode.OpendirHandle(ctx, flags)
	return f, kept | fuse.FOPEN_CACHE_DIR | fuse.FOPEN_KEEP_CACHE, errno
}

func (s *share) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	s.wait()
	return s.LoopbackNode.Create(ctx, name, flags, mode, out)
}

func (s *share) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	s.wait()
	return s.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (s *share) Unlink(ctx context.Context, name string) syscall.Errno {
	s.wait()
	return s.LoopbackNode.Unlink(ctx, name)
}

func (s *share) Rename(ctx context.Context, name string, to fs.InodeEmbedder, other string, flags uint32) syscall.Errno {
	s.wait()
	return s.LoopbackNode.Rename(ctx, name, to, other, flags)
}

// slowShare puts a share in front of a folder: whoever enters the folder from now on finds the share
// there. Returns how many operations it was asked for.
func slowShare(t *testing.T, folder string) *atomic.Int64 {
	t.Helper()
	// The same folder at another place, which stays what it was.
	behind := t.TempDir()
	if err := syscall.Mount(folder, behind, "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("the share is a file system of FUSE, which needs root and Docker on this very machine: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(behind, syscall.MNT_DETACH) })
	// Or the share would be mounted there as well, in front of itself.
	if err := syscall.Mount("", behind, "", syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	var stat syscall.Stat_t
	if err := syscall.Stat(behind, &stat); err != nil {
		t.Fatal(err)
	}
	root := &share{fs.LoopbackNode{RootData: &fs.LoopbackRoot{Path: behind, Dev: uint64(stat.Dev)}}, &atomic.Int64{}}
	root.RootData.RootNode = root
	cached := shareCached
	server, err := fs.Mount(folder, root, &fs.Options{
		EntryTimeout: &cached, AttrTimeout: &cached, NegativeTimeout: &cached, NullPermissions: true,
		MountOptions: fuse.MountOptions{DirectMount: true, AllowOther: true, FsName: "platen-slow-share", Options: []string{"default_permissions"}},
	})
	if err != nil {
		t.Fatalf("mount the share: %v", err)
	}
	t.Cleanup(func() {
		if err := exec.Command("umount", "--lazy", folder).Run(); err != nil {
			t.Errorf("unmount %s: %v", folder, err)
		}
		server.Wait()
	})
	return root.operations
}

// shareFigures compares the front page of two tasks of one site, of which one has its content on a
// share with a delay: the median of pages asked in turn, none of which any page cache answers.
func shareFigures(t *testing.T) []Figure {
	t.Helper()
	s := site.New(t)
	s.Configure(t, "web: {tasks: 2}")
	s.Up(t)
	volume := s.Project() + "-content-g1"
	out, err := exec.Command("docker", "volume", "inspect", "--format", "{{.Mountpoint}}", volume).Output()
	if err != nil {
		t.Fatalf("where is the volume %s: %v", volume, err)
	}
	operations := slowShare(t, strings.TrimSpace(string(out)))
	// Before the share goes: a mount lives as long as somebody has it.
	t.Cleanup(func() {
		for _, service := range []string{"web-1-php", "web-1-nginx"} {
			if out, err := exec.Command("docker", "rm", "--force", s.Container(t, service).ID).CombinedOutput(); err != nil {
				t.Errorf("remove %s: %v\n%s", service, err, out)
			}
		}
	})
	for _, service := range []string{"web-1-php", "web-1-nginx"} {
		if out, err := exec.Command("docker", "restart", s.Container(t, service).ID).CombinedOutput(); err != nil {
			t.Fatalf("restart %s: %v\n%s", service, err, out)
		}
	}
	tasks := map[string]*site.Visitor{}
	site.Eventually(t, 2*time.Minute, "both tasks serve", func() error {
		for _, one := range s.Tasks(t) {
			v := s.VisitTask(t, one)
			if page, err := v.Try(http.MethodGet, "/-/task", "", nil); err != nil || page.Status != http.StatusOK {
				return fmt.Errorf("%s: %d, %w", one.Name, page.Status, err)
			}
			tasks[one.Name] = v
		}
		return nil
	})

	const warm, rounds = 24, 60
	times := map[string][]float64{}
	var asked []float64
	for i := range warm + rounds {
		for _, name := range []string{"web-1", "web-2"} {
			before, begin := operations.Load(), time.Now()
			page, err := tasks[name].Ask(http.MethodGet, fmt.Sprintf("/?share=%d", i), nil, "Cookie: platen_wrote=1")
			if err != nil || page.Status != http.StatusOK {
				t.Fatalf("page %d of %s: %d, %v", i, name, page.Status, err)
			}
			if i < warm {
				continue // each child of php has to have seen it
			}
			times[name] = append(times[name], time.Since(begin).Seconds()*1000)
			if name == "web-1" {
				asked = append(asked, float64(operations.Load()-before))
			}
		}
	}
	for _, values := range times {
		slices.Sort(values)
	}
	slices.Sort(asked) // most pages meet names that the kernel has kept
	slow, local := times["web-1"][rounds/2], times["web-2"][rounds/2]
	t.Logf("front page: %.1f ms with the share, %.1f ms without; operations a page: %v", slow, local, asked)
	return []Figure{
		{Name: "front page, content on a share of 3 ms an operation ÷ on the local disk", Value: slow / local, Unit: "", Goal: 1.1, Runs: rounds},
		{Name: "operations on that share for a front page", Value: asked[rounds/2], Unit: "", Runs: rounds},
	}
}

// removeShares takes away what a run that was killed left: mounts outlive processes.
func removeShares() {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); fields[0] == "platen-slow-share" {
			_ = syscall.Unmount(filepath.Clean(fields[1]), syscall.MNT_DETACH)
		}
	}
}
