package aws

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"platen/internal/release"
	"platen/internal/topology"
)

// Store keeps records as objects of the state bucket, below platen/ENV/. Every change is
// conditional on the object's etag, which S3 judges.
type Store struct {
	client   *s3.Client
	topology topology.Topology

	mu  sync.Mutex
	own bool // the bucket is there and this site's
}

func (s *Store) key(key string) *string { return aws.String(s.topology.RecordPrefix() + key) }

func (s *Store) bucket() *string { return aws.String(s.topology.StateBucket()) }

// owner makes S3 refuse when the bucket is in another account.
func (s *Store) owner() *string { return aws.String(s.topology.AWS.Account) }

// Get returns the record and its etag, or release.ErrNotFound.
func (s *Store) Get(ctx context.Context, key string) ([]byte, string, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket(), Key: s.key(key), ExpectedBucketOwner: s.owner()})
	if is(err, "NoSuchKey", "NoSuchBucket", "NotFound") {
		return nil, "", fmt.Errorf("read %s from the bucket %s: %w", key, *s.bucket(), release.ErrNotFound)
	}
	if err != nil {
		return nil, "", s.refused(fmt.Errorf("read the record %s from the bucket %s: %w", key, *s.bucket(), err))
	}
	defer func() { _ = out.Body.Close() }()
	data, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, "", fmt.Errorf("read the record %s: %w", key, err)
	}
	return data, aws.ToString(out.ETag), nil
}

// Put writes the record when its etag is still the given one ("": when there is none yet), and
// returns the new etag; else release.ErrConflict. The first record makes the bucket.
func (s *Store) Put(ctx context.Context, key string, data []byte, etag string) (string, error) {
	in := &s3.PutObjectInput{
		Bucket: s.bucket(), Key: s.key(key), Body: bytes.NewReader(data), ContentType: aws.String("application/json"),
		ExpectedBucketOwner: s.owner(),
	}
	if etag == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = aws.String(etag)
	}
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	out, err := s.client.PutObject(ctx, in)
	if conflict(err) {
		return "", fmt.Errorf("write the record %s in the bucket %s: %w", key, *s.bucket(), release.ErrConflict)
	}
	if err != nil {
		return "", s.refused(fmt.Errorf("write the record %s in the bucket %s: %w", key, *s.bucket(), err))
	}
	return aws.ToString(out.ETag), nil
}

// ready makes sure, before the first record is written, that the bucket is there and this site's.
func (s *Store) ready(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own {
		return nil
	}
	there, err := s.bucketIsThere(ctx)
	if err == nil && !there {
		err = s.ensureBucket(ctx)
	}
	s.own = err == nil
	return err
}

// conflict tells S3's two answers to a condition that does not hold, and a record that is gone.
func conflict(err error) bool {
	return is(err, "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
}

// List returns the keys that begin with the prefix, sorted.
func (s *Store) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{
		Bucket: s.bucket(), Prefix: s.key(prefix), ExpectedBucketOwner: s.owner(),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if is(err, "NoSuchBucket") {
			return nil, nil
		}
		if err != nil {
			return nil, s.refused(fmt.Errorf("list the records in the bucket %s: %w", *s.bucket(), err))
		}
		for _, o := range page.Contents {
			keys = append(keys, strings.TrimPrefix(aws.ToString(o.Key), s.topology.RecordPrefix()))
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Delete removes the record when its etag is still the given one, else release.ErrConflict.
func (s *Store) Delete(ctx context.Context, key, etag string) error {
	_, now, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if now != etag {
		return fmt.Errorf("remove the record %s from the bucket %s: %w", key, *s.bucket(), release.ErrConflict)
	}
	_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{
		Bucket: s.bucket(), Key: s.key(key), IfMatch: aws.String(etag), ExpectedBucketOwner: s.owner(),
	})
	if conflict(err) {
		return fmt.Errorf("remove the record %s from the bucket %s: %w", key, *s.bucket(), release.ErrConflict)
	}
	if err != nil {
		return s.refused(fmt.Errorf("remove the record %s from the bucket %s: %w", key, *s.bucket(), err))
	}
	return nil
}

// refused explains S3's no.
func (s *Store) refused(err error) error {
	if !is(err, "AccessDenied", "Forbidden", "403", "InvalidBucketOwner") {
		return err
	}
	return &ForeignBucketError{Bucket: *s.bucket(), Account: *s.owner(), Cause: err}
}

// ForeignBucketError is a bucket of the state's name that is not this site's.
type ForeignBucketError struct {
	Bucket, Account string
	Cause           error // nil: the bucket is in the account, but Platen did not make it
}

func (e *ForeignBucketError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("the bucket %s is there already and is not this site's: nothing was touched", e.Bucket)
	}
	return fmt.Sprintf("the bucket %s is not the account %s's, or these credentials may not use it: nothing was touched (%v)", e.Bucket, e.Account, e.Cause)
}

// Unwrap returns what S3 said.
func (e *ForeignBucketError) Unwrap() error { return e.Cause }

// Hint implements the interface of report.HintOf.
func (e *ForeignBucketError) Hint() string {
	return "bucket names are the same for all the world: take another name: in platen.yaml, or have the owner of the bucket remove it"
}
