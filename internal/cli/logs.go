package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"platen/internal/engine"
)

func (a *app) logsCommand() *cobra.Command {
	var o engine.LogsOptions
	cmd := &cobra.Command{
		Use:       "logs [TIER…]",
		Short:     "show what the containers said",
		Long:      "Show what the containers said. Tiers: " + strings.Join(engine.Tiers, ", ") + "; all when none is named.",
		Example:   "  platen logs web --follow\n  platen logs edge --since 10m",
		ValidArgs: engine.Tiers,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Site, o.Tiers = a.site, args
			err := a.Engine.Logs(cmd.Context(), o, a.out)
			if o.Follow && cmd.Context().Err() != nil {
				return nil // following ends by Ctrl-C
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.Follow, "follow", "F", false, "go on with what is said from now on")
	f.StringVar(&o.Since, "since", "", "only what was said since then: 10m, or 2026-01-02T15:04:05Z")
	f.IntVar(&o.Tail, "tail", 0, "only so many last lines of each member")
	return cmd
}
