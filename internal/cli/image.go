package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/report"
)

func (a *app) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "image",
		Short:   "build, list, inspect and update the site's images",
		Example: "  platen image list\n  platen image build nginx --platform linux/arm64",
	}
	cmd.AddCommand(a.imageBuild(),
		imageVerb(a, "list", "list the images with their layers and sizes", a.Engine.ImageList, a.printLayers),
		imageVerb(a, "show", "say what is in images: layers, packages and how large each is, configuration", a.Engine.ImageShow, a.printContents),
		imageVerb(a, "diff", "compare the images as they are built now with those that run", a.Engine.ImageDiff, a.printDifferences),
		imageVerb(a, "update", "take the archive's newest packages, write platen.lock, and say what changed", a.Engine.ImageUpdate, a.printUpdate),
		a.imageSBOM(),
		a.imagePushCommand(),
	)
	return cmd
}

// imageVerb is a verb about some images, or all, that answers with a value.
func imageVerb[T any](a *app, name, short string, run func(context.Context, engine.ImageOptions, report.Sink) (T, error), show func(T)) *cobra.Command {
	var o engine.ImageOptions
	cmd := &cobra.Command{
		Use:     name + " [IMAGE…]",
		Short:   short,
		Example: "  platen image " + name + "\n  platen image " + name + " nginx wordpress --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Site, o.Names = a.site, args
			return answer(cmd.Context(), a, show, func(ctx context.Context, sink report.Sink) (T, error) { return run(ctx, o, sink) })
		},
	}
	a.imageFlags(cmd, &o)
	return cmd
}

// answer runs a verb and prints its value.
func answer[T any](ctx context.Context, a *app, show func(T), run func(context.Context, report.Sink) (T, error)) error {
	p := a.quietJSON(ctx)
	value, err := run(ctx, p.sink)
	p.close()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(value)
	}
	show(value)
	return nil
}

func (a *app) imageFlags(cmd *cobra.Command, o *engine.ImageOptions) {
	cmd.Flags().StringSliceVar(&o.Platforms, "platform", nil, "linux/amd64, linux/arm64, or both with a comma (default: what the target runs)")
	if cmd.Name() != "update" {
		cmd.Flags().BoolVar(&o.Locked, "locked", false, "fail rather than change platen.lock")
	}
}

func (a *app) imageBuild() *cobra.Command {
	var o engine.ImageOptions
	cmd := &cobra.Command{
		Use:   "build [IMAGE…]",
		Short: "make the images, from the packages that platen.lock pins",
		Example: "  platen image build\n  platen image build nginx wordpress --json\n" +
			"  platen image build --platform linux/amd64,linux/arm64 --output ./images",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Site, o.Names = a.site, args
			return answer(cmd.Context(), a, a.printImages, func(ctx context.Context, sink report.Sink) ([]image.Image, error) {
				images, err := a.Engine.ImageBuild(ctx, o, sink)
				return append([]image.Image{}, images...), err
			})
		},
	}
	a.imageFlags(cmd, &o)
	cmd.Flags().StringVarP(&o.Output, "output", "o", "", "write them to this folder in the OCI layout: an index of platforms for each, and what each is made of")
	return cmd
}

func (a *app) imageSBOM() *cobra.Command {
	var o engine.ImageOptions
	var platform string
	cmd := &cobra.Command{
		Use:     "sbom IMAGE",
		Short:   "print what an image is made of: packages, versions, licences, checksums (CycloneDX, JSON)",
		Example: "  platen image sbom wordpress > wordpress.cdx.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Site, o.Names = a.site, args
			if platform != "" {
				o.Platforms = []string{platform}
			}
			p := a.quietJSON(cmd.Context())
			text, err := a.Engine.ImageSBOM(cmd.Context(), o, p.sink)
			p.close()
			if err != nil {
				return err
			}
			a.printf("%s", text)
			return nil
		},
	}
	cmd.Flags().StringVar(&platform, "platform", "", "linux/amd64 or linux/arm64 (default: what the target runs)")
	cmd.Flags().BoolVar(&o.Locked, "locked", false, "fail rather than change platen.lock")
	return cmd
}

