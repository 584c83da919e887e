package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"platen/internal/engine"
)

// errUnwell is a doctor's visit that found something; what, it has said already.
var errUnwell = errors.New("something is missing: see above")

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor [ENV]",
		Short:   "look at all that up needs, and say what to do about what is missing",
		Example: "  platen doctor",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return err
			}
			checks, err := a.Engine.Doctor(cmd.Context(), a.site)
			if err != nil {
				return err
			}
			ok := engine.Healthy(checks)
			if a.json {
				err = a.printJSON(struct {
					OK     bool           `json:"ok"`
					Checks []engine.Check `json:"checks"`
				}{ok, checks})
			} else {
				a.printChecks(checks)
			}
			if err == nil && !ok {
				return errUnwell
			}
			return err
		},
	}
}

func (a *app) printChecks(checks []engine.Check) {
	for i, group := range groups(checks) {
		if i > 0 {
			a.printf("\n")
		}
		a.printf("%s\n", a.style.bold(group))
		for _, c := range checks {
			if c.Group != group {
				continue
			}
			a.printf("  %s %-14s %s\n", a.mark3(c.State), c.Name, strings.ReplaceAll(c.Detail, "\n", "\n                   "))
			if c.Do != "" {
				a.printf("    %s %s\n", a.style.warn("→"), c.Do)
			}
		}
	}
}

func (a *app) mark3(state string) string {
	switch state {
	case engine.OK:
		return a.style.good("✓")
	case engine.Warn:
		return a.style.warn("!")
	default:
		return a.style.bad("✗")
	}
}

// groups are the checks' groups in the order in which they first come.
func groups(checks []engine.Check) []string {
	var order []string
	seen := map[string]bool{}
	for _, c := range checks {
		if !seen[c.Group] {
			seen[c.Group] = true
			order = append(order, c.Group)
		}
	}
	return order
}
