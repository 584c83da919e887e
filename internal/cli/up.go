package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"platen/internal/engine"
)

func (a *app) upCommand() *cobra.Command {
	var port int
	cmd := &cobra.Command{
		Use:   "up [ENV]",
		Short: "bring the site up, or to what its file says now",
		Long: `Bring an environment to what platen.yaml says: images, infrastructure, the installed site.

What is there already stays as it is: run it as often as you like, and again after an
interruption. Without a platen.yaml the defaults hold.

The password of mail.user is the one that platen credentials set mail keeps, or $` + engine.EnvMailPassword + `.`,
		Example: "  platen up\n  platen up local --json\n  platen up --port 8090",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return a.done(engine.Result{}, err)
			}
			o := engine.UpOptions{Site: a.site, MailPassword: a.Getenv(engine.EnvMailPassword)}
			if cmd.Flags().Changed("port") {
				if port < 0 || port > 65535 {
					return a.done(engine.Result{}, &engine.UsageError{Err: fmt.Errorf("--port %d: want 1 to 65535, or 0 for any free one", port)})
				}
				o.Port = &port
			}
			ctx := cmd.Context()
			p := a.progress(ctx)
			result, err := a.Engine.Up(ctx, o, p.sink)
			p.close()
			if err == nil && !a.json {
				a.upResult(result)
			}
			return a.done(result, err)
		},
	}
	cmd.Flags().IntVar(&port, "port", 0, "publish this port of the machine from now on; 0 takes any free one (local)")
	return cmd
}

func (a *app) upResult(r engine.Result) {
	for _, note := range r.Notes {
		a.printf("%s\n", note)
	}
	took := a.Engine.Now().Sub(a.start).Round(100 * time.Millisecond)
	if r.Release == "" {
		a.printf("%s %s, after %s.\n", a.style.good("Up:"), a.style.bold(r.URL), took)
		return
	}
	if !r.Changed {
		a.printf("Nothing to change: %s serves release %s.\n", a.style.bold(r.URL), r.Release)
		return
	}
	a.printf("%s %s serves release %s, after %s.\n", a.style.good("Up:"), a.style.bold(r.URL), r.Release, took)
	if !a.quiet {
		fmt.Fprintf(a.err, "%s\n", a.errStyle.dim("Log in at "+r.URL+"/wp-admin/ with what platen credentials says."))
	}
}
