package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"platen/internal/engine"
	"platen/internal/report"
)

func (a *app) imagePushCommand() *cobra.Command {
	var o engine.ImagePushOptions
	cmd := &cobra.Command{
		Use:   "push [ENV] [REGISTRY/PREFIX]",
		Short: "bring the images to a registry, without Docker",
		Long: `Make the site's images and bring them to a registry: the image nginx of the site blog goes to
REGISTRY/PREFIX/blog-nginx. What the registry has is not sent again; after an interruption, run it again.

An environment on AWS has repositories of its own, which up makes: without a registry the images go there.

Credentials are those of docker login, and of Docker's credential helpers. To Amazon ECR the AWS credentials
are enough: the token is asked for, and again when it has expired.`,
		Example: "  platen image push registry.example.com/team\n" +
			"  platen image push prod    # to the environment's own repositories\n" +
			"  platen image push prod ghcr.io/example --platform linux/amd64,linux/arm64 --tag v7",
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			env, to := pushArguments(args)
			if err := a.environmentArg(env); err != nil {
				return err
			}
			o.Site, o.To = a.site, to
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

// pushArguments parts the environment and the registry: of one argument alone its look says which.
func pushArguments(args []string) (env []string, to string) {
	switch {
	case len(args) == 0:
		return nil, ""
	case len(args) == 1 && !strings.ContainsAny(args[0], "/.:") && args[0] != "localhost":
		return args, ""
	}
	last := len(args) - 1
	return args[:last], args[last]
}

func (a *app) printPushed(images []engine.Pushed) {
	for _, img := range images {
		a.printf("%s %s\n", a.style.bold(fmt.Sprintf("%-10s", img.Image)), img.Reference)
	}
}