func (a *app) printImages(images []image.Image) {
	for _, img := range images {
		a.printf("%s %-12s %9s  %3d packages  %s\n", a.style.bold(fmt.Sprintf("%-10s", img.Name)), img.Platform,
			size(img.Size), len(img.Packages), a.style.dim(short(img.Digest)))
	}
}

func (a *app) printLayers(images []image.Image) {
	for _, img := range images {
		a.printImages([]image.Image{img})
		for _, l := range img.Layers {
			a.printf("  %-21s %9s  %s\n", l.Name, size(l.Size), a.style.dim(short(l.Digest)))
		}
	}
}

func (a *app) printContents(images []engine.ImageContents) {
	for i, img := range images {
		if i > 0 {
			a.printf("\n")
		}
		a.printf("%s %s  %s, %s unpacked, %d files  %s\n", a.style.bold(img.Name), img.Platform, size(img.Size), size(img.Bytes), img.Files, a.style.dim(img.Digest))
		c := img.Config
		a.printf("  runs %s  as %s%s\n", strings.Join(append(slices.Clone(c.Entrypoint), c.Cmd...), " "), c.User, ports(c.Ports))
		a.printf("  %-34s %9s\n", a.style.dim("layer"), a.style.dim("packed"))
		for _, l := range img.Layers {
			a.printf("  %-34s %9s  %s\n", l.Name, size(l.Size), a.style.dim(short(l.Digest)))
		}
		a.printf("  %-34s %9s %9s %6s\n", a.style.dim("package"), a.style.dim("packed"), a.style.dim("unpacked"), a.style.dim("files"))
		for _, s := range img.Contents {
			name := s.Package + " " + s.Version
			if s.Package == "" {
				name = "(Platen and the site)"
			}
			a.printf("  %-34s %9s %9s %6d  %s\n", name, size(s.Compressed), size(s.Bytes), s.Files, a.style.dim(strings.Join(s.Layers, ", ")))
		}
	}
}

func ports(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "  listens on " + strings.Join(list, ", ")
}

func (a *app) printDifferences(all []image.Difference) {
	for _, d := range all {
		if d.Same {
			a.printf("%s %s is what runs  %s\n", a.style.bold(d.Image), d.Platform, a.style.dim(short(d.To)))
			continue
		}
		a.printf("%s %s  %s → %s  %s packed, %s unpacked, %+d files; %s to send\n", a.style.bold(d.Image), d.Platform, short(d.From), short(d.To),
			change(d.Compressed), change(d.Bytes), d.Files, size(d.Sent))
		for _, c := range d.Packages {
			a.printf("  %s\n", c)
		}
		for _, l := range d.Layers {
			switch {
			case l.From == 0:
				a.printf("  layer %s is new, %s\n", l.Name, size(l.To))
			case l.To == 0:
				a.printf("  layer %s is gone, %s\n", l.Name, size(l.From))
			default:
				a.printf("  layer %s  %s → %s\n", l.Name, size(l.From), size(l.To))
			}
		}
	}
}

// change is a size with its sign.
func change(n int64) string {
	if n < 0 {
		return "−" + size(-n)
	}
	return "+" + size(n)
}

// printUpdate writes a change once for all architectures.
func (a *app) printUpdate(u engine.ImageUpdate) {
	if len(u.Changes)+len(u.Archives) == 0 {
		a.printf("nothing is newer than what platen.lock pins\n")
	}
	heading := ""
	for i, c := range u.Changes {
		archs := []string{c.Arch}
		same := func(o image.PackageChange) bool { return o.Name == c.Name && o.From == c.From && o.To == c.To }
		if slices.ContainsFunc(u.Changes[:i], same) {
			continue
		}
		for _, o := range u.Changes[i+1:] {
			if same(o) {
				archs = append(archs, o.Arch)
			}
		}
		title := "other changes"
		if c.Security {
			title = "security"
		}
		if title != heading {
			a.printf("%s\n", a.style.bold(title))
			heading = title
		}
		c.Arch, c.Security = strings.Join(archs, ", "), false // the heading says it
		a.printf("  %s\n", c)
	}
	if len(u.Archives) > 0 {
		a.printf("%s\n", a.style.bold("archives"))
	}
	for _, c := range u.Archives {
		a.printf("  %s\n", c)
	}
	a.printImages(u.Images)
}

// short is a digest as people compare it.
func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// size writes bytes as registries do: millions are MB.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%d B", n)
	}
}
