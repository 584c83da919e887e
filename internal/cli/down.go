package cli

import (
	"github.com/spf13/cobra"

	"platen/internal/engine"
	"platen/internal/report"
)

func (a *app) downCommand() *cobra.Command {
	var o engine.DownOptions
	cmd := &cobra.Command{
		Use:   "down [ENV]",
		Short: "stop the site; its data stay",
		Long: `Stop and remove what runs. The data stay, and the next up finds them; --volumes removes
them for good and asks first.`,
		Example: "  platen down\n  platen down --volumes --yes",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return a.done(engine.Result{}, err)
			}
			ctx := cmd.Context()
			o.Site, o.Confirm, o.ConfirmName = a.site, a.confirm(ctx), a.confirmName(ctx)
			p := a.progress(ctx)
			result, kept, err := a.Engine.Down(ctx, o, p.sink)
			p.close()
			if err != nil || a.json {
				return a.done(result, err, kept...)
			}
			if !result.Changed {
				a.printf("Nothing runs.\n")
			} else {
				a.printf("Down.\n")
			}
			if len(kept) > 0 && kept[0].Remove != "" {
				a.printKeptThere(kept)
				return nil
			}
			a.printKept(kept)
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.Volumes, "everything", false, "the same as --volumes; on AWS nothing stays, backups neither")
	cmd.Flags().StringVar(&o.Really, "really", "", "with --yes: the name of the environment on AWS that goes")
	cmd.Flags().BoolVar(&o.Volumes, "volumes", false, "remove the database, files and secrets too, for good")
	return cmd
}

// printKept says what stays. The names are for whoever looks for them in the engine.
func (a *app) printKept(kept []report.Kept) {
	if len(kept) == 0 {
		return
	}
	a.printf("The data are kept, in %d volumes; platen up finds them, platen down --volumes removes them:\n", len(kept))
	for _, k := range kept {
		a.printf("  %s\n", a.style.dim(k.Name))
	}
}
