package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// stateFolder holds the records of environments, below $XDG_STATE_HOME.
func stateFolder() (string, error) { return xdg("XDG_STATE_HOME", ".local/state") }

// cacheFolder holds what can be fetched or made again, below $XDG_CACHE_HOME.
func cacheFolder() (string, error) { return xdg("XDG_CACHE_HOME", ".cache") }

// xdg is platen's folder below one of the base directories (XDG Base Directory Specification:
// a relative path there is to be ignored).
func xdg(variable, otherwise string) (string, error) {
	if base := os.Getenv(variable); filepath.IsAbs(base) {
		return filepath.Join(base, "platen"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find where to keep things (set %s): %w", variable, err)
	}
	return filepath.Join(home, filepath.FromSlash(otherwise), "platen"), nil
}
