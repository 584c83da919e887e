package aws

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"platen/internal/report"
	"platen/internal/topology"
)

// A failure stops what depends on it, lets the rest finish, and says which is which.
func TestOrderAfterAFailure(t *testing.T) {
	var mu sync.Mutex
	var ran []string
	boom := errors.New("boom")
	err := inOrder(t.Context(), topology.StackNeeds, func(_ context.Context, stack string) error {
		mu.Lock()
		defer mu.Unlock()
		ran = append(ran, stack)
		if stack == topology.StackCluster {
			return boom
		}
		return nil
	})
	slices.Sort(ran)
	if !slices.Equal(ran, []string{"cluster", "data", "shared"}) || !errors.Is(err, boom) {
		t.Errorf("ran %v, %v", ran, err)
	}
	for _, part := range []string{"done: shared, data", "not begun: services"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("it does not say %q: %v", part, err)
		}
	}
}

// Side by side means at once: each of the two waits until the other has begun.
func TestIndependentStacksRunSideBySide(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	err := inOrder(t.Context(), topology.StackNeeds, func(_ context.Context, stack string) error {
		if stack == topology.StackCluster || stack == topology.StackData {
			both.Done()
			both.Wait()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDestroyIsTheReverse(t *testing.T) {
	var mu sync.Mutex
	var ran []string
	if err := inOrder(t.Context(), reversed(topology.StackNeeds), func(_ context.Context, stack string) error {
		mu.Lock()
		defer mu.Unlock()
		ran = append(ran, stack)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(ran) != 4 || ran[0] != topology.StackServices || ran[3] != topology.StackShared {
		t.Errorf("order %v", ran)
	}
}

func TestWhatHoldsData(t *testing.T) {
	for address, want := range map[string]bool{
		"aws_rds_cluster.database": true, "aws_efs_file_system.content": true, "aws_kms_key.this[\"data\"]": true,
		"aws_s3_bucket.media[\"media\"]": true, "aws_s3_bucket.logs": false, "module.x.aws_backup_vault.this": true,
		"aws_elasticache_replication_group.sessions": true, "aws_elasticache_replication_group.objects[\"objects\"]": false,
		"aws_rds_cluster_instance.database[\"0\"]": false, "aws_launch_template.hosts": false,
	} {
		if got := holdsData(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	losing := losesData(report.StackPlan{Changes: []report.Change{
		{Address: "aws_rds_cluster.database", Action: "update"}, {Address: "aws_rds_cluster.database", Action: "replace"}, {Address: "aws_lb.this", Action: "delete"},
	}})
	if len(losing) != 1 || losing[0].Action != "replace" {
		t.Errorf("losing %v", losing)
	}
}

// Regression: another network.cidr replaced the VPC before the stack data could refuse.
func TestTheNetworkUnderTheDataStays(t *testing.T) {
	losing := losesData(report.StackPlan{Changes: []report.Change{
		{Address: "aws_vpc.this", Action: "replace"}, {Address: "aws_subnet.database[\"eu-west-1a\"]", Action: "replace"},
		{Address: "aws_subnet.private[\"eu-west-1a\"]", Action: "create"}, {Address: "aws_nat_gateway.this[\"eu-west-1a\"]", Action: "replace"},
	}})
	if len(losing) != 2 {
		t.Fatalf("losing %v", losing)
	}
	if err := (&DataLossError{Stack: "shared", Changes: losing}); !strings.Contains(err.Error(), "aws_vpc.this would be taken away under the data") ||
		!strings.Contains(err.Hint(), "take that edit of platen.yaml back") {
		t.Errorf("%v; %s", err, err.Hint())
	}
}

// The environment dev of blog and the environment prod of blog-dev stand side by side.
func TestOwnsOnlyItsOwn(t *testing.T) {
	for resource, want := range map[string]bool{
		"service/blog-dev/blog-dev-web": true, "cluster:blog-dev": true, "replication-group/blog-dev-objects": true, "replication-group/blog-dev-objects-s": true,
		"service/blog-dev-prod/blog-dev-prod-web": false, "cluster:blog-dev-prod": false, "replication-group/blog-dev-prod-objects-s": false,
		"service/blog-devel/blog-devel-web": false, "cluster:myblog-dev": false, "cluster": false, "": false, "service/other/blog-dev-web": false,
	} {
		if got := owns("blog-dev", resource); got != want {
			t.Errorf("%s: %v", resource, got)
		}
	}
}

func TestGeneratedSecretsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		v, err := generate("db_password")
		if err != nil || len(v) != 40 || seen[v] || strings.Trim(v, letters) != "" {
			t.Fatalf("%q, %v", v, err)
		}
		seen[v] = true
	}
}

func TestWhatADefaultDownKeeps(t *testing.T) {
	for address, want := range map[string]bool{
		"aws_efs_file_system.content": true, "aws_kms_key.this": true, "aws_secretsmanager_secret.this": true, "aws_backup_vault.copies": true,
		"aws_s3_bucket.media": true, "aws_s3_bucket_public_access_block.media": true, "aws_s3_bucket_policy.media": false,
		"aws_s3_bucket.logs": false, "aws_rds_cluster.database": false, "aws_vpc.this": false,
	} {
		if got := stays(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
