package cli

import (
	"github.com/spf13/cobra"

	"platen/internal/engine"
)

func (a *app) openCommand() *cobra.Command {
	var o engine.OpenOptions
	cmd := &cobra.Command{
		Use:     "open [ENV]",
		Short:   "open the site in the browser",
		Example: "  platen open\n  platen open --admin",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return err
			}
			o.Site = a.site
			o.Print = o.Print || a.json || !isTerminal(a.out)
			url, err := a.Engine.OpenSite(cmd.Context(), o)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					URL string `json:"url"`
				}{url})
			}
			a.printf("%s\n", url)
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.Admin, "admin", false, "open wp-admin")
	cmd.Flags().BoolVar(&o.Print, "print", false, "only say the address")
	return cmd
}
