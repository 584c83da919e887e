package engine

import (
	"context"
	"slices"
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/site"
)

// bare makes the bench's place one that runs no releases, and of which ready is asked.
func (b *bench) bare(ready func(context.Context, report.Sink) error) {
	b.Open = func(context.Context, site.Spec, string) (Place, error) {
		return Place{Target: b.place, Store: b.place.memory, Vault: b.place, Ready: ready}, nil
	}
}

// Regression: Terraform was looked for when lock, bucket and records were there already.
func TestWhatIsMissingHereIsToldBeforeAnythingIsMade(t *testing.T) {
	b := newBench(t)
	b.bare(func(context.Context, report.Sink) error { return errBroken })
	if _, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil); err == nil || !strings.Contains(err.Error(), errBroken.Error()) {
		t.Errorf("err = %v", err)
	}
	if want := []string{"limits"}; !slices.Equal(b.place.calls, want) || len(b.place.keys()) != 0 {
		t.Errorf("calls %v, records %v", b.place.calls, b.place.keys())
	}
}

// Regression: where no releases run, nobody asked for the password of mail.user, and "-" was it.
func TestInfrastructureWithoutTheMailPasswordTouchesNothing(t *testing.T) {
	b := newBench(t)
	b.bare(nil)
	b.configure(t, withMail)
	_, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
	if err == nil || !strings.Contains(err.Error(), "password is not known") {
		t.Errorf("err = %v", err)
	}
	if want := []string{"limits"}; !slices.Equal(b.place.calls, want) || len(b.place.keys()) != 0 {
		t.Errorf("calls %v, records %v", b.place.calls, b.place.keys())
	}
	if _, err := b.Up(t.Context(), UpOptions{Site: b.site, MailPassword: "given"}, nil); err != nil {
		t.Error(err)
	}
	b.place.secrets = map[string]string{"mail_password": "kept"}
	if _, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil); err != nil {
		t.Error(err)
	}
}

// A secret is kept where nothing is built for it.
func TestASecretIsSetWhereNoReleasesRun(t *testing.T) {
	b := newBench(t)
	b.bare(nil)
	b.configure(t, withMail)
	result, err := b.SetSecret(t.Context(), SetSecretOptions{Site: b.site, Name: "mail", Read: func(context.Context) (string, error) { return "typed", nil }}, nil)
	if err != nil || !result.Changed || b.place.secrets["mail_password"] != "typed" {
		t.Errorf("%+v, %v, kept %v", result, err, b.place.secrets)
	}
}

func TestCommandsNameTheEnvironment(t *testing.T) {
	for environment, want := range map[string]string{"": "platen up", "local": "platen up", "prod": "platen up prod"} {
		if got := command("up", environment); got != want {
			t.Errorf("%q: %s", environment, got)
		}
	}
}

// Regression: an up that found all as wanted said that it changed something.
func TestInfrastructureSaysWhetherItChanged(t *testing.T) {
	for _, c := range []struct {
		events []report.Event
		want   bool
	}{
		{nil, false},
		{[]report.Event{{Event: "step", Step: "init/shared", State: report.Done}, {Event: "step", Step: "shared", State: report.Same}, {Event: "step", Step: "data", State: report.Running}}, false},
		{[]report.Event{{Event: "step", Step: "shared", State: report.Same}, {Event: "step", Step: "cluster", State: report.Done}}, true},
		{[]report.Event{{Event: "step", Step: "data", State: report.Same}, {Event: "step", Step: "data/secrets/salt", State: report.Done}}, true},
	} {
		b := newBench(t)
		b.bare(nil)
		b.place.narrates = c.events
		result, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
		if err != nil || result.Changed != c.want {
			t.Errorf("%+v: changed %v, %v", c.events, result.Changed, err)
		}
	}
}
