package agent

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAnnouncementsAreCopied(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "share"), filepath.Join(dir, "copy")
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { followContent(ctx, from, to, time.Millisecond, NewLog(&out)) })
	wait := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			got, err := os.ReadFile(to)
			if err == nil && string(got) == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the copy is %q (%v), want %q", got, err, want)
			}
		}
	}
	for _, version := range []string{"one", "two"} {
		if err := WriteFile(from, []byte(version), 0o644); err != nil {
			t.Fatal(err)
		}
		wait(version)
	}
	// PHP of this task announces by itself; somebody else was later.
	if err := WriteFile(to, []byte("three"), 0o644); err != nil {
		t.Fatal(err)
	}
	wait("two")
	cancel()
	wg.Wait()
	if out.Len() > 0 {
		t.Errorf("a share that works is complained of: %s", &out)
	}

	// A share that cannot be read is said once.
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	followContent(ctx, dir, to, time.Millisecond, NewLog(&out))
	if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "30 s") {
		t.Errorf("said %s", &out)
	}
}
