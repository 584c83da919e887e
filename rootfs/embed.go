// Package rootfs holds what goes into the images: a folder an image, with its recipe (image.yaml)
// and files at the path that they have in the image, and the agents that make build puts into
// agent/bin.
package rootfs

import "embed"

// FS is this folder. Names that begin with a dot or an underscore are in it too.
//
//go:embed all:agent all:haproxy all:jobs all:mariadb all:nginx all:valkey all:wordpress
var FS embed.FS
