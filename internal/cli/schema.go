package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"platen/internal/engine"
	"platen/internal/site"
)

func (a *app) schemaCommand() *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:     "schema",
		Short:   "print the JSON Schema of platen.yaml",
		Example: "  platen schema\n  platen schema --write    # refresh " + site.SchemaFile + " for the editor",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !write {
				_, err := a.out.Write(site.Schema())
				return err
			}
			path, err := engine.WriteSchema(filepath.Dir(a.site.File))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Files []string `json:"files"`
				}{[]string{path}})
			}
			a.printf("wrote %s\n", path)
			return nil
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "write "+site.SchemaFile+" beside the configuration")
	return cmd
}
