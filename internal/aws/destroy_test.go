package aws

import (
	"slices"
	"strings"
	"testing"
)

// Regression: by their beginnings, blog-dev took what is of blog-dev-prod for its own.
func TestDownLeavesTheScalingOfOthersAlone(t *testing.T) {
	p, a := placeOn(t, func(r request) (int, string, string) {
		switch r.Action {
		case "DescribeScalableTargets":
			resources := map[string][]string{
				"ecs": {"service/blog-dev/blog-dev-web", "service/blog-dev-prod/blog-dev-prod-web"},
				"rds": {"cluster:blog-dev", "cluster:blog-dev-prod"}, "elasticache": {"replication-group/blog-dev-objects-s", "replication-group/blog-dev-prod-objects-s"},
			}[field(r.Body, "ServiceNamespace")]
			var all []string
			for _, id := range resources {
				all = append(all, `{"ServiceNamespace":"`+field(r.Body, "ServiceNamespace")+`","ResourceId":"`+id+`","ScalableDimension":"ecs:service:DesiredCount","MinCapacity":1,"MaxCapacity":2,"RoleARN":"r","CreationTime":1}`)
			}
			return 200, `{"ScalableTargets":[` + strings.Join(all, ",") + `]}`, ""
		case "DeregisterScalableTarget":
			return 200, `{}`, field(r.Body, "ResourceId")
		}
		return unexpected(r)
	})
	if err := p.stopScaling(t.Context(), p.topology); err != nil {
		t.Fatal(err)
	}
	a.wants(t, []string{"DeregisterScalableTarget"}, "DeregisterScalableTarget service/blog-dev/blog-dev-web",
		"DeregisterScalableTarget cluster:blog-dev", "DeregisterScalableTarget replication-group/blog-dev-objects-s")
}

// Regression: the environment dev of blog removed the final snapshots of the environment final of
// blog-dev.
func TestFinalSnapshotsAreTheEnvironmentsOwn(t *testing.T) {
	p, _ := placeOn(t, func(r request) (int, string, string) {
		if r.Action != "DescribeDBClusterSnapshots" {
			return unexpected(r)
		}
		var all string
		for id, cluster := range map[string]string{
			"blog-dev-final-0a1b2c3d": "blog-dev", "blog-dev-final-final-0a1b2c3d": "blog-dev-final", "blog-dev-final-before-upgrade": "blog-dev",
			"blog-dev-final-deadbeef": "another",
		} {
			all += "<DBClusterSnapshot><DBClusterSnapshotIdentifier>" + id + "</DBClusterSnapshotIdentifier><DBClusterIdentifier>" + cluster + "</DBClusterIdentifier></DBClusterSnapshot>"
		}
		return 200, "<DescribeDBClusterSnapshotsResponse><DescribeDBClusterSnapshotsResult><DBClusterSnapshots>" + all + "</DBClusterSnapshots></DescribeDBClusterSnapshotsResult></DescribeDBClusterSnapshotsResponse>", ""
	})
	got, err := p.snapshots(t.Context(), p.topology)
	if err != nil || !slices.Equal(got, []string{"blog-dev-final-0a1b2c3d"}) {
		t.Errorf("%q, %v", got, err)
	}
}
