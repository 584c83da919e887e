package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"platen/internal/report"
	"platen/internal/topology"
)

// siteTag marks the bucket as a site's.
const siteTag = "Site"

// ensureBucket makes the state bucket, or makes sure that the one that is there is this site's
// own: versioned, encrypted, private, by TLS only. It can be interrupted and called again.
func (s *Store) ensureBucket(ctx context.Context) error {
	name, region := *s.bucket(), s.topology.AWS.Region
	// Looked for first: where it is there, us-east-1 answers a second CreateBucket with success.
	there, tagged, err := s.look(ctx)
	if err != nil {
		return err
	}
	if !there {
		in := &s3.CreateBucketInput{Bucket: &name, ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced}
		if region != "us-east-1" { // the one region that must not be named
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
		}
		_, err := s.client.CreateBucket(ctx, in)
		switch {
		case is(err, "BucketAlreadyExists"):
			return &ForeignBucketError{Bucket: name, Account: *s.owner(), Cause: err}
		case is(err, "BucketAlreadyOwnedByYou"): // another up of this site was faster
			if tagged, err = s.checkBucket(ctx); err != nil {
				return err
			}
		case err != nil:
			return s.refused(fmt.Errorf("make the state bucket %s: %w", name, err))
		}
	}
	for what, set := range map[string]func() error{
		// The environments share it: it keeps the tags of the one that made it.
		"tag": func() error {
			if tagged {
				return nil
			}
			var set []types.Tag
			for k, v := range tags(s.topology) {
				set = append(set, types.Tag{Key: aws.String(k), Value: aws.String(v)})
			}
			_, err := s.client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{
				Bucket: &name, Tagging: &types.Tagging{TagSet: set}, ExpectedBucketOwner: s.owner()})
			return err
		},
		"close": func() error {
			_, err := s.client.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
				Bucket: &name, ExpectedBucketOwner: s.owner(),
				PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
					BlockPublicAcls: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true), RestrictPublicBuckets: aws.Bool(true),
				}})
			return err
		},
		"version": func() error {
			_, err := s.client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
				Bucket: &name, ExpectedBucketOwner: s.owner(),
				VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
			return err
		},
		"encrypt": func() error {
			_, err := s.client.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
				Bucket: &name, ExpectedBucketOwner: s.owner(),
				ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
					BucketKeyEnabled:                   aws.Bool(true),
					ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms},
				}}}})
			return err
		},
		"close to plain HTTP": func() error {
			policy, err := json.Marshal(map[string]any{
				"Version": "2012-10-17",
				"Statement": []any{map[string]any{
					"Sid": "TLSOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
					"Resource":  []string{"arn:" + partition(region) + ":s3:::" + name, "arn:" + partition(region) + ":s3:::" + name + "/*"},
					"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
				}},
			})
			if err != nil {
				return err
			}
			_, err = s.client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &name, Policy: aws.String(string(policy)), ExpectedBucketOwner: s.owner()})
			return err
		},
	} {
		if err := set(); err != nil {
			return s.refused(fmt.Errorf("%s the state bucket %s: %w", what, name, err))
		}
	}
	return nil
}

// checkBucket refuses a bucket of the account that Platen did not make for this site. One
// without any tag was left by a kill right after it was made, and must be empty.
func (s *Store) checkBucket(ctx context.Context) (tagged bool, err error) {
	name := *s.bucket()
	out, err := s.client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &name, ExpectedBucketOwner: s.owner()})
	if is(err, "NoSuchTagSet") {
		list, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &name, MaxKeys: aws.Int32(1), ExpectedBucketOwner: s.owner()})
		if err != nil {
			return false, s.refused(fmt.Errorf("look into the bucket %s: %w", name, err))
		}
		if len(list.Contents) > 0 {
			return false, &ForeignBucketError{Bucket: name, Account: *s.owner()}
		}
		return false, nil
	}
	if err != nil {
		return false, s.refused(fmt.Errorf("look at the bucket %s: %w", name, err))
	}
	for _, tag := range out.TagSet {
		if aws.ToString(tag.Key) == siteTag && aws.ToString(tag.Value) == s.topology.Site {
			return true, nil
		}
	}
	return false, &ForeignBucketError{Bucket: name, Account: *s.owner()}
}

// bucketIsThere tells whether the state bucket is made, and refuses one of somebody else.
func (s *Store) bucketIsThere(ctx context.Context) (bool, error) {
	there, _, err := s.look(ctx)
	return there, err
}

// look tells whether the state bucket is made, and tagged as the site's.
func (s *Store) look(ctx context.Context) (there, tagged bool, err error) {
	_, err = s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: s.bucket(), ExpectedBucketOwner: s.owner()})
	if is(err, "NotFound", "NoSuchBucket") {
		return false, false, nil
	}
	if err != nil {
		return false, false, s.refused(fmt.Errorf("look for the state bucket %s: %w", *s.bucket(), err))
	}
	tagged, err = s.checkBucket(ctx)
	return true, tagged, err
}

// partition of a region: the second word of its ARNs.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}

// prepareLocks makes what the wanted kind of lock needs, and leaves the other kind in a state in
// which it can be come back to. Both kinds lock the same states: while one of the other kind is
// held, nothing moves.
func (p *Place) prepareLocks(ctx context.Context, t topology.Topology) error {
	table := t.StateTable()
	described, err := p.dynamodb.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	there := err == nil
	if err != nil && !is(err, "ResourceNotFoundException") {
		if t.AWS.StateLock != "dynamodb" && is(err, "AccessDeniedException", "UnrecognizedClientException") {
			return nil // who may not look into DynamoDB never used it
		}
		return fmt.Errorf("look for the lock table %s: %w", table, err)
	}
	if t.AWS.StateLock == "dynamodb" {
		if err := p.otherLocks(ctx, t); err != nil || there && described.Table.TableStatus == dynamodbtypes.TableStatusActive {
			return err
		}
		return p.makeTable(ctx, t, there)
	}
	if !there {
		return nil
	}
	return p.leaveTable(ctx, t)
}

