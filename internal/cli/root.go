package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"platen/internal/engine"
	"platen/internal/report"
)

// The groups of the help page, in the order in which a person meets them.
const (
	groupFirst = "first"
	groupDaily = "daily"
	groupCare  = "care"
	groupTools = "tools"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "platen",
		Short:         "WordPress that stays up: on one machine with one command, on AWS with the same file",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          unknown,
		RunE:          func(cmd *cobra.Command, _ []string) error { a.ran = true; return cmd.Help() },
		Version:       a.Version.Version,
	}
	cobra.EnableCommandSorting = false // the order of the groups is the order of use
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return report.Hint(err, "%s --help lists the flags", cmd.CommandPath())
	})
	root.SetVersionTemplate("platen {{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: groupFirst, Title: "The first ten minutes"},
		&cobra.Group{ID: groupDaily, Title: "Every day"},
		&cobra.Group{ID: groupCare, Title: "Care and repair"},
		&cobra.Group{ID: groupTools, Title: "Tools"},
	)
	f := root.PersistentFlags()
	f.StringVarP(&a.site.File, "file", "f", "", "the site's configuration (default: "+engine.FileName+" in this folder, when there is one)")
	f.StringVarP(&a.site.Environment, "env", "e", "", "the environment (default: local)")
	f.BoolVar(&a.json, "json", false, "answer in JSON (docs/json.md)")
	f.BoolVarP(&a.yes, "yes", "y", false, "answer every question with yes")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress, only the result")

	a.add(root, groupFirst, a.initCommand(), a.doctorCommand(), a.upCommand(), a.openCommand(), a.credentialsCommand())
	a.add(root, groupDaily, a.statusCommand(), a.logsCommand(), a.planCommand(), a.scaleCommand(), a.execCommand(), a.mailCommand(), a.downCommand())
	a.add(root, groupCare, a.imageCommand(), a.hostsCommand(), a.renderCommand(), a.unlockCommand())
	a.add(root, groupTools, a.schemaCommand(), a.versionCommand())
	root.SetHelpCommandGroupID(groupTools)
	root.SetCompletionCommandGroupID(groupTools)
	return root
}

// add puts commands into a group and marks the moment in which their own work begins.
func (a *app) add(parent *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		a.mark(c)
		parent.AddCommand(c)
	}
}

func (a *app) mark(c *cobra.Command) {
	if check := c.Args; check != nil {
		// cobra counts arguments and does not say which.
		c.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) != nil {
				return report.Hint(fmt.Errorf("%s: %d arguments do not fit: want %s", cmd.CommandPath(), len(args), cmd.Use),
					"%s --help says more", cmd.CommandPath())
			}
			return nil
		}
	}
	if run := c.RunE; run != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			a.ran = true
			return run(cmd, args)
		}
	} else if c.HasSubCommands() {
		// cobra would print the help and succeed when a subcommand is missing or misspelt.
		c.Args = unknown
		c.RunE = func(cmd *cobra.Command, _ []string) error {
			return fmt.Errorf("%s needs one of: %s", cmd.CommandPath(), strings.Join(names(cmd), ", "))
		}
	}
	for _, sub := range c.Commands() {
		a.mark(sub)
	}
}

// unknown refuses what is no subcommand, and names the ones that were meant.
func unknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	if meant := cmd.SuggestionsFor(args[0]); len(meant) > 0 {
		return report.Hint(err, "did you mean %s %s?", cmd.CommandPath(), strings.Join(meant, " or "))
	}
	return report.Hint(err, "%s --help lists the commands", cmd.CommandPath())
}

func names(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	return names
}

// environmentArg takes the optional argument ENV, which says the same as --env.
func (a *app) environmentArg(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if a.site.Environment != "" && a.site.Environment != args[0] {
		return &engine.UsageError{Err: fmt.Errorf("two environments: %s and --env %s", args[0], a.site.Environment)}
	}
	a.site.Environment = args[0]
	return nil
}
