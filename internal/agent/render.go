package agent

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"platen/internal/task"
)

// Where rendered files and sockets are.
const (
	nginxConf     = task.Shared + "/nginx.conf"
	draining      = task.Shared + "/draining"
	webSocket     = task.Shared + "/php.sock"
	healthSocket  = task.Shared + "/health.sock"
	cronSocket    = task.Private + "/cron.sock"
	changesSocket = task.Private + "/changes.sock"
	cacheFolder   = task.Shared + "/cache"
	statusSocket  = task.Private + "/status.sock"
	fpmConf       = task.Private + "/php-fpm.conf"
	configPHP     = task.Private + "/config.php"
	caBundle      = task.Private + "/ca.pem"
	databaseCA    = task.Private + "/database-ca.pem"
	warming       = task.Shared + "/warming"

	// complaintsFolder is where lib/RequestLog.php has PHP log to.
	complaintsFolder = task.Private + "/errors"

	// PHPIni is the php.ini of php-fpm and of the jobs' command line.
	PHPIni = task.Private + "/php.ini"
)

// CronTimeout is how long one run of WordPress' due events may take, in seconds: longer than a
// page's, since imports and mailings are made of them.
const CronTimeout = 900

// Host is what rendering needs to know of the container that it happens in.
type Host struct {
	Templates  fs.FS    // nginx.conf.tmpl, php-fpm.conf.tmpl, php.ini.tmpl
	Extensions []string // PHP's modules in loading order; empty when a scanned folder loads them
	Roots      []byte   // the system's certificate authorities, PEM
	CA         []byte   // our own certificate authority, PEM; nil where there is none
	RDS        []byte   // the authorities of RDS and Aurora, PEM
	Scripts    int      // PHP files that there are; 0 = not counted
}

// databaseRoots are the authorities that the database's certificate is from: ours where there is
// one, otherwise AWS', of which Debian's list has none.
func (h Host) databaseRoots() []byte {
	if len(h.CA) > 0 {
		return h.CA
	}
	return h.RDS
}

