package aws

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"platen/internal/report"
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

func TestDownWaitsForTasksToDrain(t *testing.T) {
	looks := 0
	p, a := placeOn(t, func(r request) (int, string, string) {
		switch r.Action {
		case "ListServices":
			return 200, `{"serviceArns":["arn:web","arn:jobs"]}`, ""
		case "UpdateService":
			if field(r.Body, "service") == "arn:jobs" { // gone between the two questions
				return 400, `{"__type":"ServiceNotActiveException","message":"Service was not ACTIVE."}`, "gone"
			}
			return 200, `{}`, field(r.Body, "service") + " " + field(r.Body, "desiredCount")
		case "DescribeServices":
			looks++
			running := max(0, 3-looks)
			return 200, fmt.Sprintf(`{"services":[{"serviceArn":"arn:web","runningCount":%d,"pendingCount":0},{"serviceArn":"arn:jobs","runningCount":0,"pendingCount":0}]}`, running), ""
		}
		return unexpected(r)
	})
	var said []string
	sink := report.Sink(func(e report.Event) { said = append(said, e.Detail) })
	if err := p.stopServices(t.Context(), "blog-dev", "blog-dev", sink); err != nil {
		t.Fatal(err)
	}
	a.wants(t, []string{"UpdateService", "DescribeServices"}, "UpdateService arn:web 0", "UpdateService gone", "DescribeServices", "DescribeServices", "DescribeServices")
	if !slices.Equal(said, []string{"2 tasks drain", "1 tasks drain"}) {
		t.Errorf("said %q", said)
	}
	// A cluster that is gone has none.
	p, _ = placeOn(t, func(r request) (int, string, string) {
		if r.Action == "ListServices" {
			return 400, `{"__type":"ClusterNotFoundException","message":"Cluster not found."}`, ""
		}
		return unexpected(r)
	})
	if err := p.stopServices(t.Context(), "blog-dev", "blog-dev", nil); err != nil {
		t.Error(err)
	}
}

func TestDownGivesUpOnTasksThatStay(t *testing.T) {
	p, _ := placeOn(t, unexpected)
	err := p.until(t.Context(), 20*time.Millisecond, "the tasks of blog-dev to end", func() (bool, error) { return false, nil })
	if err == nil || !strings.Contains(err.Error(), "waited 20ms for the tasks of blog-dev to end") {
		t.Errorf("%v", err)
	}
}

