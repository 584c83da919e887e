//go:build unix

package docker

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// sizeChanges tells when the size of the terminal changes, until ctx ends.
func sizeChanges(ctx context.Context) <-chan os.Signal {
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, syscall.SIGWINCH)
	context.AfterFunc(ctx, func() { signal.Stop(changes) })
	return changes
}
