package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"sync"
	"testing"

	"platen/internal/release"
)

func TestStoreComparesAndSwaps(t *testing.T) {
	ctx := t.Context()
	s := OpenStore(filepath.Join(t.TempDir(), "state", "platen-blog-local"))

	if _, _, err := s.Get(ctx, "lock.json"); !errors.Is(err, release.ErrNotFound) {
		t.Fatalf("Get of a missing record: %v, want ErrNotFound", err)
	}
	first, err := s.Put(ctx, "lock.json", []byte("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "lock.json", []byte("two"), ""); !errors.Is(err, release.ErrConflict) {
		t.Fatalf("Put of a record that must not exist: %v, want ErrConflict", err)
	}
	data, tag, err := s.Get(ctx, "lock.json")
	if err != nil || string(data) != "one" || tag != first {
		t.Fatalf("Get = %q, %q, %v; want one, %q", data, tag, err, first)
	}
	second, err := s.Put(ctx, "lock.json", []byte("two"), first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "lock.json", []byte("three"), first); !errors.Is(err, release.ErrConflict) {
		t.Fatalf("Put with a stale etag: %v, want ErrConflict", err)
	}
	if err := s.Delete(ctx, "lock.json", first); !errors.Is(err, release.ErrConflict) {
		t.Fatalf("Delete with a stale etag: %v, want ErrConflict", err)
	}
	if err := s.Delete(ctx, "lock.json", second); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "lock.json", second); !errors.Is(err, release.ErrConflict) {
		t.Fatalf("Delete of a deleted record: %v, want ErrConflict", err)
	}
}

func TestStoreListsKeysNotItsOwnFiles(t *testing.T) {
	ctx := t.Context()
	s := OpenStore(filepath.Join(t.TempDir(), "state"))
	if keys, err := s.List(ctx, ""); err != nil || len(keys) != 0 {
		t.Fatalf("List of a store that is not there yet = %v, %v", keys, err)
	}
	for _, key := range []string{"releases/2.json", "releases/1.json", "lock.json"} {
		if _, err := s.Put(ctx, key, []byte(key), ""); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := s.List(ctx, "releases/")
	if want := []string{"releases/1.json", "releases/2.json"}; err != nil || !reflect.DeepEqual(keys, want) {
		t.Errorf("List = %v, %v; want %v", keys, err, want)
	}
	keys, err = s.List(ctx, "")
	if want := []string{"lock.json", "releases/1.json", "releases/2.json"}; err != nil || !reflect.DeepEqual(keys, want) {
		t.Errorf("List = %v, %v; want %v", keys, err, want)
	}
}

func TestStoreIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if _, err := OpenStore(dir).Put(t.Context(), "releases/1.json", nil, ""); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{"": 0o700, "releases": 0o700, "releases/1.json": 0o600, guard: 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%q has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

func TestStoreRefusesKeysThatLeaveIt(t *testing.T) {
	s := OpenStore(t.TempDir())
	for _, key := range []string{"", "..", "../x", "/etc/passwd", "a/../../x", "a//b", guard, "a/.b"} {
		if _, err := s.Put(t.Context(), key, nil, ""); err == nil || errors.Is(err, release.ErrConflict) {
			t.Errorf("Put(%q): %v, want a refusal", key, err)
		}
	}
}

// Two stores on one folder are two processes: no increment may be lost.
func TestStoreLosesNoWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	const writers, each = 4, 25
	var group sync.WaitGroup
	failures := make(chan error, writers)
	for range writers {
		group.Go(func() { failures <- increment(t.Context(), OpenStore(dir), each) })
	}
	group.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Fatal(err)
		}
	}
	data, _, err := OpenStore(dir).Get(t.Context(), "counter")
	if err != nil || string(data) != fmt.Sprint(writers*each) {
		t.Errorf("counter = %s, %v; want %d", data, err, writers*each)
	}
}

func increment(ctx context.Context, s *Store, times int) error {
	for done := 0; done < times; {
		data, tag, err := s.Get(ctx, "counter")
		if err != nil && !errors.Is(err, release.ErrNotFound) {
			return err
		}
		n := 0
		if len(data) > 0 {
			if n, err = strconv.Atoi(string(data)); err != nil {
				return err
			}
		}
		_, err = s.Put(ctx, "counter", []byte(strconv.Itoa(n+1)), tag)
		switch {
		case err == nil:
			done++
		case !errors.Is(err, release.ErrConflict):
			return err
		}
	}
	return nil
}
