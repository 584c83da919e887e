package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"platen/internal/engine"
)

func (a *app) scaleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "scale [ENV] TASKS",
		Short: "run so many web tasks, until the next up",
		Long: `Run so many web tasks now. Status shows the override, and the next up goes back to what
platen.yaml says.`,
		Example: "  platen scale 4\n  platen scale prod 6",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			last := len(args) - 1
			if err := a.environmentArg(args[:last]); err != nil {
				return a.done(engine.Result{}, err)
			}
			n, err := strconv.Atoi(strings.TrimPrefix(args[last], "web="))
			if err != nil {
				return a.done(engine.Result{}, &engine.UsageError{Err: fmt.Errorf("scale to %q: want a number of web tasks", args[last])})
			}
			ctx := cmd.Context()
			p := a.progress(ctx)
			result, err := a.Engine.Scale(ctx, engine.ScaleOptions{Site: a.site, Tasks: n}, p.sink)
			p.close()
			if err == nil && !a.json {
				if result.Changed {
					a.printf("%d web tasks serve %s.\n", n, result.URL)
				} else {
					a.printf("Nothing to change: %d web tasks serve %s.\n", n, result.URL)
				}
			}
			return a.done(result, err)
		},
	}
}
