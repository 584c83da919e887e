package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	aastypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/backup"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secretstypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"platen/internal/report"
	"platen/internal/topology"
)

// Destroy removes the environment, with nobody's help: what scales by itself is stopped first,
// what Terraform does not know is removed, protections are lifted, and then the stacks go in
// the reverse of the order in which they were made. With keep.Data the data stay: a final
// snapshot, the share, media, backups, secrets and the keys that open them. They stay in the
// stacks' states, so that a later Apply finds them. It can be interrupted and called again.
func (p *Place) Destroy(ctx context.Context, t topology.Topology, keep report.Keep, sink report.Sink) ([]report.Kept, error) {
	there, err := p.bucketIsThere(ctx)
	if err != nil || !there {
		return nil, err
	}
	states := map[string]report.StackState{}
	for _, stack := range topology.Stacks {
		if states[stack], err = p.state(ctx, t, stack); err != nil {
			return nil, err
		}
	}
	cluster, err := readCluster(states[topology.StackCluster])
	if err != nil {
		return nil, err
	}
	data, err := readData(states[topology.StackData])
	if err != nil {
		return nil, err
	}
	pins, err := p.keepPins(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := p.prepare(ctx, t, pins, sink); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"down/scaling", func() error { return p.stopScaling(ctx, t) }},
		{"down/services", func() error { return p.stopServices(ctx, t.AWSPrefix(), cluster.Cluster, sink) }},
		{"down/readers", func() error { return p.removeReaders(ctx, data.Database.Cluster, sink) }},
		{"down/hosts", func() error { return p.unprotectHosts(ctx, cluster.Group) }},
		{"down/protection", func() error { return p.liftProtection(ctx, cluster.Balancer, data.Database.Cluster) }},
		{"down/content", func() error {
			if keep.Data {
				return nil
			}
			return p.emptyStores(ctx, data, pins.CopyTo)
		}},
	} {
		sink.Step(step.name, report.Running, "")
		if err := step.do(); err != nil {
			sink.Step(step.name, report.Failed, "")
			return nil, err
		}
		sink.Step(step.name, report.Done, "")
	}
	err = inOrder(ctx, reversed(topology.StackNeeds), func(ctx context.Context, stack string) error {
		return p.destroyStack(ctx, t, stack, keep, states[stack], sink)
	})
	if err != nil {
		return nil, err
	}
	if keep.Data {
		return p.kept(ctx, t, data)
	}
	return nil, p.removeRest(ctx, t, sink)
}

// reversed turns who needs whom round.
func reversed(needs map[string][]string) map[string][]string {
	out := map[string][]string{}
	for stack, upstreams := range needs {
		out[stack] = append(out[stack], []string{}...)
		for _, upstream := range upstreams {
			out[upstream] = append(out[upstream], stack)
		}
	}
	return out
}

// destroyStack destroys what is not kept. Terraform has no word for "all but": the others are
// named, and the plan is looked through before anything happens.
func (p *Place) destroyStack(ctx context.Context, t topology.Topology, stack string, keep report.Keep, s report.StackState, sink report.Sink) error {
	if s.Empty() {
		sink.Step(stack, report.Same, "nothing there")
		return nil
	}
	run := topology.StackRun{Destroy: true}
	if keep.Data {
		for _, address := range s.Resources {
			if !stays(address) {
				run.Targets = append(run.Targets, address)
			}
		}
		if len(run.Targets) == 0 {
			sink.Step(stack, report.Same, "data alone")
			return nil
		}
	}
	sink.Step(stack, report.Running, "planning")
	plan, err := p.terraform.Plan(ctx, stack, run)
	if err == nil && keep.Data {
		for _, c := range plan.Changes {
			if c.Action == "delete" && stays(c.Address) {
				err = fmt.Errorf("destroy the stack %s: %s would go although it is to be kept: nothing of the stack was removed", stack, c.Address)
				p.terraform.Discard(stack)
			}
		}
	}
	if err == nil && plan.Differs {
		err = p.terraform.Apply(ctx, stack, sink)
	}
	if err != nil {
		sink.Step(stack, report.Failed, "")
		return err
	}
	sink.Step(stack, report.Done, "removed")
	return nil
}

