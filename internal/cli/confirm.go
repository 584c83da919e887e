package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"platen/internal/engine"
	"platen/internal/report"
)

// errDeclined is a person's no.
var errDeclined = errors.New("not confirmed: nothing was changed")

// confirm is the engine's question to a person: nil when --yes answered it already. Without a
// terminal nobody can answer, and the error names the flag.
func (a *app) confirm(ctx context.Context) func(string) error {
	if a.yes {
		return nil
	}
	return func(question string) error {
		if !isTerminal(a.in) || !isTerminal(a.err) {
			return &engine.UsageError{Err: report.Hint(errors.New(strings.TrimSuffix(question, "?")+"? Nobody is there to answer"), "say it with the command: --yes")}
		}
		fmt.Fprintf(a.err, "%s [y/N] ", question)
		answer := make(chan string, 1)
		go func() {
			line, _ := bufio.NewReader(a.in).ReadString('\n')
			answer <- strings.ToLower(strings.TrimSpace(line))
		}()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case said := <-answer:
			if said != "y" && said != "yes" {
				return errDeclined
			}
			return nil
		}
	}
}
