// Command platen runs WordPress that stays up.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"platen/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks the verb to end cleanly; the second ends it as any program.
	context.AfterFunc(ctx, stop)
	code := cli.Main(ctx, wire(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// abandon gives SIGINT to this process with nobody left who catches it: a shell sees an interrupted
// program, as after any Ctrl-C.
func abandon() {
	signal.Reset(os.Interrupt)
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		os.Exit(130)
	}
}
