package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const devSite = `platen: 1
name: blog
admin: {user: editor, email: ops@example.com}
environments:
  dev:
    target: aws
    account: "123456789012"
    region: eu-west-1
    tags: {Creator: web-team}
    state: {lock: dynamodb}
    network: {cidr: 10.20.0.0/16, nat: single}
    hosts: {type: t4g.medium, count: 1..3, fill: 90, step: 1..2}
    web: {tasks: 1..2}
    database: {class: db.t4g.medium, readers: 1..2, scale: {cpu: 60, connections: 60}}
    sessions: {class: cache.t4g.micro, replicas: 1}
    objects: {class: cache.t4g.micro, replicas: 1}
    logs: {days: 3}
`

const prodSite = `platen: 1
name: blog
admin: {user: editor, email: ops@example.com}
environments:
  prod:
    target: aws
    account: "123456789012"
    region: eu-west-1
    domain: www.example.com
    cdn: true
    network: {cidr: 10.30.0.0/16, nat: per-zone}
    hosts: {type: m7g.large, count: 3..8, fill: 100, step: 1..2}
    web: {tasks: 3..12, schedule: [{cron: "0 7 * * MON-FRI", tasks: 6..12}], scale: {cpu: 60, requests: 800}}
    database: {class: db.r6g.large, readers: 2..3, scale: {cpu: 60, connections: 700}}
    sessions: {class: cache.t4g.small, replicas: 1}
    objects: {class: cache.r7g.large, replicas: 1..3}
    files: {media: s3}
    backups: {copy_to: eu-central-1}
    alarms: ["mailto:oncall@example.com"]
    logs: {days: 14}
`

