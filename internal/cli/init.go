package cli

import (
	"github.com/spf13/cobra"

	"platen/internal/engine"
)

func (a *app) initCommand() *cobra.Command {
	var o engine.InitOptions
	cmd := &cobra.Command{
		Use:     "init [FOLDER]",
		Short:   "write a short, commented platen.yaml",
		Example: "  platen init\n  platen init blog --name my-blog",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Folder = args[0]
			}
			files, err := engine.Init(o)
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
			a.printf("Next: platen up\n")
			return nil
		},
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "the site's name (default: the folder's)")
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace a platen.yaml that is there")
	return cmd
}