// RenderTask renders all that a web task runs from: nginx.conf for its neighbour, php-fpm's
// configuration, php.ini, WordPress' configuration and the bundle of certificate authorities.
func RenderTask(config task.Config, secrets Secrets, host Host) ([]File, error) {
	v, err := newView(config, secrets, host)
	if err != nil {
		return nil, err
	}
	v.Pages = true
	var files []File
	for _, f := range []File{{Path: nginxConf, Mode: 0o600}, {Path: fpmConf, Mode: 0o600}} {
		if f.Data, err = v.execute(host.Templates, path.Base(f.Path)+".tmpl"); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	shared, err := v.php(config, secrets, host)
	return append(files, shared...), err
}

// RenderJob renders what PHP on the command line needs of the same: php.ini, config.php, ca.pem.
func RenderJob(config task.Config, secrets Secrets, host Host) ([]File, error) {
	v, err := newView(config, secrets, host)
	if err != nil {
		return nil, err
	}
	return v.php(config, secrets, host)
}

// view is what the templates see.
type view struct {
	task.Config
	Origin        origin
	Limit         int64 // bytes of a request's body
	Bodies        task.Bodies
	XMLRPC        bool  // xmlrpc.php is open
	Pages         bool  // PHP answers visitors, who do not wait for long
	ReadTimeout   int   // seconds that nginx waits for php: longer than php's own limit
	MemoryLimit   int64 // bytes of one PHP request
	CronTimeout   int
	Extensions    []string
	SessionPath   string
	Settings      []string // further lines of php.ini
	CABundle      string
	WebSocket     string
	HealthSocket  string
	CronSocket    string
	StatusSocket  string
	ChangesSocket string
	CacheFolder   string
	CacheSize     int64  // bytes
	SessionCookie string // a regular expression
	OriginPattern string // a regular expression
	Draining      string
	HealthURL     string
	StatusURL     string
	SiteURL       string
	CorePath      string
	SiteScript    string
	Port          int
	Scripts       int // how many compiled files OPcache has room to list
	Warming       string
}

type origin struct{ Scheme, Host, Port string }

// Address is the origin's HOST[:PORT], as a browser names it.
func (o origin) Address() string {
	host := o.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.Port != "" {
		host += ":" + o.Port
	}
	return host
}

// PortNumber is the origin's port, also where the address leaves it out.
func (o origin) PortNumber() string {
	switch {
	case o.Port != "":
		return o.Port
	case o.Scheme == "https":
		return "443"
	}
	return "80"
}

// String is the origin's URL, without a slash at the end.
func (o origin) String() string { return o.Scheme + "://" + o.Address() }

const mebibyte = 1 << 20

// What names a bucket, and keys in it.
var (
	bucketName  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	mediaPrefix = regexp.MustCompile(`^([A-Za-z0-9_-]+/)+$`)
)

// hostName is what may stand in a configuration file unquoted: net/url lets more through.
var hostName = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

// cookieName is a name that a cookie can have and that stands for itself in an expression.
var cookieName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func newView(config task.Config, secrets Secrets, host Host) (*view, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	v := &view{
		Config: config, Extensions: host.Extensions, CronTimeout: CronTimeout, CABundle: caBundle,
		WebSocket: webSocket, HealthSocket: healthSocket, CronSocket: cronSocket, StatusSocket: statusSocket, Draining: draining,
		Warming: warming, Scripts: acceleratedFiles(host.Scripts),
		ChangesSocket: changesSocket, CacheFolder: cacheFolder, CacheSize: max(config.Nginx.Cache, mebibyte), SessionCookie: "PHPSESSID",
		HealthURL: task.HealthURL, StatusURL: task.StatusURL, SiteURL: task.SiteURL, CorePath: task.Core, Port: task.Port,
		SiteScript: task.Platen + "/agent/site.php",
	}
	var err error
	if v.Origin, err = originOf(config.URL); err != nil {
		errs = append(errs, err)
	} else {
		v.OriginPattern = regexp.QuoteMeta(v.Origin.String())
	}
	if config.Content != "shared" && config.Content != "image" {
		fail("content %q: want shared or image", config.Content)
	}
	for name, n := range map[string]int64{
		"php.children": int64(config.PHP.Children), "php.memory": config.PHP.Memory,
		"php.upload": config.PHP.Upload, "php.timeout": int64(config.PHP.Timeout),
	} {
		if n <= 0 {
			fail("%s is %d: want more than 0", name, n)
		}
	}
	if m := config.Media; m.Bucket != "" {
		if !bucketName.MatchString(m.Bucket) || m.Region == "" || !mediaPrefix.MatchString(m.Prefix) {
			fail("media: bucket %q, region %q, prefix %q: want a bucket's name, its region, and a prefix that ends with a slash", m.Bucket, m.Region, m.Prefix)
		}
		if at, err := url.Parse(m.Endpoint); m.Endpoint != "" && (err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "") {
			fail("media.endpoint %q: want http[s]://HOST[:PORT], or nothing for AWS", m.Endpoint)
		}
	}
	for _, cidr := range config.Trusted {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			fail("trusted: %w", err)
		}
	}
	v.Limit, v.Bodies = config.PHP.Limit(), config.PHP.Bodies()
	v.XMLRPC = config.PHP.Env["PLATEN_XMLRPC"] == "true"
	v.ReadTimeout = config.PHP.Timeout + 5
	// Half of the container at most, so that one greedy page cannot end its neighbours.
	v.MemoryLimit = min(256*mebibyte, config.PHP.Memory/2)
	if name := config.PHP.Settings["session.name"]; cookieName.MatchString(name) {
		v.SessionCookie = name
	}
	if v.Settings, err = iniSettings(config.PHP.Settings); err != nil {
		fail("php.settings: %w", err)
	}
	if v.SessionPath, err = sessionPath(config.Sessions, secrets); err != nil {
		fail("sessions: %w", err)
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, fmt.Errorf("$%s: %w", task.EnvTask, errors.Join(errs...))
	}
	return v, nil
}

// originOf reads a site's address.
func originOf(address string) (origin, error) {
	home, err := url.Parse(address)
	switch {
	case err != nil:
		return origin{}, fmt.Errorf("url: %w", err)
	case home.Scheme != "http" && home.Scheme != "https", !hostName.MatchString(home.Hostname()):
		return origin{}, fmt.Errorf("url %q: want http://HOST[:PORT] or https://HOST", address)
	}
	return origin{Scheme: home.Scheme, Host: home.Hostname(), Port: home.Port()}, nil
}