// stays tells whether a default down keeps a resource: what people made, and what opens it.
func stays(address string) bool {
	kind, name := kindOf(address)
	switch kind {
	case "aws_efs_file_system", "aws_backup_vault", "aws_kms_key", "aws_kms_alias", "aws_secretsmanager_secret":
		return true
	case "aws_s3_bucket_policy":
		return false // it lets the CDN in, which goes
	}
	return strings.HasPrefix(kind, "aws_s3_bucket") && strings.HasPrefix(name, "media")
}

// stopScaling removes what would start tasks, readers and replicas again behind our back.
func (p *Place) stopScaling(ctx context.Context, t topology.Topology) error {
	for _, space := range []aastypes.ServiceNamespace{aastypes.ServiceNamespaceEcs, aastypes.ServiceNamespaceRds, aastypes.ServiceNamespaceElasticache} {
		pages := applicationautoscaling.NewDescribeScalableTargetsPaginator(p.targets, &applicationautoscaling.DescribeScalableTargetsInput{ServiceNamespace: space})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("list what scales (%s): %w", space, err)
			}
			for _, target := range page.ScalableTargets {
				if !owns(t.AWSPrefix(), aws.ToString(target.ResourceId)) {
					continue
				}
				_, err := p.targets.DeregisterScalableTarget(ctx, &applicationautoscaling.DeregisterScalableTargetInput{
					ServiceNamespace: space, ResourceId: target.ResourceId, ScalableDimension: target.ScalableDimension,
				})
				if err != nil && !is(err, "ObjectNotFoundException") {
					return fmt.Errorf("stop the scaling of %s: %w", aws.ToString(target.ResourceId), err)
				}
			}
		}
	}
	return nil
}

// owns tells whether a scalable resource is the environment's, by the exact names of terraform/:
// service/CLUSTER/SERVICE in its cluster, cluster:ID, replication-group/ID. What only begins like
// them may be another site's: blog-dev-prod is not a part of blog-dev.
func owns(prefix, resource string) bool {
	return strings.HasPrefix(resource, "service/"+prefix+"/") || slices.Contains([]string{
		"cluster:" + prefix,
		"replication-group/" + prefix + "-objects", "replication-group/" + prefix + "-objects-s", "replication-group/" + prefix + "-sessions",
	}, resource)
}

// stopServices brings the services to no task and waits for the tasks to end.
func (p *Place) stopServices(ctx context.Context, prefix, cluster string, sink report.Sink) error {
	if cluster == "" {
		return nil
	}
	services, err := p.services(ctx, cluster)
	if err != nil {
		return err
	}
	for _, service := range services {
		if _, err := p.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &cluster, Service: aws.String(service), DesiredCount: aws.Int32(0)}); err != nil &&
			!is(err, "ServiceNotActiveException", "ServiceNotFoundException") {
			return fmt.Errorf("stop the service %s: %w", service, err)
		}
	}
	return p.until(ctx, 15*time.Minute, "the tasks of "+prefix+" to end", func() (bool, error) {
		running := 0
		for chunk := range slices.Chunk(services, 10) {
			out, err := p.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: chunk})
			if err != nil {
				return false, fmt.Errorf("look at the services: %w", err)
			}
			for _, s := range out.Services {
				running += int(s.RunningCount + s.PendingCount)
			}
		}
		if running > 0 {
			sink.Step("down/services", report.Running, fmt.Sprintf("%d tasks drain", running))
		}
		return running == 0, nil
	})
}

// askEvery is the pause between two questions of until.
const askEvery = 5 * time.Second

