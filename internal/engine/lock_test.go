package engine

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"platen/internal/release"
)

func worker(host string, pid int) *Engine {
	return &Engine{Now: time.Now, Process: Process{
		Host: host, User: "ann", Command: "platen up", PID: pid, Started: "boot/1",
		Alive: func(pid int, started string) bool { return pid != 404 && started == "boot/1" },
	}}
}

func take(t *testing.T, e *Engine, s Store) (context.Context, *held) {
	t.Helper()
	ctx, h, err := e.lock(t.Context(), s, "prod", "platen up")
	if err != nil {
		t.Fatal(err)
	}
	return ctx, h
}

func TestLockIsRenewedAndGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		ctx, h := take(t, worker("a", 1), store)
		time.Sleep(10 * time.Minute)
		if err := ctx.Err(); err != nil {
			t.Fatalf("the work was ended: %v", context.Cause(ctx))
		}
		// To another host, which sees no process, a renewed lease holds.
		var locked *LockedError
		if _, _, err := worker("b", 2).lock(t.Context(), store, "prod", "platen up"); !errors.As(err, &locked) || locked.Lock.Host != "a" {
			t.Errorf("err = %v, want to be told who holds it", err)
		} else if want := "run: platen unlock prod"; !strings.HasSuffix(locked.Hint(), want) {
			t.Errorf("hint %q, want %q at its end", locked.Hint(), want)
		}
		h.release(ctx)
		if _, _, err := store.Get(t.Context(), lockKey); !errors.Is(err, release.ErrNotFound) {
			t.Errorf("the lock is still there: %v", err)
		}
	})
}

func TestLeaseThatRanOutIsTakenByAnotherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		dead := worker("a", 1)
		ctx, h := take(t, dead, store)
		h.cancel(nil) // as after a SIGKILL: nobody renews, nobody gives back
		<-h.done
		time.Sleep(lease - time.Second)
		var locked *LockedError
		if _, _, err := worker("b", 2).lock(t.Context(), store, "prod", "platen up"); !errors.As(err, &locked) {
			t.Errorf("err = %v before the lease is over", err)
		}
		time.Sleep(2 * time.Second)
		_, taken := take(t, worker("b", 2), store)
		h.release(ctx) // the dead one cannot give back what is not its own
		if l, err := holder(t.Context(), store); err != nil || l.Host != "b" {
			t.Errorf("holder %+v, %v", l, err)
		}
		taken.release(ctx)
	})
}

func TestDeadLocalHolderIsTakenOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, dead := range map[string]*Engine{"gone": worker("a", 404), "its number is another's now": worker("a", 1)} {
			store := newMemory()
			dead.Process.Started = "boot/0"
			_, h := take(t, dead, store)
			h.cancel(nil)
			<-h.done
			ctx, h := take(t, worker("a", 2), store)
			if l, err := holder(t.Context(), store); err != nil || l.PID != 2 {
				t.Errorf("%s: holder %+v, %v", name, l, err)
			}
			h.release(ctx)
		}
	})
}

func TestStolenLockEndsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		ctx, h := take(t, worker("a", 1), store)
		_, etag, err := store.Get(t.Context(), lockKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Delete(t.Context(), lockKey, etag); err != nil { // platen unlock, elsewhere
			t.Fatal(err)
		}
		_, other := take(t, worker("b", 2), store)
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, errLockLost) {
			t.Errorf("cause = %v", cause)
		}
		h.release(ctx)
		if l, err := holder(t.Context(), store); err != nil || l.Host != "b" {
			t.Errorf("the new holder lost it: %+v, %v", l, err)
		}
		other.release(ctx)
	})
}

func TestUnlockTakesItAway(t *testing.T) {
	b := newBench(t)
	if _, held, err := b.Unlock(t.Context(), UnlockOptions{Site: b.site}); err != nil || held {
		t.Errorf("nobody held it: %v, %v", held, err)
	}
	ctx, h, err := worker("elsewhere", 7).lock(t.Context(), b.place.memory, "prod", "platen up")
	if err != nil {
		t.Fatal(err)
	}
	defer h.release(ctx)
	l, held, err := b.Unlock(t.Context(), UnlockOptions{Site: b.site})
	if err != nil || !held || l.Host != "elsewhere" {
		t.Errorf("unlock: %+v, %v, %v", l, held, err)
	}
	if _, _, err := b.place.Get(t.Context(), lockKey); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
}

// The real thing: a process of this machine, before and after its end.
func TestAliveKnowsRealProcesses(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	when := started(pid)
	if when == "" || !alive(pid, when) {
		t.Errorf("a running process: started %q, alive %v", when, alive(pid, when))
	}
	if alive(pid, "another boot/1") {
		t.Error("a process that began at another time counts as the same")
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if alive(pid, when) {
		t.Error("an ended process counts as alive")
	}
}
