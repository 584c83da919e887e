package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"platen/internal/engine"
	"platen/internal/report"
)

func (a *app) credentialsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "credentials [ENV]",
		Short:   "print the administrator's password, or keep one that the site needs",
		Long:    "Print what the first administrator logs in with. The password was generated at the first up; one that was changed in wp-admin is not known here.",
		Example: "  platen credentials\n  platen credentials set mail",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return err
			}
			c, err := a.Engine.Credentials(cmd.Context(), a.site, nil)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(c)
			}
			a.printf("address   %s\nuser      %s\npassword  %s\n", c.URL, c.User, a.style.bold(c.Password))
			return nil
		},
	}
	cmd.AddCommand(a.credentialsSet())
	return cmd
}

func (a *app) credentialsSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set mail [ENV]",
		Short: "keep the password with which the site logs in at its SMTP server",
		Long: `Keep the password of mail.user. It is asked for, and not shown while it is typed; without a
terminal it is the first line of standard input. It goes into the site's volumes of secrets and
nowhere else: no file of yours, no environment, no log has it.

Mail sent by jobs has it at once: platen mail test tries it. Web tasks read it when they start:
platen up replaces them one after the other.`,
		Example:   "  platen credentials set mail\n  pass show smtp | platen credentials set mail",
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: []string{"mail"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args[1:]); err != nil {
				return a.done(engine.Result{}, err)
			}
			ctx := cmd.Context()
			// The question comes before the live tree takes the terminal.
			p := sync.OnceValue(func() progress { return a.progress(ctx) })
			result, err := a.Engine.SetSecret(ctx, engine.SetSecretOptions{
				Site: a.site, Name: args[0],
				Read: func(ctx context.Context) (string, error) {
					return a.readSecret(ctx, "Password of the SMTP server: ")
				},
			}, func(e report.Event) {
				if sink := p().sink; sink != nil {
					sink(e)
				}
			})
			p().close()
			if err != nil || a.json {
				return a.done(result, err)
			}
			if !result.Changed {
				a.printf("It is the one that is kept already.\n")
			} else {
				a.printf("Kept. Bring it to the web tasks: platen up\n")
			}
			return nil
		},
	}
}

// readSecret asks a person, and shows nothing of the answer; without a terminal the answer is
// the first line of standard input.
func (a *app) readSecret(ctx context.Context, question string) (string, error) {
	type answer struct {
		text string
		err  error
	}
	given := make(chan answer, 1)
	restore := func() {}
	if terminal, ok := a.in.(*os.File); ok && isTerminal(a.in) {
		fd := int(terminal.Fd())
		before, err := term.GetState(fd)
		if err != nil {
			return "", fmt.Errorf("ask for the password: %w", err)
		}
		restore = func() {
			_ = term.Restore(fd, before)
			fmt.Fprintln(a.err)
		}
		fmt.Fprint(a.err, question)
		go func() {
			text, err := term.ReadPassword(fd)
			given <- answer{string(text), err}
		}()
	} else {
		go func() {
			text, err := bufio.NewReader(a.in).ReadString('\n')
			if errors.Is(err, io.EOF) {
				err = nil
			}
			given <- answer{strings.TrimRight(text, "\r\n"), err}
		}()
	}
	defer restore()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case got := <-given:
		if got.err != nil {
			return "", fmt.Errorf("read the password: %w", got.err)
		}
		if got.text == "" {
			return "", &engine.UsageError{Err: report.Hint(errors.New("no password was given"), "type it, or: printf %%s \"$PASSWORD\" | platen credentials set mail")}
		}
		return got.text, nil
	}
}
