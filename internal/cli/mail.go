package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) mailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "mail",
		Short:   "see the mail that the site sent (where it is caught), or send a test",
		Example: "  platen mail list\n  platen mail test ops@example.com",
	}
	cmd.AddCommand(a.mailList(), a.mailShow(), a.mailTest())
	return cmd
}

func (a *app) mailList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "list the caught mail, the newest first",
		Example: "  platen mail list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mails, err := a.Engine.MailList(cmd.Context(), a.site)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(mails)
			}
			if len(mails) == 0 {
				a.printf("No mail was caught.\n")
			}
			for _, m := range mails {
				a.printf("%s  %s  %s → %s  %s\n", a.style.bold(m.ID), m.Date.Local().Format("2006-01-02 15:04"), m.From, strings.Join(m.To, ", "), m.Subject)
			}
			return nil
		},
	}
}

func (a *app) mailShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "print one caught message, headers and body",
		Example: "  platen mail show 1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.Engine.MailShow(cmd.Context(), a.site, args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					ID      string `json:"id"`
					Message string `json:"message"`
				}{args[0], text})
			}
			a.printf("%s", text)
			return nil
		},
	}
}

func (a *app) mailTest() *cobra.Command {
	return &cobra.Command{
		Use:     "test [ADDRESS]",
		Short:   "send a message the way the site does (default: to the administrator)",
		Example: "  platen mail test ops@example.com",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var to string
			if len(args) > 0 {
				to = args[0]
			}
			to, err := a.Engine.MailTest(cmd.Context(), a.site, to)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					To string `json:"to"`
				}{to})
			}
			a.printf("Sent to %s.\n", to)
			return nil
		},
	}
}
