//go:build prove

package aws

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"platen/tests/prove/performance"
)

// TestUpAgainstByHand measures an up from nothing against the same four stacks that a person
// initialises and applies one after the other. What AWS itself would take is in neither: the
// emulator answers at once, and the times are the provider's polling and Terraform's own work.
func TestUpAgainstByHand(t *testing.T) {
	p := emulator(t, small)
	begin := time.Now()
	out := p.must("up", "dev")
	up := time.Since(begin).Seconds()

	hand := emulator(t, small)
	hand.must("render", "dev", "out")
	bucket := &s3.CreateBucketInput{Bucket: awssdk.String("platen-bad-" + account + "-" + region),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region}}
	if _, err := s3.NewFromConfig(hand.sdk()).CreateBucket(context.Background(), bucket); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	for _, stack := range stacks {
		for _, args := range [][]string{
			{"init", "-input=false", "-no-color"}, {"workspace", "new", "dev"},
			{"apply", "-input=false", "-no-color", "-auto-approve", "-var-file=terraform.dev.tfvars.json"},
		} {
			cmd := hand.command(nil, terraformIn(t), args...)
			cmd.Dir = filepath.Join(hand.folder, "out", stack)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: terraform %s: %v\n%s", stack, args[0], err, out)
			}
		}
	}
	byHand := time.Since(begin).Seconds()

	figure := func(name string, seconds float64) performance.Figure {
		return performance.Figure{Name: performance.AWS + name, Value: seconds, Unit: "s", Runs: 1}
	}
	first := figure("up, nothing there", up)
	first.Against, first.Ratio = byHand, up/byHand
	measured := []performance.Figure{first, figure("the four stacks one after the other by hand", byHand)}
	// The critical path: the stacks are initialised, then shared, then the slower of cluster and
	// data, then services.
	measured = append(measured, figure("of it before the first stack", at(t, out, "running   shared: planning")))
	for _, stack := range stacks {
		name := "of it the stack " + stack
		switch stack {
		case "cluster", "data":
			name += ", beside the other"
		}
		measured = append(measured, figure(name, at(t, out, "done      "+stack+":")-at(t, out, "running   "+stack+": planning")))
	}
	if up >= byHand {
		t.Errorf("up took %.0f s, by hand it is %.0f s", up, byHand)
	}
	if err := performance.Write("../..", measured); err != nil {
		t.Fatal(err)
	}
}

// at is when a line of up's output was written, in seconds since it began: the first field.
func at(t *testing.T, out, words string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^\s*(\S+)\s+` + regexp.QuoteMeta(words)).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("up never said %q:\n%s", words, out)
	}
	d, err := time.ParseDuration(strings.TrimSpace(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return d.Seconds()
}