// until asks again after each pause.
func (p *Place) until(ctx context.Context, most time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("waited %s for %s", most, what))
	defer cancel()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		if err := p.pause(ctx, askEvery); err != nil {
			return context.Cause(ctx)
		}
	}
}

// scaledReader begins the names of the readers that Application Auto Scaling adds.
const scaledReader = "application-autoscaling-"

// removeReaders removes the readers that autoscaling added: Terraform does not know them, and
// AWS does not delete a cluster that has them.
func (p *Place) removeReaders(ctx context.Context, cluster string, sink report.Sink) error {
	if cluster == "" {
		return nil
	}
	added := func() ([]rdstypes.DBInstance, error) {
		all, err := p.instances(ctx, cluster)
		return slices.DeleteFunc(all, func(i rdstypes.DBInstance) bool {
			return !strings.HasPrefix(aws.ToString(i.DBInstanceIdentifier), scaledReader)
		}), err
	}
	found, err := added()
	if err != nil {
		return err
	}
	for _, i := range found {
		if aws.ToString(i.DBInstanceStatus) == "deleting" {
			continue
		}
		if _, err := p.rds.DeleteDBInstance(ctx, &rds.DeleteDBInstanceInput{DBInstanceIdentifier: i.DBInstanceIdentifier, SkipFinalSnapshot: aws.Bool(true)}); err != nil {
			return fmt.Errorf("remove the reader %s, which autoscaling added: %w", aws.ToString(i.DBInstanceIdentifier), err)
		}
		sink.Log("down/readers", aws.ToString(i.DBInstanceIdentifier)+", which autoscaling added, is removed")
	}
	return p.until(ctx, 30*time.Minute, "the added readers to go", func() (bool, error) {
		left, err := added()
		return len(left) == 0, err
	})
}

// unprotectHosts lets the group end its instances. ECS protects new ones as they come, so the
// group's own default goes first.
func (p *Place) unprotectHosts(ctx context.Context, group string) error {
	if group == "" {
		return nil
	}
	out, err := p.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return fmt.Errorf("look at the hosts: %w", err)
	}
	for _, g := range out.AutoScalingGroups {
		if _, err := p.groups.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
			AutoScalingGroupName: &group, NewInstancesProtectedFromScaleIn: aws.Bool(false), MinSize: aws.Int32(0),
		}); err != nil {
			return fmt.Errorf("unprotect the hosts of %s: %w", group, err)
		}
		var ids []string
		for _, i := range g.Instances {
			if aws.ToBool(i.ProtectedFromScaleIn) {
				ids = append(ids, aws.ToString(i.InstanceId))
			}
		}
		for chunk := range slices.Chunk(ids, 50) {
			if _, err := p.groups.SetInstanceProtection(ctx, &autoscaling.SetInstanceProtectionInput{
				AutoScalingGroupName: &group, InstanceIds: chunk, ProtectedFromScaleIn: aws.Bool(false),
			}); err != nil {
				return fmt.Errorf("unprotect the hosts of %s: %w", group, err)
			}
		}
	}
	return nil
}

// liftProtection comes after a person confirmed: the engine asks.
func (p *Place) liftProtection(ctx context.Context, balancer, database string) error {
	if balancer != "" {
		_, err := p.elb.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{
			LoadBalancerArn: &balancer,
			Attributes:      []elbtypes.LoadBalancerAttribute{{Key: aws.String("deletion_protection.enabled"), Value: aws.String("false")}},
		})
		if err != nil && !is(err, "LoadBalancerNotFound") {
			return fmt.Errorf("lift the balancer's deletion protection: %w", err)
		}
	}
	if database == "" {
		return nil
	}
	c, err := p.databaseCluster(ctx, database)
	if err != nil || c == nil || !aws.ToBool(c.DeletionProtection) {
		return err
	}
	if _, err := p.rds.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{DBClusterIdentifier: &database, DeletionProtection: aws.Bool(false), ApplyImmediately: aws.Bool(true)}); err != nil {
		return fmt.Errorf("lift the database's deletion protection: %w", err)
	}
	return nil
}

