package aws

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"platen/internal/report"
	"platen/internal/topology"
)

// Observe asks AWS for what the stacks hold. Nothing is taken from the states but names.
func (p *Place) Observe(ctx context.Context, t topology.Topology) (report.Status, error) {
	status := report.Status{Environment: t.Env, Target: "aws", URL: t.URL, Healthy: true}
	there, err := p.bucketIsThere(ctx)
	if err != nil || !there {
		return status, err
	}
	cluster, err := p.state(ctx, t, topology.StackCluster)
	if err != nil {
		return status, err
	}
	c, err := readCluster(cluster)
	if err != nil {
		return status, err
	}
	data, err := p.state(ctx, t, topology.StackData)
	if err != nil {
		return status, err
	}
	d, err := readData(data)
	if err != nil {
		return status, err
	}
	if c.URL != "" && status.URL == "" {
		status.URL = c.URL
	}
	for _, see := range []func() (report.Tier, error){
		func() (report.Tier, error) { return p.seeBalancer(ctx, c.Balancer) },
		func() (report.Tier, error) { return p.seeHosts(ctx, c.Group) },
		func() (report.Tier, error) { return p.seeServices(ctx, c.Cluster) },
		func() (report.Tier, error) { return p.seeDatabase(ctx, d.Database.Cluster) },
		func() (report.Tier, error) { return p.seeCache(ctx, "sessions", d.Sessions.ID) },
		func() (report.Tier, error) { return p.seeCache(ctx, "objects", d.Objects.ID) },
	} {
		tier, err := see()
		if err != nil {
			return status, err
		}
		if tier.Name == "" {
			continue
		}
		status.Tiers = append(status.Tiers, tier)
		for _, m := range tier.Members {
			status.Healthy = status.Healthy && m.Healthy
		}
	}
	if len(status.Tiers) > 0 {
		for _, m := range status.Tiers {
			if m.Name == "web" {
				for _, s := range m.Members {
					if strings.HasPrefix(s.Detail, "0 of 0") {
						status.Notes = append(status.Notes, s.Name+" stands with no tasks: releases on AWS come with a later version")
					}
				}
			}
		}
	}
	return status, nil
}

func (p *Place) seeBalancer(ctx context.Context, arn string) (report.Tier, error) {
	if arn == "" {
		return report.Tier{}, nil
	}
	out, err := p.elb.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{arn}})
	if is(err, "LoadBalancerNotFound") {
		return report.Tier{Name: "edge", Members: []report.Member{{Name: arn, Role: "balancer", Detail: "gone"}}}, nil
	}
	if err != nil {
		return report.Tier{}, fmt.Errorf("look at the balancer: %w", err)
	}
	tier := report.Tier{Name: "edge", Redundant: true}
	for _, b := range out.LoadBalancers {
		state := ""
		if b.State != nil {
			state = string(b.State.Code)
		}
		tier.Members = append(tier.Members, report.Member{
			Name: aws.ToString(b.LoadBalancerName), Role: "balancer", Healthy: state == "active",
			Detail: fmt.Sprintf("%s, in %d zones", state, len(b.AvailabilityZones)),
		})
	}
	return tier, nil
}

func (p *Place) seeHosts(ctx context.Context, group string) (report.Tier, error) {
	if group == "" {
		return report.Tier{}, nil
	}
	out, err := p.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return report.Tier{}, fmt.Errorf("look at the hosts: %w", err)
	}
	tier := report.Tier{Name: "hosts"}
	for _, g := range out.AutoScalingGroups {
		tier.Redundant = len(g.Instances) > 1
		for _, i := range g.Instances {
			tier.Members = append(tier.Members, report.Member{
				Name: aws.ToString(i.InstanceId), Role: aws.ToString(i.InstanceType),
				Healthy: i.LifecycleState == "InService" && aws.ToString(i.HealthStatus) == "Healthy",
				Detail:  fmt.Sprintf("%s in %s", i.LifecycleState, aws.ToString(i.AvailabilityZone)),
			})
		}
	}
	return tier, nil
}

func (p *Place) seeServices(ctx context.Context, cluster string) (report.Tier, error) {
	if cluster == "" {
		return report.Tier{}, nil
	}
	services, err := p.services(ctx, cluster)
	if err != nil || len(services) == 0 {
		return report.Tier{}, err
	}
	out, err := p.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: services})
	if err != nil {
		return report.Tier{}, fmt.Errorf("look at the services: %w", err)
	}
	tier := report.Tier{Name: "web"}
	for _, s := range out.Services {
		if aws.ToString(s.Status) == "INACTIVE" {
			continue
		}
		tier.Redundant = tier.Redundant || s.RunningCount > 1
		tier.Members = append(tier.Members, report.Member{
			Name: aws.ToString(s.ServiceName), Role: "service", Healthy: s.RunningCount >= s.DesiredCount,
			Detail: fmt.Sprintf("%d of %d tasks run", s.RunningCount, s.DesiredCount),
		})
	}
	return tier, nil
}

