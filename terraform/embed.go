// Package terraform holds the four stacks that an environment on AWS is made of: plain HCL,
// a folder a stack, each with its own state, tests and provider lock file.
package terraform

import "embed"

// FS is this folder. The provider lock files begin with a dot and are in it too.
//
//go:embed all:shared all:cluster all:data all:services
var FS embed.FS
