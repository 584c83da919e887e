package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"platen/internal/report"
)

func TestUpDoesTheStepsInOrderAndTwiceNothing(t *testing.T) {
	b := newBench(t)
	first := b.up(t)
	want := []string{"limits", "build", "publish", "apply", "run install", "roll 2", "smoke"}
	if !slices.Equal(b.place.calls, want) {
		t.Errorf("calls %v, want %v", b.place.calls, want)
	}
	if !first.Changed || first.Release == "" || !strings.HasPrefix(first.URL, "http://localhost:") {
		t.Errorf("result %+v", first)
	}
	if got := b.place.keys(); !slices.Equal(got, []string{"releases/" + first.Release + ".json", "state.json"}) {
		t.Errorf("records %v: the lock must be given back", got)
	}

	second := b.up(t)
	if want := []string{"limits", "build", "publish", "smoke"}; !slices.Equal(b.place.calls, want) {
		t.Errorf("the second time: calls %v, want %v", b.place.calls, want)
	}
	if second.Changed || second.Release != first.Release || second.URL != first.URL {
		t.Errorf("the second time: %+v, the first: %+v", second, first)
	}
}

func TestUpHoldsTheLockWhileItWorks(t *testing.T) {
	b := newBench(t)
	var refused []string
	b.place.before = func(call string) {
		if call == "limits" || call == "smoke" {
			return
		}
		other := *b.Engine
		other.Process.PID = 1 // alive, as everywhere
		other.Process.Started = started(1)
		_, _, err := other.lock(context.Background(), b.place.memory, "prod", "platen up")
		var locked *LockedError
		if errors.As(err, &locked) && locked.Lock.PID == b.Process.PID {
			refused = append(refused, call)
		}
	}
	b.up(t)
	if want := []string{"build", "publish", "apply", "run install", "roll 2"}; !slices.Equal(refused, want) {
		t.Errorf("refused others at %v, want %v", refused, want)
	}
}

func TestUpThatDoesNotFitTouchesNothing(t *testing.T) {
	b := newBench(t)
	b.place.memory_ = 64 << 20
	_, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
	var unfit *UnfitError
	if !errors.As(err, &unfit) || len(unfit.Verdict.Reasons) == 0 {
		t.Fatalf("err = %v, want the verdict's reasons", err)
	}
	if want := []string{"limits"}; !slices.Equal(b.place.calls, want) || len(b.place.keys()) != 0 {
		t.Errorf("calls %v, records %v", b.place.calls, b.place.keys())
	}
}

func TestInterruptedUpSaysHowFarItCameAndGoesOn(t *testing.T) {
	for _, at := range []string{"build", "publish", "apply", "run install", "roll 2"} {
		t.Run(at, func(t *testing.T) {
			b := newBench(t)
			ctx, cancel := context.WithCancel(t.Context())
			b.place.before = func(call string) {
				if call == at {
					cancel()
					b.place.fail[at] = ctx.Err()
				}
			}
			_, err := b.Up(ctx, UpOptions{Site: b.site}, nil)
			var interrupted *InterruptedError
			if !errors.As(err, &interrupted) || report.HintOf(err) == "" {
				t.Fatalf("err = %v, want how far it came and what to do", err)
			}
			if slices.Contains(b.place.keys(), lockKey) {
				t.Error("the lock was not given back")
			}
			b.place.before, b.place.fail = nil, map[string]error{}
			if result := b.up(t); b.place.running[result.Release] != 2 {
				t.Errorf("after going on %v serve", b.place.running)
			}
		})
	}
}

func TestFailedFirstRollRecordsNoRelease(t *testing.T) {
	b := newBench(t)
	b.place.fail["roll 2"] = &report.RollError{Release: "r", Task: "web-1", Reason: "php did not start"}
	_, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
	var roll *report.RollError
	if !errors.As(err, &roll) {
		t.Fatalf("err = %v", err)
	}
	for _, key := range b.place.keys() {
		if strings.HasPrefix(key, releasePrefix) || key == lockKey {
			t.Errorf("there is a record %s", key)
		}
	}
}

func TestFailedRollGoesBackToWhatServed(t *testing.T) {
	b := newBench(t)
	first := b.up(t)
	b.digest = "two"
	b.place.fail["roll platen/blog-nginx:two"] = &report.RollError{Release: "two", Task: "web-3", Reason: "nginx did not start"}
	_, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
	var back *RolledBackError
	if !errors.As(err, &back) || back.Serving != first.Release {
		t.Fatalf("err = %v, want to be back at %s", err, first.Release)
	}
	if b.place.running[first.Release] != 2 {
		t.Errorf("%v serve", b.place.running)
	}
	records, err := b.place.List(t.Context(), releasePrefix)
	if err != nil || len(records) != 1 {
		t.Errorf("releases %v (%v), want the first alone", records, err)
	}
}