// services are the ARNs of a cluster's services; none when the cluster is gone.
func (p *Place) services(ctx context.Context, cluster string) ([]string, error) {
	var all []string
	pages := ecs.NewListServicesPaginator(p.ecs, &ecs.ListServicesInput{Cluster: &cluster})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if is(err, "ClusterNotFoundException") {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the services of %s: %w", cluster, err)
		}
		all = append(all, page.ServiceArns...)
	}
	return all, nil
}

func (p *Place) seeDatabase(ctx context.Context, id string) (report.Tier, error) {
	if id == "" {
		return report.Tier{}, nil
	}
	c, err := p.databaseCluster(ctx, id)
	if err != nil {
		return report.Tier{}, err
	}
	if c == nil {
		return report.Tier{Name: "database", Members: []report.Member{{Name: id, Role: "cluster", Detail: "gone"}}}, nil
	}
	tier := report.Tier{Name: "database", Redundant: len(c.DBClusterMembers) > 1}
	instances, err := p.instances(ctx, id)
	if err != nil {
		return report.Tier{}, err
	}
	for _, i := range instances {
		role := "reader"
		for _, m := range c.DBClusterMembers {
			if aws.ToString(m.DBInstanceIdentifier) == aws.ToString(i.DBInstanceIdentifier) && aws.ToBool(m.IsClusterWriter) {
				role = "writer"
			}
		}
		tier.Members = append(tier.Members, report.Member{
			Name: aws.ToString(i.DBInstanceIdentifier), Role: role, Healthy: aws.ToString(i.DBInstanceStatus) == "available",
			Detail: fmt.Sprintf("%s, %s in %s", aws.ToString(i.DBInstanceStatus), aws.ToString(i.DBInstanceClass), aws.ToString(i.AvailabilityZone)),
		})
	}
	return tier, nil
}

// databaseCluster is nil when it is gone.
func (p *Place) databaseCluster(ctx context.Context, id string) (*rdstypes.DBCluster, error) {
	out, err := p.rds.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if is(err, "DBClusterNotFoundFault", "DBClusterNotFound") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the database %s: %w", id, err)
	}
	if len(out.DBClusters) == 0 {
		return nil, nil
	}
	return &out.DBClusters[0], nil
}

func (p *Place) instances(ctx context.Context, cluster string) ([]rdstypes.DBInstance, error) {
	var all []rdstypes.DBInstance
	pages := rds.NewDescribeDBInstancesPaginator(p.rds, &rds.DescribeDBInstancesInput{
		Filters: []rdstypes.Filter{{Name: aws.String("db-cluster-id"), Values: []string{cluster}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if is(err, "DBClusterNotFoundFault") {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the instances of the database %s: %w", cluster, err)
		}
		for _, i := range page.DBInstances {
			if aws.ToString(i.DBClusterIdentifier) == cluster {
				all = append(all, i)
			}
		}
	}
	return all, nil
}

func (p *Place) seeCache(ctx context.Context, tier, id string) (report.Tier, error) {
	if id == "" {
		return report.Tier{}, nil
	}
	g, err := p.replicationGroup(ctx, id)
	if is(err, "ReplicationGroupNotFoundFault") {
		return report.Tier{Name: tier, Members: []report.Member{{Name: id, Role: "cache", Detail: "gone"}}}, nil
	}
	if err != nil {
		return report.Tier{}, err
	}
	out := report.Tier{Name: tier, Redundant: len(g.MemberClusters) > 1}
	roles := map[string]string{}
	for _, shard := range g.NodeGroups {
		for _, m := range shard.NodeGroupMembers {
			roles[aws.ToString(m.CacheClusterId)] = aws.ToString(m.CurrentRole)
		}
	}
	for _, m := range g.MemberClusters {
		role := roles[m]
		if role == "" {
			role = "node"
		}
		out.Members = append(out.Members, report.Member{
			Name: m, Role: role, Healthy: aws.ToString(g.Status) == "available",
			Detail: fmt.Sprintf("%s, %s", aws.ToString(g.Status), aws.ToString(g.CacheNodeType)),
		})
	}
	return out, nil
}
