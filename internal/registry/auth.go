package registry

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	naming "github.com/google/go-containerregistry/pkg/name"

	"platen/internal/report"
)

// login is who we are to one registry. It is an authn.Authenticator whose credentials are fetched
// once, and once more when the registry no longer takes them.
type login struct {
	repository naming.Repository
	tokens     bool // from the caller's function: they expire
	fetch      func(context.Context) (authn.AuthConfig, error)

	mu   sync.Mutex
	have *authn.AuthConfig
}

func newLogin(repo naming.Repository, token func(context.Context) (user, password string, err error)) *login {
	l := &login{repository: repo, tokens: token != nil}
	if token != nil {
		l.fetch = func(ctx context.Context) (authn.AuthConfig, error) {
			user, password, err := token(ctx)
			if err != nil {
				return authn.AuthConfig{}, fmt.Errorf("get a token for %s: %w", repo.RegistryStr(), err)
			}
			return authn.AuthConfig{Username: user, Password: password}, nil
		}
		return l
	}
	l.fetch = func(ctx context.Context) (authn.AuthConfig, error) {
		who, err := authn.Resolve(ctx, authn.DefaultKeychain, repo)
		if err == nil {
			var c *authn.AuthConfig
			if c, err = authn.Authorization(ctx, who); err == nil {
				return *c, nil
			}
		}
		return authn.AuthConfig{}, report.Hint(
			fmt.Errorf("read the credentials for %s from Docker's configuration: %w", repo.RegistryStr(), err),
			"look at credsStore and credHelpers in ~/.docker/config.json, or log in again: %s", loginCommand(repo.RegistryStr()))
	}
	return l
}

// Authorization makes a login an authn.Authenticator.
func (l *login) Authorization() (*authn.AuthConfig, error) {
	return l.AuthorizationContext(context.Background())
}

// AuthorizationContext makes a login an authn.ContextAuthenticator.
func (l *login) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.have == nil {
		c, err := l.fetch(ctx)
		if err != nil {
			return nil, err
		}
		l.have = &c
	}
	c := *l.have
	return &c, nil
}

// renew returns what to send instead of a header that the registry did not take. Of many requests
// that were refused at once, the first fetches. ok is false when there is nothing newer: then the
// credentials are wrong, not old.
func (l *login) renew(ctx context.Context, stale string) (header string, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.have != nil && basic(*l.have) == stale {
		c, err := l.fetch(ctx)
		if err != nil {
			return "", false, err
		}
		l.have = &c
	}
	if l.have == nil || basic(*l.have) == stale || l.have.Username == "" {
		return "", false, nil
	}
	return basic(*l.have), true, nil
}

// basic is the header of HTTP's basic authentication.
func basic(c authn.AuthConfig) string {
	if c.Username == "" && c.Auth != "" {
		return "Basic " + c.Auth
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
}

// user is the name that the registry saw; "" = none.
func (l *login) user() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.have == nil:
		return ""
	case l.have.Username != "":
		return l.have.Username
	case *l.have != authn.AuthConfig{}:
		return "the token in Docker's configuration"
	default:
		return ""
	}
}
