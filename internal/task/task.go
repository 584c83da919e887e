// Package task is the agent's contract: what a container is told, and where things are in it.
// It depends on nothing but the standard library, since the agent is small.
package task

// The environment variables that carry the contract, as JSON.
const (
	EnvTask     = "PLATEN_TASK"     // Config: php, nginx (through its shared folder), jobs
	EnvDatabase = "PLATEN_DATABASE" // Database: a database node
	EnvCache    = "PLATEN_CACHE"    // Cache: a Valkey node
	EnvInit     = "PLATEN_INIT"     // Init: the job that fills the volumes
)

// EnvNginx tells php where its task's nginx is: host:port, without JSON. Without it nginx is in
// the same network namespace, at 127.0.0.1 and Port, as in an ECS task.
const EnvNginx = "PLATEN_NGINX"

// Paths inside the containers.
const (
	Secrets   = "/run/secrets" // one file a secret, read-only
	Shared    = "/run/task"    // memory, of the task: nginx.conf, *.sock, draining, cache/
	Private   = "/run/php"     // memory, of php alone: php-fpm.conf, php.ini, config.php
	Core      = "/usr/share/wordpress"
	Content   = "/usr/share/wordpress/wp-content"
	Platen    = "/usr/share/platen" // mu-plugins/ drop-ins/ templates/ agent/ jobs/ seed/
	HealthURL = "/-/task"
	SiteURL   = "/-/site"
	StatusURL = "/-/php" // of the page pool, at a socket of its own; nginx does not know it
	Port      = 8080     // nginx
)

// User and group of the processes that touch content (Debian's www-data, EFS' access point).
const (
	WebUID     = 33
	MariaDBUID = 201
	ValkeyUID  = 202
	HAProxyUID = 203
)

// Secret names: files below Secrets, or environment variables that are unset after reading.
const (
	SecretDatabase  = "db_password"
	SecretSessions  = "sessions_token"
	SecretObjects   = "objects_token"
	SecretSalt      = "salt"       // 64 hex bytes; the eight keys of wp-config are derived from it
	SecretSiteToken = "site_token" // opens /-/site
	SecretAdmin     = "admin_password"
	SecretMail      = "mail_password"
	// Who the task is to AWS. ECS sets the first, a path at its own address, where the keys of the
	// task's role are had for some hours; only a store that is not AWS' own is opened by the others.
	SecretCredentials = "aws_container_credentials_relative_uri"
	SecretKeyID       = "aws_access_key_id"
	SecretKey         = "aws_secret_access_key"
	FileCA            = "ca.pem"     // signs the certificates of database and caches
	FileCert          = "server.pem" // a server's chain
	FileKey           = "server.key"
)

// Config is all that a web task or a job is told.
type Config struct {
	Site    string `json:"site"`
	Env     string `json:"env"`
	Release string `json:"release,omitempty"`
	URL     string `json:"url"`     // WP_HOME and WP_SITEURL, without a slash at the end
	Content string `json:"content"` // shared | image

	PHP      PHP      `json:"php"`
	Nginx    Nginx    `json:"nginx"`
	Database Endpoint `json:"database"`
	Sessions Store    `json:"sessions"`
	Objects  Store    `json:"objects"`
	Media    Media    `json:"media"`
	Mail     Mail     `json:"mail"`
	Drain    int      `json:"drain"`             // seconds between 404 on /-/task and the end of php
	Trusted  []string `json:"trusted,omitempty"` // CIDRs of the balancer, whose X-Forwarded-* hold
}

// PHP is php-fpm's share of the task. Children is worked out by the topology.
type PHP struct {
	Children int               `json:"children"`
	Memory   int64             `json:"memory"`  // bytes, the container's limit
	Upload   int64             `json:"upload"`  // bytes
	Timeout  int               `json:"timeout"` // seconds a request may take
	Env      map[string]string `json:"env,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
}

// Nginx is nginx' share of the task.
type Nginx struct {
	Memory int64 `json:"memory"`
	Cache  int64 `json:"cache"` // bytes of page cache, in the task's memory
}

// Endpoint is the database as WordPress sees it.
type Endpoint struct {
	Writer string `json:"writer"` // host:port
	Reader string `json:"reader"`
	Name   string `json:"name"`
	User   string `json:"user"`
}

// Store is one Valkey endpoint. TLS and a token are always used.
type Store struct {
	Address string `json:"address"` // host:port
	Cluster bool   `json:"cluster,omitempty"`
}

// Media is the bucket of uploaded media. Without a bucket they are on the share.
type Media struct {
	Bucket string `json:"bucket,omitempty"`
	Region string `json:"region,omitempty"`
	Prefix string `json:"prefix,omitempty"` // of every key: the path of uploads in URLs, with a slash at the end
	// Endpoint is another store that speaks S3: http[s]://HOST[:PORT]. Empty is AWS' own.
	Endpoint string `json:"endpoint,omitempty"`
}

// CredentialsURL is where ECS gives a task the keys of its role, followed by SecretCredentials.
const CredentialsURL = "http://169.254.170.2"

// Mail is the SMTP server. Address is never empty: without settings it is the catcher's.
type Mail struct {
	Address string `json:"address"`
	From    string `json:"from"`
	User    string `json:"user,omitempty"`
	TLS     string `json:"tls"` // none (the catcher) | starttls | tls
	// Secret is the version of the password: a task reads secrets when it starts, so another
	// password makes another release.
	Secret string `json:"secret,omitempty"`
}

// Install is the install job's input, on its standard input.
type Install struct {
	Title string `json:"title"`
	User  string `json:"user"`
	Email string `json:"email"`
}

// Database is what a database node is told.
type Database struct {
	Node           string `json:"node"` // db-1
	Name           string `json:"name"`
	User           string `json:"user"`
	MaxConnections int    `json:"max_connections"`
	Memory         int64  `json:"memory"` // bytes, the container's limit
}

// Cache is what a Valkey node is told.
type Cache struct {
	Node   string `json:"node"`
	Role   string `json:"role"`   // sessions | objects
	Policy string `json:"policy"` // noeviction | allkeys-lru
	Memory int64  `json:"memory"` // bytes of the container; maxmemory leaves room
	Append bool   `json:"append"` // append-only file
	// Cluster is cluster mode: who takes part, which slots a node has and who replicates whom is told
	// with CLUSTER commands. Clients are sent to a node by its name, which is in its certificate.
	Cluster bool `json:"cluster,omitempty"`
}

// Init is what the job that fills the volumes is told. Each folder is a mounted volume.
type Init struct {
	Master  string   `json:"master"` // folder that holds every secret and the CA's key
	Folders []Folder `json:"folders"`
}

// Folder is a volume: whose it is and which secrets it gets.
type Folder struct {
	Path    string   `json:"path"`
	UID     int      `json:"uid"`
	Mode    uint32   `json:"mode"`
	Secrets []string `json:"secrets,omitempty"` // names of secrets; FileCA, FileCert+FileKey too
	Hosts   []string `json:"hosts,omitempty"`   // names in the certificate, when FileCert is asked for
}