// AWS does not delete a cluster that has readers which Terraform does not know.
func TestDownRemovesTheReadersThatAutoscalingAdded(t *testing.T) {
	left := map[string]string{"blog-dev-1": "available", "application-autoscaling-1": "available", "application-autoscaling-2": "deleting"}
	p, a := placeOn(t, func(r request) (int, string, string) {
		switch r.Action {
		case "DescribeDBInstances":
			if got := r.Values.Get("Filters.Filter.1.Values.Value.1"); got != "blog-dev" {
				return unexpected(r)
			}
			var all string
			for id, status := range left {
				all += "<DBInstance><DBInstanceIdentifier>" + id + "</DBInstanceIdentifier><DBClusterIdentifier>blog-dev</DBClusterIdentifier><DBInstanceStatus>" + status + "</DBInstanceStatus></DBInstance>"
				if status == "deleting" {
					delete(left, id)
				}
			}
			return 200, "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances>" + all + "</DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>", ""
		case "DeleteDBInstance":
			id := r.Values.Get("DBInstanceIdentifier")
			left[id] = "deleting"
			return 200, "<DeleteDBInstanceResponse><DeleteDBInstanceResult></DeleteDBInstanceResult></DeleteDBInstanceResponse>", id + " " + r.Values.Get("SkipFinalSnapshot")
		}
		return unexpected(r)
	})
	if err := p.removeReaders(t.Context(), "blog-dev", nil); err != nil {
		t.Fatal(err)
	}
	a.wants(t, []string{"DeleteDBInstance"}, "DeleteDBInstance application-autoscaling-1 true")
	if len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

// Hosts that are protected from scale-in keep their group from going.
func TestDownUnprotectsTheHosts(t *testing.T) {
	p, a := placeOn(t, func(r request) (int, string, string) {
		switch r.Action {
		case "DescribeAutoScalingGroups":
			var all string
			for i := range 60 {
				all += fmt.Sprintf("<member><InstanceId>i-%02d</InstanceId><ProtectedFromScaleIn>%v</ProtectedFromScaleIn></member>", i, i > 0)
			}
			return 200, "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member><AutoScalingGroupName>blog-dev-hosts</AutoScalingGroupName><Instances>" +
				all + "</Instances></member></AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>", ""
		case "UpdateAutoScalingGroup":
			return 200, "<UpdateAutoScalingGroupResponse></UpdateAutoScalingGroupResponse>", r.Values.Get("NewInstancesProtectedFromScaleIn") + " " + r.Values.Get("MinSize")
		case "SetInstanceProtection":
			count := 0
			for r.Values.Has(fmt.Sprintf("InstanceIds.member.%d", count+1)) {
				count++
			}
			return 200, "<SetInstanceProtectionResponse><SetInstanceProtectionResult></SetInstanceProtectionResult></SetInstanceProtectionResponse>",
				fmt.Sprint(r.Values.Get("InstanceIds.member.1"), " ", count, " ", r.Values.Get("ProtectedFromScaleIn"))
		}
		return unexpected(r)
	})
	if err := p.unprotectHosts(t.Context(), "blog-dev-hosts"); err != nil {
		t.Fatal(err)
	}
	// New ones first; then those there, fifty at a time, which is as many as AWS takes.
	a.wants(t, []string{"UpdateAutoScalingGroup", "SetInstanceProtection"}, "UpdateAutoScalingGroup false 0", "SetInstanceProtection i-01 50 false", "SetInstanceProtection i-51 9 false")
}

// Vaults go when they are empty: the second one in its own region, wherever platen.yaml copies now.
func TestDownWithEverythingEmptiesTheVaults(t *testing.T) {
	p, a := placeOn(t, func(r request) (int, string, string) {
		switch {
		case strings.HasPrefix(r.Action, "GET /backup-vaults/blog-dev/"):
			return 200, `{"RecoveryPoints":[{"RecoveryPointArn":"arn:aws:backup:eu-west-1:123456789012:recovery-point:1"},{"RecoveryPointArn":"arn:aws:backup:eu-west-1:123456789012:recovery-point:2"}]}`, r.Region
		case strings.HasPrefix(r.Action, "GET /backup-vaults/blog-dev-copies/"):
			return 200, `{"RecoveryPoints":[{"RecoveryPointArn":"arn:aws:backup:eu-central-1:123456789012:recovery-point:3"}]}`, r.Region
		case strings.HasPrefix(r.Action, "DELETE /backup-vaults/"):
			return 200, ``, r.Region
		}
		return unexpected(r)
	})
	p.topology.AWS.Backups.CopyTo = "us-east-1" // edited; the copies are where they were
	if err := p.emptyStores(t.Context(), dataOutputs{Vault: "blog-dev", CopyVault: "blog-dev-copies"}, "eu-central-1"); err != nil {
		t.Fatal(err)
	}
	a.wants(t, []string{"DELETE"},
		"DELETE /backup-vaults/blog-dev/recovery-points/arn:aws:backup:eu-west-1:123456789012:recovery-point:1 eu-west-1",
		"DELETE /backup-vaults/blog-dev/recovery-points/arn:aws:backup:eu-west-1:123456789012:recovery-point:2 eu-west-1",
		"DELETE /backup-vaults/blog-dev-copies/recovery-points/arn:aws:backup:eu-central-1:123456789012:recovery-point:3 eu-central-1")
	// One that is gone is empty.
	p, _ = placeOn(t, func(request) (int, string, string) {
		return 400, `{"Code":"ResourceNotFoundException","__type":"ResourceNotFoundException","Message":"Backup vault not found"}`, ""
	})
	if err := p.emptyStores(t.Context(), dataOutputs{Vault: "blog-dev"}, ""); err != nil {
		t.Error(err)
	}
}

// The account's setting is switched on once, and never off.
func TestTrunking(t *testing.T) {
	for value, want := range map[string][]string{"enabled": nil, "disabled": {"PutAccountSettingDefault awsvpcTrunking enabled"}} {
		p, a := placeOn(t, func(r request) (int, string, string) {
			switch r.Action {
			case "ListAccountSettings":
				return 200, `{"settings":[{"name":"awsvpcTrunking","value":"` + value + `"}]}`, field(r.Body, "effectiveSettings")
			case "PutAccountSettingDefault":
				return 200, `{"setting":{"name":"awsvpcTrunking","value":"enabled"}}`, field(r.Body, "name") + " " + field(r.Body, "value")
			}
			return unexpected(r)
		})
		if err := p.trunk(t.Context(), nil); err != nil {
			t.Error(err)
		}
		a.wants(t, []string{"ListAccountSettings"}, "ListAccountSettings true")
		a.wants(t, []string{"PutAccountSettingDefault"}, want...)
	}
}