// changes are what plan --json lists.
func (p *place) changes(env string) []string {
	p.t.Helper()
	path, err := platen()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := p.command(nil, path, "plan", env, "--json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	p.log.Write(out)
	if err != nil {
		p.t.Fatalf("plan %s: %v\n%s", env, err, stderr.String())
	}
	var plan struct {
		Changes []struct{ Stack, Address, Action string }
	}
	if err := json.Unmarshal(out, &plan); err != nil {
		p.t.Fatalf("plan %s: %v\n%s", env, err, out)
	}
	var all []string
	for _, c := range plan.Changes {
		all = append(all, c.Action+" "+c.Stack+" "+c.Address)
	}
	return all
}

// TestDev brings the small environment up, by hand changes it, and takes it down to nothing.
func TestDev(t *testing.T) {
	t.Parallel()
	p := emulator(t, devSite)
	ctx := context.Background()
	p.must("up", "dev")
	c := p.sdk()

	t.Run("nothing to change", func(t *testing.T) {
		if left := p.changes("dev"); len(left) != 0 {
			t.Errorf("the second plan wants %q", left)
		}
	})
	t.Run("what stands", func(t *testing.T) {
		p.t = t
		p.stands(ctx, "blog-dev", 1)
		tables, err := dynamodb.NewFromConfig(c).ListTables(ctx, &dynamodb.ListTablesInput{})
		if err != nil || len(tables.TableNames) != 1 {
			t.Errorf("lock tables %v, %v", tables, err)
		}
	})
	p.t = t
	t.Run("no secret leaks", func(t *testing.T) { p.t = t; p.noSecretLeaks(ctx) })
	p.t = t
	t.Run("a change by hand is shown", func(t *testing.T) {
		_, err := rds.NewFromConfig(c).ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{
			DBClusterIdentifier: awssdk.String(p.cluster(ctx)), BackupRetentionPeriod: awssdk.Int32(2), ApplyImmediately: awssdk.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		out, code := p.run("plan", "dev", "--exit-code")
		if code != 3 || !strings.Contains(out, "aws_rds_cluster") || !strings.Contains(out, "somebody else changed it") {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
	out := p.must("down", "dev", "--yes", "--really", "dev", "--everything")
	t.Run("nothing is left", func(t *testing.T) { p.t = t; p.nothingLeft(ctx, out) })
}

// TestProd brings the large environment up, gives it to Terraform alone, keeps its data in a
// down, and finds them again.
func TestProd(t *testing.T) {
	t.Parallel()
	p := emulator(t, prodSite)
	ctx := context.Background()
	c := p.sdk()
	_, err := route53.NewFromConfig(c).CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: awssdk.String("example.com"), CallerReference: awssdk.String("1")})
	if err != nil {
		t.Fatal(err)
	}
	p.must("up", "prod")

	t.Run("Terraform alone finds nothing to change", func(t *testing.T) {
		p.t = t
		p.must("render", "prod", "out")
		for _, stack := range []string{"shared", "cluster", "data", "services"} {
			p.plainTerraform(filepath.Join(p.folder, "out", stack), "prod")
		}
	})
	p.t = t
	t.Run("what stands", func(t *testing.T) { p.t = t; p.stands(ctx, "blog-prod", 3) })
	p.t = t
	t.Run("no secret leaks", func(t *testing.T) { p.t = t; p.noSecretLeaks(ctx) })
	p.t = t
	files := p.shares(ctx)
	out := p.must("down", "prod", "--yes", "--really", "prod")
	t.Run("the data stay", func(t *testing.T) {
		p.t = t
		for _, part := range []string{"blog-prod-final-", "the share", "backups", "secrets", "--everything"} {
			if !strings.Contains(out, part) {
				t.Errorf("down does not list %q:\n%s", part, out)
			}
		}
		if got := p.shares(ctx); len(got) != 1 || got[0] != files[0] {
			t.Errorf("shares %q, want %q", got, files)
		}
		if p.cluster(ctx) != "" {
			t.Errorf("the database is still there")
		}
	})
	p.t = t
	p.must("down", "prod", "--yes", "--really", "prod", "--everything")
}

// plainTerraform plans a rendered stack without Platen and wants no change.
func (p *place) plainTerraform(folder, env string) {
	p.t.Helper()
	for _, args := range [][]string{
		{"init", "-input=false", "-no-color"}, {"workspace", "select", env},
		{"plan", "-input=false", "-no-color", "-lock=false", "-detailed-exitcode", "-var-file=terraform." + env + ".tfvars.json"},
	} {
		cmd := p.command(nil, terraformIn(p.t), args...)
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		p.log.Write(out)
		if err != nil {
			p.t.Fatalf("%s: terraform %s: %v\n%s", filepath.Base(folder), args[0], err, out)
		}
	}
}

// stands asks the APIs for what every environment has.
func (p *place) stands(ctx context.Context, prefix string, gateways int) {
	p.t.Helper()
	c := p.sdk()
	subnets, err := ec2.NewFromConfig(c).DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{
		Filters: []ec2types.Filter{{Name: awssdk.String("tag:Site"), Values: []string{"blog"}}}})
	if err != nil || len(subnets.Subnets) != 9 {
		p.t.Errorf("%d subnets, want 9 (%v)", len(subnets.Subnets), err)
	}
	nat, err := ec2.NewFromConfig(c).DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{})
	if err != nil || len(nat.NatGateways) != gateways {
		p.t.Errorf("%d NAT gateways, want %d (%v)", len(nat.NatGateways), gateways, err)
	}
	clusters, err := ecs.NewFromConfig(c).ListClusters(ctx, &ecs.ListClustersInput{})
	if err != nil || len(clusters.ClusterArns) != 1 {
		p.t.Fatalf("clusters %v, %v", clusters, err)
	}
	services, err := ecs.NewFromConfig(c).ListServices(ctx, &ecs.ListServicesInput{Cluster: &clusters.ClusterArns[0]})
	if err != nil || len(services.ServiceArns) != 2 {
		p.t.Fatalf("services %v, %v", services, err)
	}
	described, err := ecs.NewFromConfig(c).DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &clusters.ClusterArns[0], Services: services.ServiceArns})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, s := range described.Services {
		if s.DesiredCount != 0 {
			p.t.Errorf("%s wants %d tasks before there is a release", awssdk.ToString(s.ServiceName), s.DesiredCount)
		}
	}
	groups, err := elasticache.NewFromConfig(c).DescribeReplicationGroups(ctx, &elasticache.DescribeReplicationGroupsInput{})
	if err != nil || len(groups.ReplicationGroups) != 2 {
		p.t.Fatalf("caches %v, %v", groups, err)
	}
	for _, g := range groups.ReplicationGroups {
		if !awssdk.ToBool(g.AuthTokenEnabled) || !awssdk.ToBool(g.TransitEncryptionEnabled) {
			p.t.Errorf("%s answers without a token or without TLS", awssdk.ToString(g.ReplicationGroupId))
		}
	}
	buckets, err := s3.NewFromConfig(c).GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: awssdk.String("platen-blog-" + account + "-" + region)})
	if err != nil || buckets.Status != "Enabled" {
		p.t.Errorf("the state bucket is not versioned: %v, %v", buckets, err)
	}
	var status struct {
		Tiers []struct{ Name string }
	}
	env := strings.TrimPrefix(prefix, "blog-")
	if err := json.Unmarshal([]byte(p.must("status", env, "--json")), &status); err != nil || len(status.Tiers) < 5 {
		p.t.Errorf("status %+v, %v", status, err)
	}
}

// cluster is the database's identifier, or "".
func (p *place) cluster(ctx context.Context) string {
	out, err := rds.NewFromConfig(p.sdk()).DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{})
	if err != nil {
		p.t.Fatal(err)
	}
	if len(out.DBClusters) == 0 {
		return ""
	}
	return awssdk.ToString(out.DBClusters[0].DBClusterIdentifier)
}

func (p *place) shares(ctx context.Context) []string {
	out, err := efs.NewFromConfig(p.sdk()).DescribeFileSystems(ctx, &efs.DescribeFileSystemsInput{})
	if err != nil {
		p.t.Fatal(err)
	}
	var ids []string
	for _, f := range out.FileSystems {
		ids = append(ids, awssdk.ToString(f.FileSystemId))
	}
	return ids
}

