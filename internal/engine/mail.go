package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"platen/internal/report"
)

// Mail is one caught message.
type Mail struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	To      []string  `json:"to"` // of the envelope: blind copies too
	Subject string    `json:"subject"`
	Date    time.Time `json:"date"` // when it was caught, UTC
	Bytes   int64     `json:"bytes"`
}

// errNoCatcher is the answer of list and show where mail really leaves.
var errNoCatcher = report.Hint(errors.New("mail is not caught here: it leaves by mail.smtp"), "platen mail test ADDRESS sends one")

// MailList lists the caught mail, the newest first.
func (e *Engine) MailList(ctx context.Context, o Site) ([]Mail, error) {
	env, err := e.open(ctx, o)
	if err != nil {
		return nil, err
	}
	if !env.topology.Mail.Catch {
		return nil, errNoCatcher
	}
	out, err := e.job(ctx, env, nil, "mail", "list", "--json")
	if err != nil {
		return nil, err
	}
	mails := []Mail{}
	if err := json.Unmarshal([]byte(out), &mails); err != nil {
		return nil, fmt.Errorf("read the list of caught mail: %w", err)
	}
	return mails, nil
}

// MailShow returns one caught message as it came in, headers and body.
func (e *Engine) MailShow(ctx context.Context, o Site, id string) (string, error) {
	env, err := e.open(ctx, o)
	if err != nil {
		return "", err
	}
	if !env.topology.Mail.Catch {
		return "", errNoCatcher
	}
	return e.job(ctx, env, nil, "mail", "show", id)
}

// MailTest sends a message through WordPress, by the way that all mail of the site takes.
func (e *Engine) MailTest(ctx context.Context, o Site, to string) (string, error) {
	env, err := e.open(ctx, o)
	if err != nil {
		return "", err
	}
	if to == "" {
		to = env.topology.Install.Email
	}
	_, err = e.job(ctx, env, nil, "mail", "test", to)
	return to, err
}
