package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"platen/internal/report"
	"platen/internal/task"
)

// EnvMailPassword is the environment variable by which up takes the password of the SMTP server.
const EnvMailPassword = "PLATEN_MAIL_PASSWORD"

// SetSecretOptions are those of credentials set.
type SetSecretOptions struct {
	Site
	Name string // mail
	// Read returns the secret that the person gives. It is called when all else is known to be
	// in order.
	Read func(ctx context.Context) (string, error)
}

// SetSecret keeps a secret that only a person knows. Jobs have it at once (mail test tries it);
// web tasks read secrets when they start: the next up rolls them.
func (e *Engine) SetSecret(ctx context.Context, o SetSecretOptions, sink report.Sink) (Result, error) {
	steps := &steps{sink: sink, verb: "credentials set " + o.Name}
	result, err := e.setSecret(ctx, o, steps)
	return result, steps.interrupted(ctx, err)
}

func (e *Engine) setSecret(ctx context.Context, o SetSecretOptions, steps *steps) (Result, error) {
	if o.Name != "mail" {
		return Result{}, &UsageError{fmt.Errorf("no secret %q that a person sets: there is mail, the password of mail.user", o.Name)}
	}
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return Result{}, err
	}
	if env.spec.Mail.User == "" {
		return Result{}, &UsageError{report.Hint(errors.New("keep the password of the SMTP server: nobody logs in there"),
			"write mail.user in %s first", FileName)}
	}
	if env.place.Vault == nil {
		return Result{}, report.Hint(errNoVault, "on AWS it goes to Secrets Manager with up: %s=… platen up %s", EnvMailPassword, env.spec.Environment)
	}
	value, err := o.Read(ctx)
	if err != nil {
		return Result{}, err
	}
	ctx, held, err := e.lock(ctx, env.place.Store, env.spec.Environment, e.Process.Command)
	if err != nil {
		return Result{}, err
	}
	defer held.release(ctx)
	if err := env.reload(ctx); err != nil {
		return Result{}, err
	}
	before := env.state.Secrets[task.SecretMail]
	if err := env.work(); err != nil {
		return Result{}, err
	}
	if env.topology.Images == nil && env.place.Fleet != nil { // before the first up
		if err := e.publish(ctx, env, steps); err != nil {
			return Result{}, err
		}
	}
	err = steps.do("secret", func() error { return keep(ctx, env, task.SecretMail, value) })
	if err != nil {
		return Result{}, err
	}
	return Result{URL: env.topology.URL, Changed: before != env.state.Secrets[task.SecretMail]}, env.save(ctx)
}

var errNoVault = errors.New("no command of its own keeps this secret there")

// keep hands a secret to the place and notes its version in the state and the topology.
func keep(ctx context.Context, env *environment, name, value string) error {
	version, err := env.place.Vault.Keep(ctx, env.topology, name, value)
	if err != nil {
		return fmt.Errorf("keep the secret %s: %w", name, err)
	}
	env.noteSecret(name, version)
	return nil
}

func (env *environment) noteSecret(name, version string) {
	secrets := maps.Clone(env.state.Secrets) // the saved state has the same map
	if secrets == nil {
		secrets = map[string]string{}
	}
	secrets[name] = version
	env.state.Secrets = secrets
	env.topology.Web.Config.Mail.Secret = secrets[task.SecretMail]
}

// needSecret refuses to begin without the password that the configuration asks for: given now,
// or kept before.
func needSecret(ctx context.Context, env *environment, given string) error {
	if env.spec.Mail.User == "" || given != "" || env.place.Vault == nil {
		return nil
	}
	if env.state.Secrets[task.SecretMail] != "" {
		return nil
	}
	// The records may be lost where the secret is not.
	version, err := env.place.Vault.Version(ctx, env.topology, task.SecretMail)
	if err != nil {
		return fmt.Errorf("look for the password of the SMTP server: %w", err)
	}
	if version == "" {
		return report.Hint(fmt.Errorf("mail.user of %s (%s) logs in at %s, and its password is not known",
			env.spec.Name, env.spec.Environment, env.spec.Mail.SMTP),
			"run: %s; or give it with up: %s=… %s", env.command("credentials set mail"), EnvMailPassword, env.command("up"))
	}
	return nil
}

// takeSecret keeps the password that was given with the command; without one it finds the
// version of the one that is kept.
func takeSecret(ctx context.Context, env *environment, given string) error {
	switch {
	case env.spec.Mail.User == "" || env.place.Vault == nil:
		return nil
	case given != "":
		return keep(ctx, env, task.SecretMail, given)
	case env.state.Secrets[task.SecretMail] == "":
		version, err := env.place.Vault.Version(ctx, env.topology, task.SecretMail)
		if err == nil {
			env.noteSecret(task.SecretMail, version)
		}
		return err
	}
	return nil
}