// otherLocks refuses to go on while somebody holds an S3 lock.
func (p *Place) otherLocks(ctx context.Context, t topology.Topology) error {
	for _, stack := range topology.Stacks {
		key := t.StateKey(stack) + ".tflock"
		out, err := p.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: p.bucket(), Key: &key, ExpectedBucketOwner: p.owner()})
		if is(err, "NoSuchKey", "NoSuchBucket", "NotFound") {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for a lock of %s: %w", stack, err)
		}
		err = heldBy(stack, json.NewDecoder(out.Body).Decode)
		_ = out.Body.Close()
		return err
	}
	return nil
}

// heldBy says who holds a lock, from Terraform's record of it.
func heldBy(stack string, decode func(any) error) error {
	var info struct {
		ID, Operation, Who string
		Created            time.Time
	}
	if err := decode(&info); err != nil {
		info.Who = "somebody"
	}
	return &report.HeldError{
		What: "the Terraform state of the stack " + stack, Who: info.Who, Doing: info.Operation, Since: info.Created, ID: info.ID,
		Do: "it is a lock of the kind that is being left: wait for it to end, or give it back with state.lock as it was",
	}
}

func (p *Place) makeTable(ctx context.Context, t topology.Topology, there bool) error {
	table := t.StateTable()
	if !there {
		var set []dynamodbtypes.Tag
		for k, v := range tags(t) {
			set = append(set, dynamodbtypes.Tag{Key: aws.String(k), Value: aws.String(v)})
		}
		_, err := p.dynamodb.CreateTable(ctx, &dynamodb.CreateTableInput{
			TableName: &table, BillingMode: dynamodbtypes.BillingModePayPerRequest, Tags: set,
			SSESpecification:     &dynamodbtypes.SSESpecification{Enabled: aws.Bool(true)},
			AttributeDefinitions: []dynamodbtypes.AttributeDefinition{{AttributeName: aws.String("LockID"), AttributeType: dynamodbtypes.ScalarAttributeTypeS}},
			KeySchema:            []dynamodbtypes.KeySchemaElement{{AttributeName: aws.String("LockID"), KeyType: dynamodbtypes.KeyTypeHash}},
		})
		if err != nil && !is(err, "ResourceInUseException") {
			return fmt.Errorf("make the lock table %s: %w", table, err)
		}
	}
	wait := dynamodb.NewTableExistsWaiter(p.dynamodb, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = time.Second })
	if err := wait.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &table}, 5*time.Minute); err != nil {
		return fmt.Errorf("wait for the lock table %s: %w", table, err)
	}
	return nil
}

// leaveTable removes the checksums that Terraform keeps in the table: the states will change
// without it, and coming back it would take them for damaged.
func (p *Place) leaveTable(ctx context.Context, t topology.Topology) error {
	table := t.StateTable()
	for _, stack := range topology.Stacks {
		id := t.StateBucket() + "/" + t.StateKey(stack)
		key := func(id string) map[string]dynamodbtypes.AttributeValue {
			return map[string]dynamodbtypes.AttributeValue{"LockID": &dynamodbtypes.AttributeValueMemberS{Value: id}}
		}
		held, err := p.dynamodb.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key(id), ConsistentRead: aws.Bool(true)})
		if err != nil {
			return fmt.Errorf("look for a lock of %s: %w", stack, err)
		}
		if info, ok := held.Item["Info"].(*dynamodbtypes.AttributeValueMemberS); ok {
			return heldBy(stack, func(v any) error { return json.Unmarshal([]byte(info.Value), v) })
		}
		if _, err := p.dynamodb.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: key(id + "-md5")}); err != nil {
			return fmt.Errorf("remove the checksum of %s from the lock table: %w", stack, err)
		}
	}
	return nil
}

// removeRecords empties what the bucket holds of an environment, every version of it: states,
// locks and Platen's records.
func (p *Place) removeRecords(ctx context.Context, t topology.Topology) error {
	return p.emptyBucket(ctx, t.StateBucket(), "env:/"+t.Env+"/")
}

// emptyBucket removes every version of the objects that begin with the prefix.
func (p *Place) emptyBucket(ctx context.Context, name, prefix string) error {
	pages := s3.NewListObjectVersionsPaginator(p.s3, &s3.ListObjectVersionsInput{Bucket: &name, Prefix: &prefix, ExpectedBucketOwner: p.owner()})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if is(err, "NoSuchBucket") {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list the bucket %s: %w", name, err)
		}
		var all []types.ObjectIdentifier
		for _, v := range page.Versions {
			all = append(all, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			all = append(all, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		for chunk := range slices.Chunk(all, 1000) {
			out, err := p.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{
				Bucket: &name, Delete: &types.Delete{Objects: chunk, Quiet: aws.Bool(true)}, ExpectedBucketOwner: p.owner()})
			if err == nil && len(out.Errors) > 0 {
				err = errors.New(aws.ToString(out.Errors[0].Message))
			}
			if err != nil {
				return fmt.Errorf("empty the bucket %s: %w", name, err)
			}
		}
	}
	return nil
}
