package engine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"platen/internal/report"
)

// Tiers are the names that logs takes, in the order of a request.
var Tiers = []string{"edge", "web", "endpoints", "database", "sessions", "objects", "mail"}

// LogsOptions are logs'.
type LogsOptions struct {
	Site
	report.LogsOptions
}

// Logs writes what the members said to w.
func (e *Engine) Logs(ctx context.Context, o LogsOptions, w io.Writer) error {
	for _, name := range o.Tiers {
		// web-1-php, db-1: a member, by its name in status.
		prefix, _, member := strings.Cut(name, "-")
		if !slices.Contains(Tiers, name) && !(member && (prefix == "db" || slices.Contains(Tiers, prefix))) {
			return &UsageError{report.Hint(fmt.Errorf("no tier %q: there are %s, and members as status names them", name, strings.Join(Tiers, ", ")),
				"an environment is named with --env")}
		}
	}
	env, err := e.open(ctx, o.Site)
	if err != nil {
		return err
	}
	if env.place.Console == nil {
		return errNoFleet
	}
	if err := env.place.Console.Logs(ctx, env.topology, o.LogsOptions, w); err != nil {
		return fmt.Errorf("read the logs: %w", err)
	}
	return nil
}
