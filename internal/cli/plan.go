package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"platen/internal/capacity"
	"platen/internal/engine"
	"platen/internal/report"
)

func (a *app) planCommand() *cobra.Command {
	var (
		code bool
		o    engine.PlanOptions
	)
	cmd := &cobra.Command{
		Use:   "plan [ENV]",
		Short: "say what up would do",
		Long: `Say what up would do, and whether the site fits. To know, the images of a local environment are put
together in the cache, which the first time takes as long as up; neither the environment nor this folder
is touched.

On AWS the changes are in plain words, tier by tier; what would lose data comes first, then what is replaced
or removed. --verbose adds Terraform's own text.`,
		Example: "  platen plan\n  platen plan prod --verbose\n  platen plan --exit-code    # 3 when changes are pending",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return err
			}
			ctx := cmd.Context()
			p := a.quietJSON(ctx)
			o.Site = a.site
			planned, err := a.Engine.Plan(ctx, o, p.sink)
			p.close()
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(planned)
			} else {
				a.printPlan(planned)
			}
			if err == nil && code && len(planned.Changes) > 0 {
				return errChanges
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&code, "exit-code", false, "exit with 3 when changes are pending")
	cmd.Flags().BoolVarP(&o.Detail, "verbose", "v", false, "on AWS: Terraform's own text too")
	return cmd
}

func (a *app) printPlan(p engine.Planned) {
	if manyStacks(p.Changes) {
		a.changesByTier(p.Changes)
	} else {
		for _, c := range p.Changes {
			a.printf("%s %-28s %s\n", a.action(c.Action), c.Address, a.style.dim(c.Reason))
		}
	}
	for _, d := range p.Details {
		a.printf("%s\n%s\n", a.style.bold("Terraform on the stack "+d.Stack), strings.Trim(d.Text, "\n"))
	}
	a.printVerdict(p.Verdict)
	switch n := len(p.Changes); n {
	case 0:
		a.printf("Nothing to change.\n")
	case 1:
		a.printf("1 change.\n")
	default:
		a.printf("%d changes.\n", n)
	}
}

// printVerdict says whether the site fits, with the sum of each limit.
func (a *app) printVerdict(v capacity.Verdict) {
	for _, r := range v.Reasons {
		a.printf("%s %s\n", a.style.bad("does not fit:"), r)
	}
	lead := a.style.good("fits:")
	for _, s := range v.Sums {
		a.printf("%s %s\n", lead, s)
		lead = "     "
	}
}

func (a *app) action(action string) string {
	return a.paintAction(action, fmt.Sprintf("%-8s", action))
}

func (a *app) paintAction(action, text string) string {
	switch action {
	case "create":
		return a.style.good(text)
	case "delete", "replace":
		return a.style.bad(text)
	default:
		return a.style.warn(text)
	}
}

// said is a change in plain words, or its address where nobody has said it so.
func said(c report.Change) string {
	if c.Says != "" {
		return c.Says
	}
	return c.Action + " " + c.Address
}
