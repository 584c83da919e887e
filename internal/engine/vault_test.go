package engine

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/task"
	"platen/internal/topology"
)

// configure writes the site's platen.yaml.
func (b *bench) configure(t *testing.T, lines string) {
	t.Helper()
	if err := os.MkdirAll(b.site.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.site.Folder, FileName), []byte("platen: 1\nname: blog\ntitle: Blog – It’s on\n"+lines), 0o600); err != nil {
		t.Fatal(err)
	}
}

const withMail = "mail: {smtp: 'smtp.example.com:587', from: blog@example.com, user: blog}\nenvironments: {local: {target: local, port: 0}}\n"

func TestUpWithoutTheMailPasswordTouchesNothing(t *testing.T) {
	b := newBench(t)
	b.configure(t, withMail)
	_, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
	if err == nil || !strings.Contains(err.Error(), "password is not known") {
		t.Fatalf("err = %v", err)
	}
	for _, says := range []string{"platen credentials set mail", EnvMailPassword} {
		if !strings.Contains(report.HintOf(err), says) {
			t.Errorf("hint %q: want %q in it", report.HintOf(err), says)
		}
	}
	if want := []string{"limits"}; !slices.Equal(b.place.calls, want) || len(b.place.keys()) != 0 {
		t.Errorf("calls %v, records %v", b.place.calls, b.place.keys())
	}
}

func TestUpKeepsTheMailPasswordAndRollsToAnother(t *testing.T) {
	b := newBench(t)
	b.configure(t, withMail)
	given := func(password string) Result {
		t.Helper()
		b.place.calls = nil
		result, err := b.Up(t.Context(), UpOptions{Site: b.site, MailPassword: password}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	first := given("hunter2")
	if want := []string{"limits", "build", "publish", "keep mail_password", "apply", "run install", "roll 2", "smoke"}; !slices.Equal(b.place.calls, want) {
		t.Errorf("calls %v, want %v", b.place.calls, want)
	}
	if again := given(""); again.Changed || again.Release != first.Release {
		t.Errorf("without another password: %+v", again)
	}
	if again := given("hunter2"); again.Changed {
		t.Errorf("with the same password: %+v", again)
	}
	if other := given("hunter2 changed"); !other.Changed || other.Release == first.Release {
		t.Errorf("with another password: %+v, before %+v", other, first)
	}
	for _, key := range b.place.keys() {
		if record, _, _ := b.place.Get(t.Context(), key); strings.Contains(string(record), "hunter") {
			t.Errorf("the record %s tells the password: %s", key, record)
		}
	}
	// The records are lost, the password is not.
	b.place.records = map[string]string{}
	if again := given(""); again.Changed {
		t.Errorf("after the records were lost: %+v", again)
	}
}

func TestSetSecret(t *testing.T) {
	b := newBench(t)
	read := func(context.Context) (string, error) { return "secret", nil }
	unread := func(context.Context) (string, error) { t.Error("asked for a password in vain"); return "", nil }
	var usage *UsageError
	if _, err := b.SetSecret(t.Context(), SetSecretOptions{b.site, "mail", unread}, nil); !errors.As(err, &usage) {
		t.Errorf("without mail.user: %v", err)
	}
	b.configure(t, withMail)
	if _, err := b.SetSecret(t.Context(), SetSecretOptions{b.site, "db", unread}, nil); !errors.As(err, &usage) {
		t.Errorf("a secret that nobody sets: %v", err)
	}
	result, err := b.SetSecret(t.Context(), SetSecretOptions{b.site, "mail", read}, nil)
	if err != nil || !result.Changed || b.place.secrets[task.SecretMail] != "secret" {
		t.Fatalf("%+v, %v", result, err)
	}
	if result, err := b.SetSecret(t.Context(), SetSecretOptions{b.site, "mail", read}, nil); err != nil || result.Changed {
		t.Errorf("the same again: %+v, %v", result, err)
	}
	if result := b.up(t); !result.Changed {
		t.Error("up found nothing to do")
	}
}

func TestUpStaysOnItsPort(t *testing.T) {
	b := newBench(t)
	b.up(t)
	state := func() topology.State {
		state, _, err := loadState(t.Context(), b.place)
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	port := state().Port

	// The records are lost while the site runs: its port is the edge's.
	b.place.records = map[string]string{}
	if result := b.up(t); result.Changed || state().Port != port {
		t.Errorf("%+v on port %d: want nothing changed on %d", result, state().Port, port)
	}
	// What up found running is recorded: other verbs ask for the record.
	if _, err := readRelease(t.Context(), b.place, b.up(t).Release); err != nil {
		t.Error(err)
	}

	// Somebody else took it while the site was down.
	if _, _, err := b.Down(t.Context(), DownOptions{Site: b.site}, nil); err != nil {
		t.Fatal(err)
	}
	taken := listen(t, port)
	_, err := b.Up(t.Context(), UpOptions{Site: b.site}, nil)
	if err == nil || !strings.Contains(err.Error(), "taken by nginx (pid 812)") || !strings.Contains(report.HintOf(err), "--port") {
		t.Errorf("err = %v, hint %q", err, report.HintOf(err))
	}
	if state().Port != port {
		t.Errorf("the port moved to %d", state().Port)
	}
	any := 0
	if _, err := b.Up(t.Context(), UpOptions{Site: b.site, Port: &any}, nil); err != nil {
		t.Fatal(err)
	}
	moved := state().Port
	if moved == port || moved == 0 {
		t.Errorf("port %d", moved)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if b.up(t); state().Port != moved {
		t.Errorf("port %d: want the one that it moved to, %d", state().Port, moved)
	}
}

func listen(t *testing.T, port int) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
