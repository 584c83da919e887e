package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"platen/internal/engine"
	"platen/internal/report"
)

func (a *app) imagePushCommand() *cobra.Command {
	var o engine.ImagePushOptions
	cmd := &cobra.Command{
		Use:   "push [ENV] REGISTRY/PREFIX",
		Short: "bring the images to a registry, without Docker",
		Long: `Make the site's images and bring them to a registry: the image nginx of the site blog goes to
REGISTRY/PREFIX/blog-nginx. What the registry has is not sent again; after an interruption, run it again.

Credentials are those of docker login, and of Docker's credential helpers.`,
		Example: "  platen image push registry.example.com/team\n" +
			"  platen image push prod ghcr.io/example --platform linux/amd64,linux/arm64 --tag v7",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args[:len(args)-1]); err != nil {
				return err
			}
			o.Site, o.To = a.site, args[len(args)-1]
			return answer(cmd.Context(), a, a.printPushed, func(ctx context.Context, sink report.Sink) ([]engine.Pushed, error) {
				return a.Engine.ImagePush(ctx, o, sink)
			})
		},
	}
	a.imageFlags(cmd, &o.ImageOptions)
	f := cmd.Flags()
	f.StringSliceVar(&o.Names, "image", nil, "only these images (default: all)")
	f.StringVar(&o.Tag, "tag", "", "their tag (default: the first twelve digits of each image's digest)")
	return cmd
}

func (a *app) printPushed(images []engine.Pushed) {
	for _, img := range images {
		a.printf("%s %s\n", a.style.bold(fmt.Sprintf("%-10s", img.Image)), img.Reference)
	}
}
