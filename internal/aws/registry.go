package aws

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"platen/internal/report"
	"platen/internal/topology"
)

// registryHost is a registry of Amazon ECR: ACCOUNT.dkr.ecr.REGION.amazonaws.com.
var registryHost = regexp.MustCompile(`^[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.`)

// RegistryToken returns what gives the token of an ECR registry, by its host. It is nil for another
// registry, and where there are no AWS credentials: then Docker's configuration may know somebody.
func RegistryToken(ctx context.Context, host string) (func(context.Context) (user, password string, err error), error) {
	m := registryHost.FindStringSubmatch(host)
	if m == nil {
		return nil, nil
	}
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(m[1]))
	if err != nil {
		return nil, report.Hint(fmt.Errorf("read the AWS credentials: %w", err), "check the AWS profile and its files (AWS_PROFILE, ~/.aws)")
	}
	if _, err := c.Credentials.Retrieve(ctx); err != nil {
		return nil, ctx.Err()
	}
	client := ecr.NewFromConfig(c)
	return func(ctx context.Context) (string, string, error) { return registryToken(ctx, client) }, nil
}

// Token gives the right to push to and pull from the account's registry, for twelve hours.
func (p *Place) Token(ctx context.Context) (user, password string, err error) {
	return registryToken(ctx, p.ecr)
}

func registryToken(ctx context.Context, client *ecr.Client) (user, password string, err error) {
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return "", "", report.Hint(fmt.Errorf("ask ECR for a token: %w", err),
			"the credentials need the right ecr:GetAuthorizationToken; choose others with AWS_PROFILE")
	}
	if len(out.AuthorizationData) == 0 {
		return "", "", errors.New("ask ECR for a token: it answered none")
	}
	data, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData[0].AuthorizationToken))
	if err != nil {
		return "", "", errors.New("ask ECR for a token: what it answered is not encoded as one") // err would quote it
	}
	user, password, found := strings.Cut(string(data), ":")
	if !found {
		return "", "", errors.New("ask ECR for a token: it answered no user and password")
	}
	return user, password, nil
}

// Repositories are those that the environment's stack shared has made: image → REGISTRY/NAME.
func (p *Place) Repositories(ctx context.Context, t topology.Topology) (map[string]string, error) {
	s, err := p.state(ctx, t, topology.StackShared)
	if err != nil {
		return nil, err
	}
	repositories := map[string]string{}
	if err := read(s, map[string]any{"repository_urls": &repositories}); err != nil {
		return nil, err
	}
	if len(repositories) == 0 || !holds(s, "aws_ecr_repository") {
		return nil, report.Hint(fmt.Errorf("%s (%s) has no repositories for images yet", t.Site, t.Env), "run platen up %s first, or name a registry: platen image push %s REGISTRY/PREFIX", t.Env, t.Env)
	}
	return repositories, nil
}
