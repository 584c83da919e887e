package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"platen/internal/engine"
	"platen/internal/report"
)

func (a *app) hostsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hosts",
		Short: "list the machines that an environment on AWS runs on, and move them to a newer image",
	}
	cmd.AddCommand(a.hostsList(), a.hostsUpdate())
	return cmd
}

func (a *app) hostsList() *cobra.Command {
	return &cobra.Command{
		Use:     "list ENV",
		Short:   "list the hosts, their machine image, and the newest there is",
		Example: "  platen hosts list prod\n  platen hosts list prod --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return err
			}
			h, err := a.Engine.HostsList(cmd.Context(), a.site)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(h)
			}
			a.printHosts(h)
			return nil
		},
	}
}

func (a *app) hostsUpdate() *cobra.Command {
	var o engine.HostsUpdateOptions
	cmd := &cobra.Command{
		Use:   "update ENV",
		Short: "replace the hosts by ones of the newest machine image",
		Long: `Look up the newest ECS-optimised machine image, pin it, and replace the hosts by ones of it: first a
new one comes, then the tasks of an old one move, then it goes.

The image is pinned, so that neither plan nor up changes hosts because AWS published one. After an
interruption run it again: it goes on with the hosts that are left.`,
		Example: "  platen hosts update prod\n  platen hosts update prod --check    # 3 when there is a newer image",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return a.done(engine.Result{}, err)
			}
			ctx := cmd.Context()
			o.Site, o.Confirm = a.site, a.confirm(ctx)
			p := a.progress(ctx)
			u, err := a.Engine.HostsUpdate(ctx, o, p.sink)
			p.close()
			if err == nil && !a.json {
				a.hostsUpdated(u, o.Check)
			}
			err = a.end(doneEvent{Image: move(u.Image)}, u.Result, err)
			if err == nil && o.Check && u.Changed {
				return errChanges
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.Check, "check", false, "only look: exit with 3 when there is something to update")
	return cmd
}

func move(m report.Move) *report.Move {
	if m.To == "" {
		return nil
	}
	return &m
}

func (a *app) hostsUpdated(u engine.HostsUpdated, check bool) {
	h := u.Hosts
	switch {
	case !u.Changed:
		a.printf("Nothing newer: the hosts run %s, which AWS recommends for %s today%s.\n", h.Image, h.Architecture, named(h))
	case check && h.Image == h.Newest:
		a.printf("%d of %d hosts are not of %s yet: an update was interrupted.\n", len(h.Behind()), len(h.Hosts), h.Image)
	case check:
		a.printf("%s → %s%s\n", h.Image, h.Newest, named(h))
	default:
		took := a.Engine.Now().Sub(a.start).Round(time.Second)
		a.printf("%s every host runs %s%s, after %s.\n", a.style.good("Updated:"), h.Newest, named(h), took)
	}
}

func named(h report.Hosts) string {
	if h.NewestName == "" {
		return ""
	}
	return " (" + h.NewestName + ")"
}

func (a *app) printHosts(h report.Hosts) {
	for _, host := range h.Hosts {
		image := host.Image
		if host.Image != h.Image {
			image = a.style.warn(image)
		}
		a.printf("%-20s %-12s %-14s %-14s %s\n", host.ID, host.Type, host.Zone, host.State, image)
	}
	if len(h.Hosts) == 0 {
		a.printf("No hosts.\n")
	}
	switch h.Image {
	case "":
		a.printf("newest image for %s: %s%s\n", h.Architecture, h.Newest, named(h))
	case h.Newest:
		a.printf("image: %s, the newest for %s%s\n", h.Image, h.Architecture, named(h))
	default:
		a.printf("image: %s, and there is a newer one: %s%s\n%s\n", h.Image, h.Newest, named(h), a.style.dim("platen hosts update "+h.Environment))
	}
	if r := h.Refresh; r.Runs() {
		a.printf("%s\n", a.style.warn(fmt.Sprintf("a refresh is at work: %d %%, %d hosts left; %s", r.Percent, r.Left, r.Reason)))
	}
}
