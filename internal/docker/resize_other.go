//go:build !unix

package docker

import (
	"context"
	"os"
)

// sizeChanges never tells: this system has no signal for it.
func sizeChanges(context.Context) <-chan os.Signal { return nil }
