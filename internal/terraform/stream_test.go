package terraform

import (
	"errors"
	"os"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"platen/internal/report"
)

// What Terraform 1.11 writes, in parts that do not end with lines.
const said = `{"@level":"info","@message":"Terraform 1.11.4","type":"version"}
Initializing the backend...
{"type":"resource_drift","change":{"resource":{"addr":"aws_lb.this","resource_type":"aws_lb"},"action":"update"}}
{"type":"planned_change","change":{"resource":{"addr":"aws_lb.this","resource_type":"aws_lb"},"action":"update"}}
{"type":"planned_change","change":{"resource":{"addr":"data.x.y","resource_type":"x"},"action":"read"}}
{"type":"planned_change","change":{"resource":{"addr":"aws_rds_cluster.database","resource_type":"aws_rds_cluster"},"action":"replace","reason":"cannot_update"}}
{"type":"apply_start","hook":{"resource":{"addr":"aws_lb.this"},"action":"update"}}
{"type":"apply_complete","hook":{"resource":{"addr":"aws_lb.this"},"action":"update","elapsed_seconds":3}}
{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"Old","detail":"never mind"}}
{"type":"diagnostic","diagnostic":{"severity":"error","summary":"creating ECS Cluster","detail":"LimitExceeded: no room","address":"aws_ecs_cluster.this"}}
`

func TestStream(t *testing.T) {
	var steps []string
	s := &stream{stack: "cluster", sink: func(e report.Event) { steps = append(steps, e.State+" "+e.Step) }}
	for part := range slices.Chunk([]byte(said), 7) {
		if n, err := s.Write(part); n != len(part) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	if len(s.changes) != 2 || s.changes[1].Reason != "it cannot be changed in place" || len(s.drift) != 1 {
		t.Errorf("changes %v, drift %v", s.changes, s.drift)
	}
	if want := []string{"running cluster/aws_lb.this", "done cluster/aws_lb.this"}; !slices.Equal(steps, want) {
		t.Errorf("steps %q", steps)
	}
	err := (&Runner{}).failed(t.Context(), "apply", "cluster", errors.New("exit status 1"), s)
	if !strings.Contains(err.Error(), "aws_ecs_cluster.this: creating ECS Cluster: LimitExceeded: no room") || !strings.Contains(report.HintOf(err), "quota") {
		t.Errorf("error %v, hint %s", err, report.HintOf(err))
	}
}

const lockError = `Error acquiring the state lock: Error message: operation error S3: PutObject, StatusCode: 412
Lock Info:
  ID:        6f0c4d3e-1111-2222-3333-444444444444
  Path:      bucket/env:/dev/data/terraform.tfstate
  Operation: OperationTypeApply
  Who:       WHO
  Version:   1.11.4
  Created:   2026-11-22 14:36:00.5 +0000 UTC
  Info:      `

// Whose lock it is decides whether it is given back.
func TestHeldLock(t *testing.T) {
	s := &stream{stack: "data"}
	if s.held(errors.New("exit status 1")) != nil || s.held(nil) != nil {
		t.Error("another failure counts as a held lock")
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 11, 22, 14, 36, 0, 5e8, time.UTC)
	for who, want := range map[string]bool{"ann@elsewhere": false, me.Username + "@" + host: true} {
		held := s.held(errors.New(strings.Replace(lockError, "WHO", who, 1)))
		if held == nil || held.Who != who || held.ID != "6f0c4d3e-1111-2222-3333-444444444444" || !held.Since.Equal(created) {
			t.Fatalf("held %+v", held)
		}
		if got := ours(held, lease{created.Add(-time.Minute)}); got != want {
			t.Errorf("%s: ours %v", who, got)
		}
		if ours(held, lease{created.Add(time.Minute)}) {
			t.Errorf("%s: a lock from before our run counts as ours", who)
		}
	}
}

// Regression: a throttled request counted as a quota, and TooManyBuckets did not.
func TestHints(t *testing.T) {
	for said, want := range map[string]string{
		"api error RequestLimitExceeded: Request limit exceeded.": "pause", "ThrottlingException: Rate exceeded": "pause", "Throttling: Rate exceeded": "pause",
		"TooManyRequestsException: Too Many Requests": "pause", "SlowDown: Please reduce your request rate": "pause",
		"VpcLimitExceeded: The maximum number of VPCs has been reached.": "quota", "LimitExceededException: no more keys": "quota", "AddressLimitExceeded: …": "quota",
		"TooManyBuckets: You have attempted to create more buckets than allowed": "quota", "TooManyTargetGroups: …": "quota", "DBClusterQuotaExceededFault: …": "quota",
		"ClusterQuotaForCustomerExceeded: …": "quota", "ThrottlingException: Rate exceeded; then VcpuLimitExceeded: …": "quota",
		"AccessDeniedException: not authorized": "docs/aws.md", "InvalidParameter: …": "goes on",
	} {
		hint := (&Error{Said: said}).Hint()
		if !strings.Contains(hint, want) {
			t.Errorf("%s: hint %q, want one about %s", said, hint, want)
		}
	}
}
