package aws

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	cachetypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/task"
	"platen/internal/topology"
)

// fillData gives the entries of Secrets Manager their first versions, and the caches their
// tokens. It reads no value but the two that it hands to ElastiCache, and writes none anywhere
// else.
func (p *Place) fillData(ctx context.Context, t topology.Topology, sink report.Sink) error {
	s, err := p.whole(ctx, t, topology.StackData)
	if err != nil {
		return err
	}
	o, err := readData(s)
	if err != nil {
		return err
	}
	if t.Web.Config.Mail.User != "" && (p.secret == nil || p.secret(task.SecretMail) == "") {
		version, err := p.Version(ctx, t, task.SecretMail)
		if err == nil && version == "" {
			err = report.Hint(errors.New("mail.user logs in at the SMTP server, and its password is not known"), "give it with up: PLATEN_MAIL_PASSWORD=… platen up %s", t.Env)
		}
		if err != nil {
			return fmt.Errorf("fill the secret %s: %w", task.SecretMail, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.SecretARNs)) {
		if err := p.fill(ctx, name, o.SecretARNs[name], sink); err != nil {
			return fmt.Errorf("fill the secret %s: %w", name, err)
		}
	}
	for _, c := range []struct{ id, secret string }{{o.Sessions.ID, task.SecretSessions}, {o.Objects.ID, task.SecretObjects}} {
		if err := p.authenticate(ctx, c.id, o.SecretARNs[c.secret], sink); err != nil {
			return fmt.Errorf("set the token of the cache %s: %w", c.id, err)
		}
	}
	return nil
}

func (p *Place) fill(ctx context.Context, name, arn string, sink report.Sink) error {
	given := ""
	if p.secret != nil {
		given = p.secret(name)
	}
	there, err := p.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	switch {
	case err == nil && (given == "" || given == aws.ToString(there.SecretString)):
		return nil
	case err != nil && !is(err, "ResourceNotFoundException"):
		return err
	}
	value := given
	if value == "" {
		if value, err = generate(name); err != nil {
			return err
		}
	}
	if _, err := p.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &value}); err != nil {
		return err
	}
	sink.Step("data/secrets/"+name, report.Done, "filled")
	return nil
}

// letters is what generated secrets are made of: what every one of their readers takes without
// quoting (ElastiCache forbids some signs in a token).
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// generate makes a secret of 238 bits.
func generate(name string) (string, error) {
	switch name {
	case task.SecretSalt:
		raw := make([]byte, 64)
		_, err := rand.Read(raw)
		return hex.EncodeToString(raw), err
	case task.SecretMail:
		return noSecret, nil // fillData makes sure that nobody reads it
	}
	out := make([]byte, 0, 40)
	one := make([]byte, 1)
	for len(out) < cap(out) {
		if _, err := rand.Read(one); err != nil {
			return "", err
		}
		if int(one[0]) < 256/len(letters)*len(letters) { // no letter is likelier than another
			out = append(out, letters[int(one[0])%len(letters)])
		}
	}
	return string(out), nil
}

// authKey is the record of the caches that ask for their token: replication group → since when
// it is there.
const authKey = "auth.json"

// authenticate makes a cache ask for its token. A token is added first (ROTATE) and then made
// the only way in (SET): ElastiCache takes SET after ROTATE alone.
func (p *Place) authenticate(ctx context.Context, id, arn string, sink report.Sink) error {
	group, err := p.replicationGroup(ctx, id)
	if err != nil {
		return err
	}
	known := map[string]string{}
	data, etag, err := p.Get(ctx, authKey)
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil && !errors.Is(err, release.ErrNotFound) {
		return err
	}
	made := aws.ToString(group.ARN)
	if group.ReplicationGroupCreateTime != nil {
		made = group.ReplicationGroupCreateTime.UTC().Format(time.RFC3339)
	}
	if known[id] == made {
		return nil
	}
	step := "data/token/" + id
	sink.Step(step, report.Running, "setting")
	value, err := p.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return err
	}
	for _, strategy := range []cachetypes.AuthTokenUpdateStrategyType{cachetypes.AuthTokenUpdateStrategyTypeRotate, cachetypes.AuthTokenUpdateStrategyTypeSet} {
		_, err := p.caches.ModifyReplicationGroup(ctx, &elasticache.ModifyReplicationGroupInput{
			ReplicationGroupId: &id, AuthToken: value.SecretString, AuthTokenUpdateStrategy: strategy, ApplyImmediately: aws.Bool(true),
		})
		if err != nil {
			sink.Step(step, report.Failed, "")
			return err
		}
		wait := elasticache.NewReplicationGroupAvailableWaiter(p.caches, func(o *elasticache.ReplicationGroupAvailableWaiterOptions) { o.MinDelay = 2 * time.Second })
		if err := wait.Wait(ctx, &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &id}, 30*time.Minute); err != nil {
			sink.Step(step, report.Failed, "")
			return fmt.Errorf("wait for it: %w", err)
		}
	}
	known[id] = made
	if data, err = json.MarshalIndent(known, "", "  "); err != nil {
		return err
	}
	if _, err := p.Put(ctx, authKey, append(data, '\n'), etag); err != nil {
		return err
	}
	sink.Step(step, report.Done, "set")
	return nil
}

func (p *Place) replicationGroup(ctx context.Context, id string) (cachetypes.ReplicationGroup, error) {
	out, err := p.caches.DescribeReplicationGroups(ctx, &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &id})
	if err != nil {
		return cachetypes.ReplicationGroup{}, fmt.Errorf("look at the cache %s: %w", id, err)
	}
	if len(out.ReplicationGroups) == 0 {
		return cachetypes.ReplicationGroup{}, fmt.Errorf("the cache %s is gone", id)
	}
	return out.ReplicationGroups[0], nil
}
