// Package site reads platen.yaml: one WordPress site and the environments it runs in.
package site

import "time"

// Target is the kind of place an environment runs on.
type Target string

// The targets there are.
const (
	Local Target = "local" // the Docker Engine of this machine
	AWS   Target = "aws"
)

// Site is a whole platen.yaml, valid by construction: every environment has been
// overlaid, defaulted and validated when Parse returns it.
type Site struct {
	Name         string
	File         string // as given to Parse; "" when there was no file and the defaults hold
	environments map[string]Spec
	order        []string // of the file
}

// Spec is one environment of a site after its overlay and all defaults.
// Sizes are bytes, CPU is in cores, durations are Go durations.
type Spec struct {
	Name        string // of the site; prefixes every resource
	Environment string
	Target      Target
	Title       string
	Admin       Admin
	WordPress   WordPress
	Image       Image
	Images      map[string]string // image name → REGISTRY/REPOSITORY@sha256:… that is run instead of building one
	Web         Web
	Database    Database
	Sessions    Cache
	Objects     Cache
	Files       Files
	Backups     Backups
	Mail        Mail

	// Local only.
	Port int    // wanted port on 127.0.0.1; 0 = any free one
	Size string // ha | small

	// AWS is nil on a local target.
	AWS *AWSSpec
}

// Admin is the first administrator; the password is generated.
type Admin struct{ User, Email string }

// WordPress says which core runs and who owns plugins and themes.
type WordPress struct {
	Source  string // debian | a version such as 6.8.3 | a directory
	Content string // shared | image
	Plugins []Addon
	Themes  []Addon
}

// Addon is one plugin or theme: a directory or a zip below the folder of platen.yaml (Path), or a
// zip by its address and SHA-256 (URL, SHA256).
type Addon struct{ Path, URL, SHA256 string }

func (a Addon) String() string { return a.Path + a.URL }

// Image says what the images hold beyond the defaults.
type Image struct {
	Packages []string // further Debian packages
	// Files are put into the wordpress image and, below the web root, into nginx': the path in the
	// image → a file or a directory below the folder of platen.yaml.
	Files  map[string]string
	Mirror string // URL of a Debian archive; "" = found from the host
}

// Range is a lower and an upper bound, written "2..4" or "2".
type Range struct{ Min, Max int }

// Web is the web tier; one task is nginx + php-fpm.
type Web struct {
	Tasks    Range
	Scale    WebScale
	PHP      PHP
	Nginx    Container
	Schedule []Schedule
}

// WebScale holds the targets of target tracking. 0 = not tracked.
type WebScale struct {
	CPU      int // percent
	Requests int // a minute and task
}

// Container is what a container may use.
type Container struct {
	CPU    float64 // cores, as a share among containers (ECS' CPU units), not a cap
	Memory int64   // bytes
}

// PHP is the php-fpm container of a task.
type PHP struct {
	Container
	Upload   int64             // bytes; largest upload
	Env      map[string]string // constants of wp-config: WP_MEMORY_LIMIT, …
	Settings map[string]string // php.ini directives
}

// Schedule changes the bounds of the web tasks at a time.
type Schedule struct {
	Cron  string
	Tasks Range
}

// Database is one writer and Readers readers.
type Database struct {
	Readers Range
	Class   string
	Scale   DatabaseScale
}

// DatabaseScale holds the readers' targets.
type DatabaseScale struct {
	CPU         int // percent
	Connections int
}

// Cache is one primary and Replicas replicas.
type Cache struct {
	Replicas Range
	Class    string
	Engine   string // valkey | redis; locally valkey
	Memory   int64  // bytes
}

// Files says where media live.
type Files struct{ Media string } // shared | s3

// Backups is the schedule and what is kept.
type Backups struct {
	Every  time.Duration
	Keep   Keep
	CopyTo string // a second region
}

// Keep is the number of backups kept of each kind.
type Keep struct{ Hourly, Daily, Weekly, Monthly int }

// Mail is the SMTP server; SMTP "" means that mail is caught (local).
type Mail struct {
	SMTP string // host:port
	From string
	User string // "" = no authentication; the password is a secret
}

// AWSSpec is what only an AWS environment has.
type AWSSpec struct {
	Account, Region string
	Tags            map[string]string
	StateLock       string // s3 | dynamodb
	CIDR, NAT       string // NAT: single | per-zone
	Domain          string
	CDN             bool
	Hosts           Hosts
	LogDays         int
	Alarms          []string
}

// Hosts is the EC2 group behind the capacity provider.
type Hosts struct {
	Type  string
	Count Range
	Fill  int // the capacity provider's target, percent
	Step  Range
}
