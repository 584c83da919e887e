package job

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"platen/internal/task"
)

func TestRunHandsOnInputOutputAndStatus(t *testing.T) {
	var out, errs bytes.Buffer
	code, err := run(t.Context(), []string{"/bin/sh", "-c", "cat; echo $HOME; echo bad >&2; exit 7"}, strings.NewReader("in "), &out, &errs)
	if code != 7 || err != nil || out.String() != "in /tmp\n" || errs.String() != "bad\n" {
		t.Errorf("%d %v %q %q", code, err, out.String(), errs.String())
	}
	if code, err := run(t.Context(), []string{"/nowhere"}, nil, &out, &errs); code == 0 || err == nil {
		t.Errorf("a program that is not there: %d, %v", code, err)
	}
}

func TestRunAsksTheChildToEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	ready := writerFunc(func(p []byte) (int, error) { cancel(); return out.Write(p) })
	code, err := run(ctx, []string{"/bin/sh", "-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do read x || :; done"}, nil, ready, &errs)
	if code == 0 && err == nil && !strings.Contains(out.String(), "bye") {
		t.Errorf("not asked: %q", out.String())
	}
	if !strings.Contains(out.String(), "bye") {
		t.Errorf("%d, %v: the child did not end in its own way: %q", code, err, out.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestClientOptions(t *testing.T) {
	got, err := clientOptions(task.Endpoint{Writer: "db:3306", Name: "wordpress", User: "wp"}, "a\\b#c\nd")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"host=db", "port=3306", `password="a\\b#c\nd"`, "ssl-verify-server-cert", `database="wordpress"`} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("lacks %s:\n%s", want, got)
		}
	}
	if _, err := clientOptions(task.Endpoint{Writer: "db"}, ""); err == nil {
		t.Error("an address without a port passed")
	}
}

func TestMainNamesWhatThereIs(t *testing.T) {
	var out, errs bytes.Buffer
	for _, args := range [][]string{nil, {"nothing"}, {"mail"}, {"mail", "show"}} {
		errs.Reset()
		if code := Main(t.Context(), args, nil, &out, &errs); code != 2 || !strings.Contains(errs.String(), "mail list") {
			t.Errorf("%v: %d, %q", args, code, errs.String())
		}
	}
	errs.Reset()
	t.Setenv(task.EnvInit, "{")
	if code := Main(t.Context(), []string{"init"}, nil, &out, &errs); code != 1 || !strings.Contains(errs.String(), task.EnvInit) {
		t.Errorf("%d, %q", code, errs.String())
	}
}