// emptyStores empties what cannot be removed while something is in it; copies is the second region.
func (p *Place) emptyStores(ctx context.Context, o dataOutputs, copies string) error {
	if o.Media.Bucket != "" {
		if err := p.emptyBucket(ctx, o.Media.Bucket, ""); err != nil {
			return err
		}
	}
	for _, v := range []struct{ vault, region string }{{o.Vault, p.region}, {o.CopyVault, copies}} {
		if v.vault == "" || v.region == "" {
			continue
		}
		client := backup.NewFromConfig(p.config, func(b *backup.Options) { b.Region = v.region })
		pages := backup.NewListRecoveryPointsByBackupVaultPaginator(client, &backup.ListRecoveryPointsByBackupVaultInput{BackupVaultName: aws.String(v.vault)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if is(err, "ResourceNotFoundException") {
				break
			}
			if err != nil {
				return fmt.Errorf("list the backups in %s: %w", v.vault, err)
			}
			for _, point := range page.RecoveryPoints {
				if _, err := client.DeleteRecoveryPoint(ctx, &backup.DeleteRecoveryPointInput{BackupVaultName: aws.String(v.vault), RecoveryPointArn: point.RecoveryPointArn}); err != nil {
					return fmt.Errorf("remove the backup %s: %w", aws.ToString(point.RecoveryPointArn), err)
				}
			}
		}
	}
	return nil
}

// snapshots are the environment's own of the database, the final ones among them.
func (p *Place) snapshots(ctx context.Context, t topology.Topology) ([]string, error) {
	var all []string
	pages := rds.NewDescribeDBClusterSnapshotsPaginator(p.rds, &rds.DescribeDBClusterSnapshotsInput{SnapshotType: aws.String("manual")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the database's snapshots: %w", err)
		}
		for _, s := range page.DBClusterSnapshots {
			if id := aws.ToString(s.DBClusterSnapshotIdentifier); aws.ToString(s.DBClusterIdentifier) == t.AWSPrefix() && isFinal(t.AWSPrefix(), id) {
				all = append(all, id)
			}
		}
	}
	slices.Sort(all)
	return all, nil
}

// isFinal tells whether a snapshot has the name that terraform/data/database.tf gives to final
// ones: the environment's, and eight hex digits.
func isFinal(prefix, id string) bool {
	digits, ok := strings.CutPrefix(id, prefix+"-final-")
	return ok && len(digits) == 8 && strings.Trim(digits, "0123456789abcdef") == ""
}

// kept lists what a default down left, and how to be rid of it.
func (p *Place) kept(ctx context.Context, t topology.Topology, o dataOutputs) ([]report.Kept, error) {
	snapshots, err := p.snapshots(ctx, t)
	if err != nil {
		return nil, err
	}
	var kept []report.Kept
	add := func(name, why, remove string) {
		if name != "" {
			kept = append(kept, report.Kept{Name: name, Why: why, Remove: remove})
		}
	}
	all := "platen down " + t.Env + " --everything"
	for _, s := range snapshots {
		add(s, "the database as it was", "aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier "+s)
	}
	add(o.Files.ID, "the share: themes, plugins and media", all)
	add(o.Media.Bucket, "media", all)
	add(o.Vault, "backups", all)
	add(o.CopyVault, "copies of the backups", all)
	if len(o.SecretARNs) > 0 {
		add(t.AWSPrefix()+"/*", "secrets", all)
	}
	s, err := p.state(ctx, t, topology.StackShared)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.Resources, func(a string) bool { return strings.HasPrefix(a, "aws_kms_key.") }) {
		add("KMS keys of "+t.AWSPrefix(), "they open the above", all)
	}
	add(t.StateBucket(), "the record of all this", all)
	return kept, nil
}

