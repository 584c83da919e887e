// Platen-job is the tool of the jobs image.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"platen/internal/job"
)

func main() {
	asked := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if in, err := os.Stdin.Stat(); err == nil && in.Mode()&os.ModeCharDevice != 0 {
		// Ctrl-C reaches all that share the terminal: it is for the program that a person talks
		// to, which may have a better answer than its end. Caught, not ignored: that is inherited.
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
		asked = asked[1:]
	}
	ctx, stop := signal.NotifyContext(context.Background(), asked...)
	code := job.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
