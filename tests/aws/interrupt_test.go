package aws

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// until runs platen, and when a line of its output holds the words sends the signal to it. It
// returns the output and the exit code.
func (p *place) until(words string, signal syscall.Signal, args ...string) (string, int) {
	p.t.Helper()
	path, err := platen()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := p.command(nil, path, args...)
	pipe, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); _ = write.Close() }()
	var out bytes.Buffer
	sent := false
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		out.WriteString(lines.Text() + "\n")
		if !sent && strings.Contains(lines.Text(), words) {
			sent = true
			if err := cmd.Process.Signal(signal); err != nil {
				p.t.Error(err)
			}
		}
	}
	err = <-ended
	p.log.Write(out.Bytes())
	if !sent {
		p.t.Errorf("platen %s never said %q:\n%s", strings.Join(args, " "), words, out.String())
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), exit.ExitCode()
	}
	return out.String(), 0
}

// TestInterrupted: after a kill in the middle of an apply Terraform goes on by itself, and the next
// up waits for it; Ctrl-C ends cleanly; somebody else's lock is respected.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	p := emulator(t, small)
	ctx := context.Background()
	store := s3.NewFromConfig(p.sdk())
	bucket := awssdk.String("platen-bad-" + account + "-" + region)
	lock := awssdk.String("env:/dev/shared/terraform.tfstate.tflock")
	locked := func() bool {
		_, err := store.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: lock})
		return err == nil
	}
	const first = "done      shared/aws_vpc.this"

	if _, code := p.until(first, syscall.SIGKILL, "up", "dev"); code != -1 {
		t.Errorf("exit %d after a kill", code)
	}
	// Nothing is made twice and nothing is forgotten: the whole of the first stack is there.
	out, code := p.until("unchanged shared", syscall.SIGINT, "up", "dev")
	if code != 130 || !strings.Contains(out, "waiting for the Terraform of an interrupted run") || !strings.Contains(out, "run the same command again") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if strings.Contains(out, " shared/aws_") {
		t.Errorf("something of the first stack was made again:\n%s", out)
	}
	if locked() {
		t.Error("a lock is left in the state")
	}

	info := `{"ID":"6f0c4d3e-0000-0000-0000-000000000000","Operation":"OperationTypeApply","Info":"","Who":"ann@elsewhere","Version":"1.11.4","Created":"2026-01-02T03:04:05Z","Path":"x"}`
	if _, err := store.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: lock, Body: strings.NewReader(info)}); err != nil {
		t.Fatal(err)
	}
	out, code = p.run("up", "dev")
	if code != 4 {
		t.Errorf("exit %d, want 4\n%s", code, out)
	}
	for _, part := range []string{"the stack shared is locked by ann@elsewhere", "since 2026-01-02", "force-unlock 6f0c4d3e"} {
		if !strings.Contains(out, part) {
			t.Errorf("it does not say %q:\n%s", part, out)
		}
	}
	if !locked() {
		t.Error("somebody else's lock was taken away")
	}
}
