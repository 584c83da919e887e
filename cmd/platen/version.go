package main

import (
	"runtime"
	"runtime/debug"

	"platen/internal/cli"
)

// version is set by a release build: -ldflags "-X main.version=1.2.3".
var version string

// built says what this binary is, from what the compiler wrote into it.
func built() cli.Version {
	v := cli.Version{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Built = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	if v.Version == "" {
		v.Version = "devel"
	}
	return v
}
