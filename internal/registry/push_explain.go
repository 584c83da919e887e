package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"

	naming "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"platen/internal/report"
)

// ecr is the address of a registry of Amazon ECR: ACCOUNT.dkr.ecr.REGION.amazonaws.com.
var ecr = regexp.MustCompile(`^[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.`)

// explain says what a refusal means, and what to do.
func (l *login) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || report.HintOf(err) != "" {
		return err
	}
	registry := l.repository.RegistryStr()
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return l.explainWay(err)
	}
	text := strings.ToLower(answer.Error())
	said := summary(err)
	switch {
	case answer.StatusCode == http.StatusInsufficientStorage, answer.StatusCode == http.StatusPaymentRequired,
		answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests && full(text):
		return report.Hint(fmt.Errorf("%s has no room left for it: %w", registry, said),
			"delete old images there, or have its quota raised; then run it again: what arrived is not sent again")
	case answer.StatusCode == http.StatusUnauthorized, says(answer, transport.UnauthorizedErrorCode):
		if user := l.user(); user != "" {
			return report.Hint(fmt.Errorf("%s does not take the credentials of %s: %w", registry, user, said), "%s", l.again(registry))
		}
		return report.Hint(fmt.Errorf("%s wants to know who we are, and Docker's configuration has no credentials for it: %w", registry, said),
			"log in: %s", loginCommand(registry))
	case answer.StatusCode == http.StatusForbidden, says(answer, transport.DeniedErrorCode):
		who := l.user()
		if who == "" {
			return report.Hint(fmt.Errorf("%s does not let just anybody push to %s: %w", registry, l.repository.RepositoryStr(), said),
				"log in: %s", loginCommand(registry))
		}
		return report.Hint(fmt.Errorf("%s does not let %s push to %s: %w", registry, who, l.repository.RepositoryStr(), said),
			"ask for the right to push there, or come as somebody who has it; %s", l.again(registry))
	case says(answer, transport.NameUnknownErrorCode), strings.Contains(text, "repository") && strings.Contains(text, "not exist"):
		return report.Hint(fmt.Errorf("%s has no repository %s: %w", registry, l.repository.RepositoryStr(), said), "%s", createAdvice(l.repository))
	case says(answer, transport.NameInvalidErrorCode):
		return report.Hint(fmt.Errorf("%s does not take the name %s: %w", registry, l.repository.RepositoryStr(), said),
			"push to another prefix: many registries want exactly a project or a user before the image's name")
	case answer.StatusCode == http.StatusNotFound, answer.StatusCode == http.StatusMethodNotAllowed:
		return report.Hint(fmt.Errorf("%s does not answer like a registry that can be pushed to: %w", registry, said), "check the address: REGISTRY/PREFIX")
	case answer.StatusCode == http.StatusTooManyRequests:
		return report.Hint(fmt.Errorf("%s wants fewer requests: %w", registry, said), "run it again later: what the registry has is not sent again")
	case answer.StatusCode >= 500:
		return report.Hint(fmt.Errorf("%s fails: %w", registry, said), "run it again later: what the registry has is not sent again")
	default:
		return fmt.Errorf("%s refuses it: %w", registry, said)
	}
}

// explainWay is explain for what happened before the registry answered.
func (l *login) explainWay(err error) error {
	registry := l.repository.RegistryStr()
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		dial *net.OpError
		lost *localError
	)
	switch {
	case errors.As(err, &lost):
		return report.Hint(err, "the cache of layers is damaged: platen image build makes it whole")
	case errors.As(err, &dns) && dns.IsNotFound:
		return report.Hint(err, "no registry is known as %s: check the address", registry)
	case errors.As(err, &cert):
		return report.Hint(err, "add the authority that signed for %s to this machine's certificates (SSL_CERT_FILE)", registry)
	case errors.As(err, &dial) && dial.Op == "dial":
		return report.Hint(err, "nobody answers at %s: check the address and the way to it (HTTPS_PROXY, firewall)", registry)
	default:
		return report.Hint(err, "run it again: what the registry has is not sent again")
	}
}

// full recognizes a quota by its words; registries have no code for it.
func full(text string) bool {
	for _, words := range []string{"quota", "storage limit", "limit exceeded", "limitexceeded", "insufficient storage", "no space"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

func says(answer *transport.Error, code transport.ErrorCode) bool {
	for _, e := range answer.Errors {
		if e.Code == code {
			return true
		}
	}
	return false
}

// tagIsTaken recognizes a registry that lets no tag be moved: ECR says TAG_INVALID, Harbor 412,
// others 409; all of them 'immutable' or 'already exists'.
func tagIsTaken(err error) bool {
	var answer *transport.Error
	if !errors.As(err, &answer) || answer.StatusCode >= 500 {
		return false
	}
	text := strings.ToLower(answer.Error())
	return answer.StatusCode == http.StatusConflict || answer.StatusCode == http.StatusPreconditionFailed ||
		says(answer, transport.TagInvalidErrorCode) || strings.Contains(text, "immutable") || strings.Contains(text, "already exists")
}

// answered is a registry's refusal, told in its own words and without the address, which for an
// upload is a line of secrets.
type answered struct {
	error
	text string
}

func (a *answered) Error() string { return a.text }
func (a *answered) Unwrap() error { return a.error }

// summary is the status and what the registry said of it.
func summary(err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return err
	}
	if already := (*answered)(nil); errors.As(err, &already) {
		return err
	}
	text := fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	for _, e := range answer.Errors {
		text += fmt.Sprintf(": %s", e.Code)
		if e.Message != "" {
			text += " (" + e.Message + ")"
		}
	}
	return &answered{err, text}
}

// again is how to become somebody else for the registry.
func (l *login) again(registry string) string {
	if l.tokens && ecr.MatchString(registry) {
		return "the token is of the AWS credentials: choose others with AWS_PROFILE"
	}
	return "log in again: " + loginCommand(registry)
}

func loginCommand(registry string) string {
	if m := ecr.FindStringSubmatch(registry); m != nil {
		return "aws ecr get-login-password --region " + m[1] + " | docker login --username AWS --password-stdin " + registry
	}
	if registry == naming.DefaultRegistry {
		return "docker login"
	}
	return "docker login " + registry
}

func createAdvice(repo naming.Repository) string {
	if m := ecr.FindStringSubmatch(repo.RegistryStr()); m != nil {
		return "make it: aws ecr create-repository --region " + m[1] + " --repository-name " + repo.RepositoryStr()
	}
	return "make the repository, or the project that it is in, there first"
}
