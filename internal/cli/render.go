package cli

import (
	"github.com/spf13/cobra"

	"platen/internal/engine"
)

func (a *app) renderCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "render [ENV] DIR",
		Short:   "write the environment as files that run without Platen",
		Long:    "Write what the environment consists of as plain files: for a local one a compose.yaml that Docker's own compose runs.",
		Example: "  platen render out && docker compose -f out/compose.yaml config",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			last := len(args) - 1
			if err := a.environmentArg(args[:last]); err != nil {
				return err
			}
			ctx := cmd.Context()
			p := a.quietJSON(ctx)
			files, err := a.Engine.Render(ctx, engine.RenderOptions{Site: a.site, To: args[last]}, p.sink)
			p.close()
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Files []string `json:"files"`
				}{files})
			}
			for _, f := range files {
				a.printf("wrote %s\n", f)
			}
			return nil
		},
	}
}
