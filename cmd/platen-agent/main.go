// Platen-agent is the small static program inside of Platen's containers.
package main

import (
	"os"

	"platen/internal/agent"
)

func main() { os.Exit(agent.Main(os.Args[1:], os.Stdout, os.Stderr)) }
