// Package image makes reproducible OCI images from Debian packages and files. It is pure:
// package contents come in through an interface, layers go out as values.
package image

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is one built image of one platform.
type Image struct {
	Name     string   `json:"image"`    // nginx, wordpress, jobs, mariadb, valkey, haproxy
	Platform string   `json:"platform"` // linux/amd64
	OCI      v1.Image `json:"-"`
	Digest   string   `json:"digest"`           // of the manifest, sha256:…
	Size     int64    `json:"compressed_bytes"` // all layers, as a registry shows it
	Packages []string `json:"packages"`         // name=version
	Layers   []Layer  `json:"layers"`

	parts []part   // the same layers, with where they are kept
	files []string // all paths but folders
	dirs  []Dir    // folders that are more than 755 root

	pins     []Package           // those of Packages, whole
	licences map[string][]string // package → its licences, where its copyright file names them

	addons  []Download // plugins and themes that came by address
	modules []Module   // what its own programs are compiled of

	adopted   bool   // made elsewhere
	wordpress string // of an adopted one: the version that is in it
}

// Layer is one layer of an image.
type Layer struct {
	Name   string `json:"name"` // system, php, core, assets, agent, site, config
	Digest string `json:"digest"`
	Size   int64  `json:"compressed_bytes"`
}

// Package is one .deb as platen.lock pins it.
type Package struct {
	Name         string `yaml:"name"`
	Version      string `yaml:"version"`
	Architecture string `yaml:"arch"` // amd64 | arm64 | all
	SHA256       string `yaml:"sha256"`
	Size         int64  `yaml:"size"`
	Filename     string `yaml:"file"` // pool/main/…, below the archive's root
	Archive      string `yaml:"from"` // main | security; FromRelease and FromFolder are never in a lock
	Source       string `yaml:"source,omitempty"`
}

// Where a package comes from that no Debian archive has: WordPress itself, from another source.
const (
	FromRelease = "release" // the official archive of a release
	FromFolder  = "folder"  // the site's own tree
)

// Download is a file by its address, as platen.lock pins it.
type Download struct {
	Name    string `yaml:"name"`              // wordpress, plugins/newsletter, themes/…
	Version string `yaml:"version,omitempty"` // of WordPress
	URL     string `yaml:"url"`
	SHA256  string `yaml:"sha256"`
	Size    int64  `yaml:"size"`
}

// Notes are what a package's changelog says of newer versions.
type Notes struct {
	Security   bool     // one of them came by the security archive, or names a flaw
	References []string // CVE-2025-1234, DSA-5678-1 …, sorted
}