func TestFailuresNameTheirStep(t *testing.T) {
	for call, says := range map[string]string{
		"publish":     "bring the images",
		"apply":       "broken",
		"run install": "install job",
	} {
		b := newBench(t)
		b.place.fail[call] = errBroken
		_, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: err = %v, want %q in it", call, err, says)
		}
	}
}

func TestScaleIsAnOverrideThatUpTakesBack(t *testing.T) {
	b := newBench(t)
	b.up(t)
	result, err := b.Scale(t.Context(), ScaleOptions{b.site, 4}, nil)
	if err != nil || !result.Changed || b.place.running[result.Release] != 4 {
		t.Fatalf("scale: %+v, %v, running %v", result, err, b.place.running)
	}
	status, err := b.Status(t.Context(), b.site)
	if err != nil || len(status.Notes) != 1 || !strings.Contains(status.Notes[0], "4 web tasks") {
		t.Errorf("status notes %q (%v), want the override", status.Notes, err)
	}
	if result := b.up(t); b.place.running[result.Release] != 2 {
		t.Errorf("after up %v serve", b.place.running)
	}
	if status, err := b.Status(t.Context(), b.site); err != nil || len(status.Notes) != 0 {
		t.Errorf("status notes %q (%v) after up", status.Notes, err)
	}
}

func TestScaleNeedsARunningSiteAndATask(t *testing.T) {
	b := newBench(t)
	if _, err := b.Scale(t.Context(), ScaleOptions{b.site, 3}, nil); !errors.Is(err, ErrNotUp) {
		t.Errorf("err = %v, want ErrNotUp", err)
	}
	var usage *UsageError
	if _, err := b.Scale(t.Context(), ScaleOptions{b.site, 0}, nil); !errors.As(err, &usage) {
		t.Errorf("err = %v, want a usage error", err)
	}
}

func TestDownKeepsDataUnlessConfirmed(t *testing.T) {
	b := newBench(t)
	b.up(t)
	_, kept, err := b.Down(t.Context(), DownOptions{Site: b.site}, nil)
	if err != nil || len(kept) != 1 || !b.place.data {
		t.Fatalf("kept %v (%v)", kept, err)
	}
	no := func(string) error { return errBroken }
	b.place.calls = nil
	if _, _, err := b.Down(t.Context(), DownOptions{Site: b.site, Volumes: true, Confirm: no}, nil); !errors.Is(err, errBroken) || len(b.place.calls) != 0 {
		t.Errorf("after a no: %v, calls %v", err, b.place.calls)
	}
	if _, _, err := b.Down(t.Context(), DownOptions{Site: b.site, Volumes: true}, nil); err != nil || b.place.data {
		t.Errorf("with --volumes --yes: %v, data %v", err, b.place.data)
	}
	if keys := b.place.keys(); len(keys) != 0 {
		t.Errorf("records are left: %v", keys)
	}
}

func TestPlanSaysWhatUpWouldDo(t *testing.T) {
	b := newBench(t)
	before, err := b.Plan(t.Context(), PlanOptions{Site: b.site}, nil)
	if err != nil || len(before.Changes) != 2 || !before.Verdict.Fits {
		t.Errorf("before up: %+v (%v)", before, err)
	}
	if len(b.place.keys()) != 0 {
		t.Errorf("plan wrote %v", b.place.keys())
	}
}

func TestSmokeWantsTheTitleOfAFreshSite(t *testing.T) {
	b := newBench(t)
	b.place.page = "<title>Blog</title>"
	b.up(t)
	b.place.page = "<title>Renamed by its editors</title>"
	b.up(t)
	// It stood still for a while: that does not make it a fresh site.
	if _, _, err := b.Down(t.Context(), DownOptions{Site: b.site}, nil); err != nil {
		t.Fatal(err)
	}
	b.up(t)
}

func TestUpTellsWhatTheInstallJobSaid(t *testing.T) {
	b := newBench(t)
	b.place.said, b.place.exit = "PHP Fatal error: no such file", 255
	_, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
	if err == nil || !strings.Contains(err.Error(), "status 255") || !strings.Contains(err.Error(), b.place.said) {
		t.Errorf("err = %v", err)
	}
}
