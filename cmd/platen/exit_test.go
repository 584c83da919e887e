package main

import (
	"errors"
	"os/exec"
	"strconv"
)

// exitOf is the exit code in a command's error, or its text.
func exitOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return strconv.Itoa(exit.ExitCode())
	}
	return err.Error()
}
