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

// confirmName has a person type a name: nil when --yes answered already. A habit types yes; it
// does not type prod.
func (a *app) confirmName(ctx context.Context) func(question, name string) error {
	if a.yes {
		return nil
	}
	return func(question, name string) error {
		if !isTerminal(a.in) || !isTerminal(a.err) {
			return &engine.UsageError{Err: report.Hint(errors.New(question+" Nobody is there to confirm it"), "say it with the command: --yes --really %s", name)}
		}
		fmt.Fprintf(a.err, "%s\nType %s to go on: ", question, name)
		answer := make(chan string, 1)
		go func() {
			line, _ := bufio.NewReader(a.in).ReadString('\n')
			answer <- strings.TrimSpace(line)
		}()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case said := <-answer:
			if said != name {
				return errDeclined
			}
			return nil
		}
	}
}

// printKeptThere says what stays on AWS, why, and how to be rid of each.
func (a *app) printKeptThere(kept []report.Kept) {
	a.printf("Kept, and found again by the next up:\n")
	for _, k := range kept {
		a.printf("  %-44s %s\n    %s\n", k.Name, k.Why, a.style.dim("remove: "+k.Remove))
	}
}
