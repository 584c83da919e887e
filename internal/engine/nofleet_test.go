package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"platen/internal/report"
)

// Where no release runs yet, every verb that needs one says so before it does anything: not even a
// lock is taken, whose record would be the first in a new account.
func TestVerbsThatNeedAReleaseSayThatNoneRuns(t *testing.T) {
	for name, verb := range map[string]func(context.Context, *bench) error{
		"credentials": func(ctx context.Context, b *bench) error { _, err := b.Credentials(ctx, b.site, nil); return err },
		"logs":        func(ctx context.Context, b *bench) error { return b.Logs(ctx, LogsOptions{Site: b.site}, io.Discard) },
		"exec": func(ctx context.Context, b *bench) error {
			_, err := b.Exec(ctx, ExecOptions{Site: b.site, Command: []string{"php", "-v"}})
			return err
		},
		"scale": func(ctx context.Context, b *bench) error {
			_, err := b.Scale(ctx, ScaleOptions{Site: b.site, Tasks: 3}, nil)
			return err
		},
		"open": func(ctx context.Context, b *bench) error {
			_, err := b.OpenSite(ctx, OpenOptions{Site: b.site})
			return err
		},
		"mail test": func(ctx context.Context, b *bench) error { _, err := b.MailTest(ctx, b.site, ""); return err },
		"image diff": func(ctx context.Context, b *bench) error {
			_, err := b.ImageDiff(ctx, ImageOptions{Site: b.site}, nil)
			return err
		},
	} {
		b, m := newMachines(t, "", "ami-new")
		wrote := false
		m.before = func(string) { wrote = true }
		err := verb(t.Context(), b)
		if !errors.Is(err, errNoFleet) || !strings.Contains(err.Error(), "runs no releases on AWS yet") || !strings.Contains(report.HintOf(err), "target: local") {
			t.Errorf("%s: %v (%s)", name, err, report.HintOf(err))
		}
		var usage *UsageError
		if errors.As(err, &usage) {
			t.Errorf("%s: it is no mistake of the person's: want exit code 1", name)
		}
		if keys := m.keys(); wrote || m.next != 0 || !slices.Equal(keys, nil) {
			t.Errorf("%s: wrote %v, calls %v", name, keys, m.calls)
		}
	}
}