// noSecretLeaks looks for every generated secret in every version of every state, in everything
// below the folder (plans, variables, Terraform's own files) and in all that was printed.
func (p *place) noSecretLeaks(ctx context.Context) {
	p.t.Helper()
	c := p.sdk()
	client := secretsmanager.NewFromConfig(c)
	list, err := client.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: awssdk.Int32(100)})
	if err != nil {
		p.t.Fatal(err)
	}
	secrets := map[string][]byte{}
	for _, s := range list.SecretList {
		v, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: s.ARN})
		if err != nil {
			p.t.Errorf("%s has no version: %v", awssdk.ToString(s.Name), err)
			continue
		}
		if value := awssdk.ToString(v.SecretString); len(value) >= 16 {
			secrets[awssdk.ToString(s.Name)] = []byte(value)
		}
	}
	if len(secrets) < 6 {
		p.t.Errorf("only %d secrets were generated", len(secrets))
	}
	looked := 0
	search := func(where string, data []byte) {
		looked++
		for name, value := range secrets {
			if bytes.Contains(data, value) {
				p.t.Errorf("%s is in %s", name, where)
			}
		}
	}
	store := s3.NewFromConfig(c, func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true })
	bucket := awssdk.String("platen-blog-" + account + "-" + region)
	pages := s3.NewListObjectVersionsPaginator(store, &s3.ListObjectVersionsInput{Bucket: bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, v := range page.Versions {
			out, err := store.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: v.Key, VersionId: v.VersionId})
			if err != nil {
				p.t.Fatal(err)
			}
			data, err := io.ReadAll(out.Body)
			_ = out.Body.Close()
			if err != nil {
				p.t.Fatal(err)
			}
			search("a version of "+awssdk.ToString(v.Key), data)
		}
	}
	err = filepath.WalkDir(p.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "terraform-provider-") {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			search(path, data)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	search("what was printed", p.log.Bytes())
	if looked < 20 {
		p.t.Errorf("looked at %d files only", looked)
	}
}

// nothingLeft asks the APIs after down --everything.
func (p *place) nothingLeft(ctx context.Context, said string) {
	p.t.Helper()
	c := p.sdk()
	for what, count := range map[string]func() (int, error){
		"buckets": func() (int, error) {
			out, err := s3.NewFromConfig(c).ListBuckets(ctx, &s3.ListBucketsInput{})
			return len(out.Buckets), err
		},
		"lock tables": func() (int, error) {
			out, err := dynamodb.NewFromConfig(c).ListTables(ctx, &dynamodb.ListTablesInput{})
			return len(out.TableNames), err
		},
		"secrets": func() (int, error) {
			out, err := secretsmanager.NewFromConfig(c).ListSecrets(ctx, &secretsmanager.ListSecretsInput{IncludePlannedDeletion: awssdk.Bool(true)})
			return len(out.SecretList), err
		},
		"database snapshots": func() (int, error) {
			out, err := rds.NewFromConfig(c).DescribeDBClusterSnapshots(ctx, &rds.DescribeDBClusterSnapshotsInput{SnapshotType: awssdk.String("manual")})
			return len(out.DBClusterSnapshots), err
		},
		"databases":    func() (int, error) { return len(p.cluster(ctx)), nil },
		"file systems": func() (int, error) { return len(p.shares(ctx)), nil },
		"caches": func() (int, error) {
			out, err := elasticache.NewFromConfig(c).DescribeReplicationGroups(ctx, &elasticache.DescribeReplicationGroupsInput{})
			return len(out.ReplicationGroups), err
		},
		"clusters": func() (int, error) {
			// The emulator goes on listing a deleted cluster, as inactive; AWS describes it so, too.
			list, err := ecs.NewFromConfig(c).ListClusters(ctx, &ecs.ListClustersInput{})
			if err != nil || len(list.ClusterArns) == 0 {
				return 0, err
			}
			out, err := ecs.NewFromConfig(c).DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: list.ClusterArns})
			if err != nil {
				return 0, err
			}
			active := 0
			for _, cluster := range out.Clusters {
				if awssdk.ToString(cluster.Status) != "INACTIVE" {
					active++
				}
			}
			return active, nil
		},
		"networks": func() (int, error) {
			out, err := ec2.NewFromConfig(c).DescribeVpcs(ctx, &ec2.DescribeVpcsInput{
				Filters: []ec2types.Filter{{Name: awssdk.String("tag:Site"), Values: []string{"blog"}}}})
			return len(out.Vpcs), err
		},
	} {
		n, err := count()
		if err != nil || n != 0 {
			p.t.Errorf("%d %s are left (%v)", n, what, err)
		}
	}
	if strings.Contains(said, "Kept") {
		p.t.Errorf("down --everything says that something is kept:\n%s", said)
	}
}
