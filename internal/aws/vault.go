package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"platen/internal/report"
	"platen/internal/topology"
)

// noSecret stands in an entry that nobody reads: Secrets Manager keeps no empty value, and a task
// starts only when each entry has one.
const noSecret = "-"

// Keep gives a secret's entry a value that a person set, and returns its version.
func (p *Place) Keep(ctx context.Context, t topology.Topology, name, value string) (string, error) {
	arn, err := p.entry(ctx, t, name)
	if err == nil && arn == "" {
		err = report.Hint(errors.New("there is no entry for it in Secrets Manager yet"), "it is made by the first platen up %s, which takes the password from its environment: PLATEN_MAIL_PASSWORD", t.Env)
	}
	if err != nil {
		return "", err
	}
	there, err := p.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err == nil && aws.ToString(there.SecretString) == value {
		return aws.ToString(there.VersionId), nil
	}
	if err != nil && !is(err, "ResourceNotFoundException") {
		return "", fmt.Errorf("look at the entry %s: %w", arn, err)
	}
	out, err := p.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &value})
	if err != nil {
		return "", fmt.Errorf("fill the entry %s: %w", arn, err)
	}
	return aws.ToString(out.VersionId), nil
}

// Version is the version of a secret that a person set, or "" when nobody did.
func (p *Place) Version(ctx context.Context, t topology.Topology, name string) (string, error) {
	arn, err := p.entry(ctx, t, name)
	if err != nil || arn == "" {
		return "", err
	}
	there, err := p.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if is(err, "ResourceNotFoundException") || err == nil && aws.ToString(there.SecretString) == noSecret {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look at the entry %s: %w", arn, err)
	}
	return aws.ToString(there.VersionId), nil
}

// entry is the ARN of a secret's entry, or "" while the stack data has not made it.
func (p *Place) entry(ctx context.Context, t topology.Topology, name string) (string, error) {
	there, err := p.bucketIsThere(ctx)
	if err != nil || !there {
		return "", err
	}
	s, err := p.state(ctx, t, topology.StackData)
	if err != nil {
		return "", err
	}
	o, err := readData(s)
	return o.SecretARNs[name], err
}
