// Package topology works out all that an environment consists of, before anything is touched.
// It is the only source of names: a target names and sizes nothing that is not in here.
package topology

import (
	"platen/internal/site"
	"platen/internal/task"
)

// Topology is one environment of one site.
type Topology struct {
	Site, Env string
	Target    site.Target
	Project   string // platen-SITE-ENV: prefixes containers, networks, volumes
	Folder    string // absolute path of the folder that owns the project; "" where nobody asks
	URL       string // WP_HOME as a constant: no database row holds an address
	Install   task.Install
	Edge      Edge
	Endpoints Endpoints
	Web       Web
	Database  Database
	Sessions  Cache // noeviction
	Objects   Cache // allkeys-lru: the same type, two stores
	Files     Files
	Mail      Mail
	Jobs      []Job
	JobLimits Container // of one run of the jobs image

	// Images maps an image's name (nginx, wordpress, jobs, mariadb, valkey, haproxy) to the
	// reference that the target runs. Empty until Publish; web tasks take theirs from the release.
	Images map[string]string

	Live, Staged int  // generations of data; Staged is 0 except while restoring
	AWS          *AWS // nil on Docker
}

// AWS is what only AWS has.
type AWS struct {
	site.AWSSpec
	Tasks                                    site.Range // of the file, without an override
	Readers, SessionReplicas, ObjectReplicas site.Range
	Backups                                  site.Backups
}

// Edge is the load balancer.
type Edge struct {
	Address string // 127.0.0.1
	Port    int
	Memory  int64
	Slots   int // web tasks it can find; at least twice the upper bound, for a roll
}

// Endpoints is the balancer before database and caches. It is apart from the edge, so that
// an edge that reloads cuts no database connection.
type Endpoints struct{ Memory int64 }

// Web is the tier of web tasks.
type Web struct {
	Tasks      site.Range // starts at Min; a recorded scale override is in it
	Scale      site.WebScale
	Schedule   []site.Schedule
	PHP, Nginx Container
	Config     task.Config // all but Release
}

// Container is what a container may use.
type Container struct {
	CPU    float64 // cores
	Memory int64   // bytes
}

// Database is the database tier.
type Database struct {
	Nodes          []string // db-1, …: the first is the writer at first
	Class          string
	Scale          site.DatabaseScale
	MaxConnections int
	Memory         int64 // of a node
	Name, User     string
	Volumes        []string // a node's, with the generation in its name
}

// Cache is a Valkey tier.
type Cache struct {
	Role    string   // sessions | objects
	Nodes   []string // sessions-1, …
	Policy  string   // noeviction | allkeys-lru
	Memory  int64    // of a node
	Class   string
	Engine  string // valkey | redis
	Append  bool
	Volumes []string
}

// Files is the share.
type Files struct {
	Content string // shared | image
	Media   string // shared | s3
	Volume  string
}

// Mail is the way out for mail.
type Mail struct {
	Catch  bool // a catcher stands in for the SMTP server
	Memory int64
	Volume string
}

// Job is a one-off task of the jobs image.
type Job struct {
	Name    string
	Command []string // after the image's entrypoint platen-job
	Input   []byte   // standard input; secrets never come this way
}
