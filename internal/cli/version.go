package cli

import "github.com/spf13/cobra"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "say what this binary is",
		Example: "  platen version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(a.Version)
			}
			a.printf("platen %s", a.Version.Version)
			if c := a.Version.Commit; c != "" {
				a.printf(" (%s)", c[:min(12, len(c))])
			}
			a.printf(" %s\n", a.Version.Go)
			return nil
		},
	}
}
