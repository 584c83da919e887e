// Package aws is the place on AWS: the stacks, which Terraform makes, and what the SDK does
// before, between and after them.
package aws

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/backup"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"platen/internal/report"
	"platen/internal/topology"
)

// Terraform runs the stacks of one environment.
type Terraform interface {
	// Prepare writes the stacks out and initialises them. It comes before the others.
	Prepare(ctx context.Context, stacks []topology.Stack, sink report.Sink) error
	// Plan compares a stack with what is there and keeps the plan for Apply.
	Plan(ctx context.Context, stack string, o topology.StackRun) (report.StackPlan, error)
	// Apply does what the last Plan of the stack planned.
	Apply(ctx context.Context, stack string, sink report.Sink) error
	// Discard removes a plan that is not to be applied.
	Discard(stack string)
	// Forget removes what is kept here of a stack whose state is gone.
	Forget(stack string) error
}

// Options are Open's.
type Options struct {
	Topology  topology.Topology // names, account and region; worked out with no state
	Stacks    fs.FS             // a folder a stack
	Terraform Terraform
	// Secret is a value that a person gives instead of one that is generated, such as the
	// password of their mail server; "" = none.
	Secret func(name string) string
	Now    func() time.Time
}

// Place is one environment on AWS.
type Place struct {
	*Store
	stacks    fs.FS
	terraform Terraform
	secret    func(string) string
	now       func() time.Time
	pause     func(context.Context, time.Duration) error
	region    string
	config    aws.Config

	s3       *s3.Client
	sts      *sts.Client
	ec2      computing
	ecs      *ecs.Client
	rds      *rds.Client
	ecr      *ecr.Client
	elb      *elb.Client
	ssm      *ssm.Client
	groups   *autoscaling.Client
	targets  *applicationautoscaling.Client
	caches   *elasticache.Client
	secrets  *secretsmanager.Client
	dynamodb *dynamodb.Client
	route53  *route53.Client
	backup   *backup.Client
}

// Open connects to the environment's account and makes sure that it is the account which the
// configuration names. Nothing else is touched.
func Open(ctx context.Context, o Options) (*Place, error) {
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(o.Topology.AWS.Region))
	if err != nil {
		return nil, report.Hint(fmt.Errorf("read the AWS credentials: %w", err), "check the AWS profile and its files (AWS_PROFILE, ~/.aws)")
	}
	p := connect(c, o)
	return p, p.checkAccount(ctx, o.Topology)
}

// connect makes the clients. They ask nothing yet.
func connect(c aws.Config, o Options) *Place {
	p := &Place{
		stacks: o.Stacks, terraform: o.Terraform, secret: o.Secret, now: o.Now, pause: pause, region: o.Topology.AWS.Region, config: c,
		s3: s3.NewFromConfig(c, func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true }), sts: sts.NewFromConfig(c), ec2: computing{c}, ecs: ecs.NewFromConfig(c),
		rds: rds.NewFromConfig(c), ecr: ecr.NewFromConfig(c), elb: elb.NewFromConfig(c), ssm: ssm.NewFromConfig(c),
		groups: autoscaling.NewFromConfig(c), targets: applicationautoscaling.NewFromConfig(c),
		caches: elasticache.NewFromConfig(c), secrets: secretsmanager.NewFromConfig(c),
		dynamodb: dynamodb.NewFromConfig(c), route53: route53.NewFromConfig(c), backup: backup.NewFromConfig(c),
	}
	p.Store = &Store{client: p.s3, topology: o.Topology}
	return p
}

// checkAccount refuses to go on in another account than the configuration's.
func (p *Place) checkAccount(ctx context.Context, t topology.Topology) error {
	who, err := p.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var refused smithy.APIError
		if errors.As(err, &refused) {
			return report.Hint(fmt.Errorf("ask AWS whose credentials these are: %w", err),
				"renew them (aws sso login, or new keys), or choose others with AWS_PROFILE")
		}
		return report.Hint(fmt.Errorf("ask AWS whose credentials these are: %w", err),
			"platen uses the credentials that the aws command uses: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; and check that %q is a region", t.AWS.Region)
	}
	if got := aws.ToString(who.Account); got != t.AWS.Account {
		return report.Hint(fmt.Errorf("these credentials (%s) are of the account %s, and %s is to be in %s: nothing was touched",
			aws.ToString(who.Arn), got, t.Env, t.AWS.Account), "choose others with AWS_PROFILE, or correct account: of %s", t.Env)
	}
	return nil
}

// code is the code of AWS' answer, or "".
func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// is tells whether AWS answered with one of the codes.
func is(err error, codes ...string) bool {
	return err != nil && slices.Contains(codes, code(err))
}

// tags of what Terraform does not make.
func tags(t topology.Topology) map[string]string {
	all := maps.Clone(t.AWS.Tags)
	if all == nil {
		all = map[string]string{}
	}
	all["Site"], all["ManagedBy"] = t.Site, "platen"
	return all
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
