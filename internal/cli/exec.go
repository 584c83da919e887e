package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"platen/internal/engine"
	"platen/internal/report"
)

func (a *app) execCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "exec -- COMMAND…",
		Short: "run php or sql beside the site",
		Long: `Run a one-off task of the jobs image, with the site's code, database and files: php ARGS…
or sql ARGS…. Its exit status is platen's.`,
		Example: "  platen exec -- php -r 'echo PHP_VERSION;'\n  platen exec -- sql 'select count(*) from wp_posts'\n  echo 'select count(*) from wp_posts' | platen exec -- sql",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "php" && args[0] != "sql" {
				return &engine.UsageError{Err: fmt.Errorf("exec %s: want php or sql, the images hold no other program for it", args[0])}
			}
			exit, err := a.Engine.Exec(cmd.Context(), engine.ExecOptions{
				Site: a.site, Command: args,
				Streams: report.Streams{In: a.in, Out: a.out, Err: a.err, TTY: isTerminal(a.in) && isTerminal(a.out)},
			})
			if err == nil && exit != 0 {
				return statusError(exit)
			}
			return err
		},
	}
}
