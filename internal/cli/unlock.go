package cli

import (
	"github.com/spf13/cobra"

	"platen/internal/engine"
)

func (a *app) unlockCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "unlock [ENV]",
		Short:   "take the lock from a command that does not come back",
		Example: "  platen unlock --yes",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return err
			}
			ctx := cmd.Context()
			l, was, err := a.Engine.Unlock(ctx, engine.UnlockOptions{Site: a.site, Confirm: a.confirm(ctx)})
			if err != nil {
				return err
			}
			if a.json {
				answer := struct {
					Unlocked bool         `json:"unlocked"`
					Lock     *engine.Lock `json:"lock,omitempty"`
				}{Unlocked: was}
				if was {
					answer.Lock = &l
				}
				return a.printJSON(answer)
			}
			if !was {
				a.printf("Nobody holds the lock.\n")
				return nil
			}
			a.printf("Unlocked: %q of %s on %s held it since %s.\n", l.Command, l.User, l.Host, l.Since.Local().Format("2006-01-02 15:04:05"))
			return nil
		},
	}
}