func (v *view) execute(templates fs.FS, name string) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(templates, name)
	if err != nil {
		return nil, fmt.Errorf("read template %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// php renders the files that every PHP process of ours needs.
func (v *view) php(config task.Config, secrets Secrets, host Host) ([]File, error) {
	ini, err := v.execute(host.Templates, "php.ini.tmpl")
	if err != nil {
		return nil, err
	}
	values, err := wordpressConfig(config, secrets)
	if err != nil {
		return nil, err
	}
	php, err := phpFile(values)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", configPHP, err)
	}
	return []File{
		{Path: PHPIni, Mode: 0o400, Data: ini}, // holds the sessions' token
		{Path: configPHP, Mode: 0o400, Data: php},
		{Path: caBundle, Mode: 0o444, Data: bundle(host.Roots, host.databaseRoots())},
		// Of its own, since OpenSSL reads all of the file for every connection: each page makes some.
		{Path: databaseCA, Mode: 0o444, Data: bundle(host.databaseRoots())},
	}, nil
}

func bundle(parts ...[]byte) []byte {
	var b []byte
	for _, part := range parts {
		if part = bytes.TrimSpace(part); len(part) > 0 {
			b = append(append(b, part...), '\n')
		}
	}
	return b
}

// wordpressConfig is what wp-config.php and our own PHP read. Every key is always there.
func wordpressConfig(config task.Config, secrets Secrets) ([]pair, error) {
	var errs []error
	need := func(name string) string {
		value, err := secrets.Need(name)
		errs = append(errs, err)
		return value
	}
	store := func(s task.Store, token string) []pair {
		host, port, err := splitAddress(s.Address)
		errs = append(errs, err)
		return []pair{{"host", host}, {"port", port}, {"token", token}, {"cluster", s.Cluster}, {"ca", caBundle}}
	}
	mailHost, mailPort, err := splitAddress(config.Mail.Address)
	errs = append(errs, err)

	constants := map[string]any{}
	for name, text := range config.PHP.Env {
		if !constantName.MatchString(name) {
			errs = append(errs, fmt.Errorf("php.env: %q is no name of a PHP constant", name))
		}
		constants[name] = phpConstant(text)
	}
	var keys []pair
	salt := need(task.SecretSalt)
	for _, name := range keyNames {
		keys = append(keys, pair{name, deriveKey(salt, name)})
	}
	values := []pair{
		{"site", config.Site}, {"env", config.Env}, {"release", config.Release},
		{"home", strings.TrimSuffix(config.URL, "/")}, {"content", config.Content},
		{"db", []pair{
			{"writer", config.Database.Writer}, {"reader", config.Database.Reader},
			{"name", config.Database.Name}, {"user", config.Database.User},
			{"password", need(task.SecretDatabase)}, {"ca", databaseCA},
		}},
		{"sessions", store(config.Sessions, need(task.SecretSessions))},
		{"objects", store(config.Objects, need(task.SecretObjects))},
		{"keys", keys},
		{"mail", []pair{
			{"host", mailHost}, {"port", mailPort}, {"from", config.Mail.From},
			{"user", config.Mail.User}, {"password", secrets[task.SecretMail]}, {"tls", config.Mail.TLS},
		}},
		{"media", []pair{
			{"bucket", config.Media.Bucket}, {"region", config.Media.Region},
			{"prefix", config.Media.Prefix}, {"endpoint", config.Media.Endpoint},
			{"credentials", credentials(secrets)},
			{"key_id", secrets[task.SecretKeyID]}, {"key", secrets[task.SecretKey]},
		}},
		{"constants", constants},
		{"site_token", secrets[task.SecretSiteToken]},
		{"admin_password", secrets[task.SecretAdmin]},
		{"trusted", config.Trusted},
		{"upload", config.PHP.Upload}, {"timeout", config.PHP.Timeout}, {"memory", config.PHP.Memory},
	}
	return values, errors.Join(errs...)
}

// credentials is where PHP asks for the keys of the task's role; empty where the task has none. The
// keys themselves are in no file: they end after some hours, and PHP asks for the next.
func credentials(secrets Secrets) string {
	if secrets[task.SecretCredentials] == "" {
		return ""
	}
	return task.CredentialsURL + secrets[task.SecretCredentials]
}

var constantName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// keyNames are the eight secrets of a wp-config.php.
var keyNames = []string{
	"AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY",
	"AUTH_SALT", "SECURE_AUTH_SALT", "LOGGED_IN_SALT", "NONCE_SALT",
}

// deriveKey makes one of the eight keys from the one secret. Changing it logs everybody out.
func deriveKey(salt, name string) string {
	mac := hmac.New(sha512.New, []byte(salt))
	mac.Write([]byte("platen wp-config " + name))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: want HOST:PORT: %w", address, err)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("address %q: want HOST:PORT", address)
	}
	return host, int(number), nil
}

// sessionPath is phpredis' session.save_path. Its time-outs are short: a page that cannot reach
// its session must say so while the visitor still waits.
func sessionPath(store task.Store, secrets Secrets) (string, error) {
	if store.Cluster {
		return "", errors.New("cluster mode is not offered: give the address of the primary")
	}
	host, port, err := splitAddress(store.Address)
	if err != nil {
		return "", err
	}
	token, err := secrets.Need(task.SecretSessions)
	if err != nil {
		return "", err
	}
	query := url.Values{
		"auth":    {token},
		"timeout": {"2"}, "read_timeout": {"3"},
		"prefix": {"session:"},
	}
	return "tls://" + net.JoinHostPort(host, strconv.Itoa(port)) + "?" + query.Encode(), nil
}

var directive = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// iniSettings are the site's own lines of php.ini; they come last and so win.
func iniSettings(settings map[string]string) ([]string, error) {
	var lines []string
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !directive.MatchString(name) {
			errs = append(errs, fmt.Errorf("%q is no name of a directive", name))
			continue
		}
		value, err := iniValue(settings[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		lines = append(lines, name+" = "+value)
	}
	return lines, errors.Join(errs...)
}
