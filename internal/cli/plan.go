package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) planCommand() *cobra.Command {
	var code bool
	cmd := &cobra.Command{
		Use:   "plan [ENV]",
		Short: "say what up would do",
		Long: `Say what up would do, and whether the site fits. To know, the images are put together in the cache,
which the first time takes as long as up; neither the environment nor this folder is touched.`,
		Example: "  platen plan\n  platen plan --exit-code    # 3 when changes are pending",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return err
			}
			ctx := cmd.Context()
			p := a.quietJSON(ctx)
			planned, err := a.Engine.Plan(ctx, a.site, p.sink)
			p.close()
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(planned)
			} else {
				if manyStacks(planned.Changes) {
					a.changesByTier(planned.Changes)
				} else {
					for _, c := range planned.Changes {
						a.printf("%s %-28s %s\n", a.action(c.Action), c.Address, a.style.dim(c.Reason))
					}
				}
				for _, r := range planned.Verdict.Reasons {
					a.printf("%s %s\n", a.style.bad("does not fit:"), r)
				}
				switch n := len(planned.Changes); n {
				case 0:
					a.printf("Nothing to change.\n")
				case 1:
					a.printf("1 change.\n")
				default:
					a.printf("%d changes.\n", n)
				}
			}
			if err == nil && code && len(planned.Changes) > 0 {
				return errChanges
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&code, "exit-code", false, "exit with 3 when changes are pending")
	return cmd
}

func (a *app) action(action string) string {
	text := fmt.Sprintf("%-8s", action)
	switch action {
	case "create":
		return a.style.good(text)
	case "delete", "replace":
		return a.style.bad(text)
	default:
		return a.style.warn(text)
	}
}
