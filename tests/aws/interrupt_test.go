package aws

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
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

// lockInfo is Terraform's record of a lock that somebody holds.
const lockInfo = `{"ID":"6f0c4d3e-0000-0000-0000-000000000000","Operation":"OperationTypeApply","Info":"","Who":"ann@elsewhere","Version":"1.11.4","Created":"2026-01-02T03:04:05Z","Path":"x"}`

// TestInterrupted: after a kill in the middle of an apply Terraform goes on by itself, and the next
// up waits for it; Ctrl-C ends cleanly; somebody else's lock of either kind is respected; a stack
// that fails stops what needs it alone, and the next up goes on; a down can be killed, too.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	p := emulator(t, small)
	faults := p.faults()
	ctx := context.Background()
	store := s3.NewFromConfig(p.sdk())
	bucket := awssdk.String("platen-bad-" + account + "-" + region)
	lock := awssdk.String("env:/dev/shared/terraform.tfstate.tflock")
	locked := func() bool {
		_, err := store.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: lock})
		return err == nil
	}
	refused := func(t *testing.T, parts ...string) {
		t.Helper()
		out, code := p.run("up", "dev")
		if code != 4 {
			t.Errorf("exit %d, want 4\n%s", code, out)
		}
		for _, part := range append(parts, "the stack shared is locked by ann@elsewhere", "since 2026-01-02") {
			if !strings.Contains(out, part) {
				t.Errorf("it does not say %q:\n%s", part, out)
			}
		}
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

	t.Run("a held lock in S3", func(t *testing.T) {
		if _, err := store.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: lock, Body: strings.NewReader(lockInfo)}); err != nil {
			t.Fatal(err)
		}
		refused(t, "force-unlock 6f0c4d3e")
		// The table would lock nothing against who holds a lock in S3.
		was := p.read("platen.yaml")
		p.edit("region: eu-west-1", "region: eu-west-1\n    state: {lock: dynamodb}")
		refused(t, "wait for it to end")
		p.write("platen.yaml", was)
		if !locked() {
			t.Error("somebody else's lock was taken away")
		}
		if _, err := store.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: lock}); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("a quota stops one stack, and what needs it", func(t *testing.T) {
		faults.answer(fault{"Action=CreateLoadBalancer", 400, queryError("TooManyLoadBalancers", "The maximum number of load balancers has been reached.")})
		defer faults.answer()
		out, code := p.run("up", "dev")
		for _, part := range []string{"TooManyLoadBalancers", "done: shared, data", "not begun: services", "raise that quota"} {
			if code != 1 || !strings.Contains(out, part) {
				t.Errorf("exit %d, want 1 and %q:\n%s", code, part, out)
			}
		}
		found := p.inventory()
		if len(found["databases"]) != 1 || len(found["caches"]) != 2 || len(found["balancers"])+len(found["services"]) != 0 {
			t.Errorf("there are %q", found)
		}
	})

	table := dynamodb.NewFromConfig(p.sdk())
	key := map[string]dynamodbtypes.AttributeValue{
		"LockID": &dynamodbtypes.AttributeValueMemberS{Value: *bucket + "/env:/dev/shared/terraform.tfstate"}}
	byFile := p.read("platen.yaml")
	p.edit("region: eu-west-1", "region: eu-west-1\n    state: {lock: dynamodb}")
	t.Run("up goes on, now with locks in DynamoDB", func(t *testing.T) {
		out := p.must("up", "dev")
		if strings.Contains(out, " data/aws_") || !strings.Contains(out, "unchanged data") || !strings.Contains(out, "unchanged shared") {
			t.Errorf("what was whole was made again:\n%s", out)
		}
		found := p.inventory()
		if len(found["databases"]) != 1 || len(found["balancers"]) != 1 || len(found["services"]) != 2 {
			t.Errorf("there are %q", found)
		}
	})
	t.Run("a held lock in DynamoDB", func(t *testing.T) {
		tables, err := table.ListTables(ctx, &dynamodb.ListTablesInput{})
		if err != nil || len(tables.TableNames) != 1 {
			t.Fatalf("lock tables %v, %v", tables, err)
		}
		item := maps.Clone(key)
		item["Info"] = &dynamodbtypes.AttributeValueMemberS{Value: lockInfo}
		if _, err := table.PutItem(ctx, &dynamodb.PutItemInput{TableName: &tables.TableNames[0], Item: item}); err != nil {
			t.Fatal(err)
		}
		refused(t, "force-unlock 6f0c4d3e")
		p.write("platen.yaml", byFile) // files would lock nothing against who holds a lock in the table
		refused(t, "wait for it to end")
		held, err := table.GetItem(ctx, &dynamodb.GetItemInput{TableName: &tables.TableNames[0], Key: key})
		if err != nil || held.Item["Info"] == nil {
			t.Errorf("somebody else's lock was taken away: %v", err)
		}
		if _, err := table.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &tables.TableNames[0], Key: key}); err != nil {
			t.Fatal(err)
		}
	})

	// Back to locks in S3, with a down that is interrupted twice.
	down := []string{"down", "dev", "--yes", "--really", "dev", "--everything"}
	if _, code := p.until("done      data/", syscall.SIGKILL, down...); code != -1 {
		t.Errorf("exit %d after a kill", code)
	}
	if out, code := p.until("running   shared: planning", syscall.SIGINT, down...); code != 130 || !strings.Contains(out, "run the same command again") {
		t.Errorf("exit %d\n%s", code, out)
	}
	out = p.must(down...)
	t.Run("nothing is left", func(t *testing.T) { p.nothingLeft(t, out) })
}
