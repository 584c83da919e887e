package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `platen-agent runs inside of Platen's containers.
  web                              init of the php container
  drain                            take the task out of the balancer
  mariadb | valkey                 prepare a node and become the server
  health php|task|mariadb|valkey   0 = well
  get URL                          GET by plain http; the body to standard output, 0 = answered 2xx
  site                             the same of this task's /-/site, with the site's token
`

// Main runs a subcommand and returns the exit status: 2 for one that there is not.
func Main(args []string, stdout, stderr io.Writer) int {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	ctx := context.Background()
	log := NewLog(stdout)

	var err error
	code := 1
	switch {
	case len(args) == 1 && args[0] == "web":
		code, err = Web(ctx, stop, log)
	case len(args) == 1 && args[0] == "drain":
		if err = Drain(); err == nil {
			return 0
		}
	case len(args) == 1 && args[0] == "mariadb":
		err = untilStopped(ctx, stop, func(ctx context.Context) error { return MariaDB(ctx, log) })
	case len(args) == 1 && args[0] == "valkey":
		err = Valkey(log)
	case len(args) == 2 && args[0] == "health":
		return ask(stderr, Health(ctx, args[1]))
	case len(args) == 2 && args[0] == "get":
		return ask(stderr, Get(ctx, args[1], nil, stdout))
	case len(args) == 1 && args[0] == "site":
		return ask(stderr, Site(ctx, stdout))
	default:
		_, _ = fmt.Fprint(stderr, usage)
		return 2
	}
	if err != nil {
		log.Error(err.Error())
		return max(code, 1)
	}
	return code
}

// ask is the exit status of a question: whoever asked reads standard error, not the log.
func ask(stderr io.Writer, err error) int {
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// untilStopped ends work's context at the first signal: as init we get no default action.
func untilStopped(ctx context.Context, stop <-chan os.Signal, work func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return work(ctx)
}