// removeRest removes what Terraform leaves by design, and the record of it all.
func (p *Place) removeRest(ctx context.Context, t topology.Topology, sink report.Sink) error {
	snapshots, err := p.snapshots(ctx, t)
	if err != nil {
		return err
	}
	for _, id := range snapshots {
		if _, err := p.rds.DeleteDBClusterSnapshot(ctx, &rds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: aws.String(id)}); err != nil && !is(err, "DBClusterSnapshotNotFoundFault") {
			return fmt.Errorf("remove the snapshot %s: %w", id, err)
		}
		sink.Step("down/"+id, report.Done, "removed")
	}
	secrets, err := p.leftSecrets(ctx, t)
	if err != nil {
		return err
	}
	for _, name := range secrets {
		_, err := p.secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String(name), ForceDeleteWithoutRecovery: aws.Bool(true)})
		if err != nil && !is(err, "ResourceNotFoundException") {
			return fmt.Errorf("remove the secret %s: %w", name, err)
		}
	}
	if err := p.leaveTable(ctx, t); err != nil && !is(err, "ResourceNotFoundException") {
		return err
	}
	for _, stack := range topology.Stacks {
		if err := p.terraform.Forget(stack); err != nil {
			return err
		}
	}
	return p.removeRecords(ctx, t)
}

// leftSecrets are the environment's secrets that Terraform only scheduled for deletion. They are asked
// of AWS: the state of a down that was interrupted does not name them any more.
func (p *Place) leftSecrets(ctx context.Context, t topology.Topology) ([]string, error) {
	prefix := t.AWSPrefix() + "/"
	var names []string
	pages := secretsmanager.NewListSecretsPaginator(p.secrets, &secretsmanager.ListSecretsInput{
		IncludePlannedDeletion: aws.Bool(true),
		Filters:                []secretstypes.Filter{{Key: secretstypes.FilterNameStringTypeName, Values: []string{prefix}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the secrets: %w", err)
		}
		for _, s := range page.SecretList {
			if name := aws.ToString(s.Name); strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// Render writes the stacks as Terraform alone runs them: a folder each, with backend and
// variables.
func (p *Place) Render(ctx context.Context, t topology.Topology) (map[string][]byte, error) {
	pins, _, _, err := p.pins(ctx, t)
	if err == nil {
		err = movesCopies(t, pins)
	}
	if err != nil {
		return nil, err
	}
	variables, err := t.Variables(pins)
	if err != nil {
		return nil, err
	}
	stacks, err := t.RenderStacks(p.stacks, variables)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, s := range stacks {
		for name, data := range s.Files {
			if name == topology.ProviderLock && !topology.LocksEveryPlatform(data) {
				continue // the folder may go to another kind of machine; init there makes its own
			}
			files[s.Name+"/"+name] = data
		}
	}
	return files, nil
}

// Vanish removes every version of an environment's records and, when no other environment of
// the site is left in it, the state bucket and the lock table.
func (p *Place) Vanish(ctx context.Context, _ string) error {
	name := *p.bucket()
	there, err := p.bucketIsThere(ctx)
	if err != nil || !there {
		return err
	}
	if err := p.emptyBucket(ctx, name, p.topology.RecordPrefix()); err != nil {
		return err
	}
	// Terraform writes nothing outside env:/ENV/, but for the empty default workspace's lock.
	left, err := p.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &name, MaxKeys: aws.Int32(1), ExpectedBucketOwner: p.owner()})
	if err != nil {
		return fmt.Errorf("look into the bucket %s: %w", name, err)
	}
	if len(left.Versions)+len(left.DeleteMarkers) > 0 {
		return nil // another environment's
	}
	if _, err := p.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name, ExpectedBucketOwner: p.owner()}); err != nil {
		return fmt.Errorf("remove the state bucket %s: %w", name, err)
	}
	table := p.topology.StateTable()
	if _, err := p.dynamodb.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &table}); err != nil && !is(err, "ResourceNotFoundException") {
		return fmt.Errorf("remove the lock table %s: %w", table, err)
	}
	return nil
}
