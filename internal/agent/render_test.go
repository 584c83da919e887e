package agent

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"platen/internal/task"
)

var update = flag.Bool("update", false, "write the golden files")

const templates = "../../rootfs/wordpress/usr/share/platen/templates"

func exampleConfig() task.Config {
	return task.Config{
		Site: "blog", Env: "local", Release: "0123456789ab", URL: "http://localhost:8080", Content: "shared",
		PHP: task.PHP{
			Children: 6, Memory: 768 << 20, Upload: 64 << 20, Timeout: 60,
			Env:      map[string]string{"WP_MEMORY_LIMIT": "256M", "WP_POST_REVISIONS": "5", "WP_DEBUG": "false"},
			Settings: map[string]string{"max_input_vars": "9000", "session.name": "a;b \"${HOME}\""},
		},
		Nginx:    task.Nginx{Memory: 128 << 20, Cache: 40 << 20},
		Database: task.Endpoint{Writer: "db:3306", Reader: "db:3307", Name: "wordpress", User: "wordpress"},
		Sessions: task.Store{Address: "sessions:6379"},
		Objects:  task.Store{Address: "objects:6380"},
		Media:    task.Media{Bucket: "blog-local-media", Region: "eu-west-1", Prefix: "wp-content/uploads/"},
		Mail:     task.Mail{Address: "mail:2525", From: "blog@example.com", TLS: "none"},
		Drain:    5, Trusted: []string{"172.16.0.0/12", "fd00::/8"},
	}
}

func exampleSecrets() Secrets {
	return Secrets{
		task.SecretDatabase: `it's \ "secret"`, task.SecretSessions: "a&b c", task.SecretObjects: "o",
		task.SecretSalt: "salt", task.SecretSiteToken: "token", task.SecretCredentials: "/v2/credentials/0123",
	}
}

func exampleHost() Host {
	return Host{
		Templates: os.DirFS(templates), Extensions: []string{"opcache", "mysqlnd", "mysqli"},
		Roots: []byte("-- roots --\n"), CA: []byte("-- ours --"),
	}
}

func TestRenderTask(t *testing.T) {
	files, err := RenderTask(exampleConfig(), exampleSecrets(), exampleHost())
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 6 {
		t.Errorf("%d files: want 6", len(files))
	}
	for _, f := range files {
		golden := filepath.Join("testdata", filepath.Base(f.Path))
		if *update {
			if err := os.WriteFile(golden, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Data) != string(want) {
			t.Errorf("%s differs from %s; look at the difference, then go test -update\n%s", f.Path, golden, f.Data)
		}
		if f.Mode&0o077 != 0 && f.Path != caBundle && f.Path != databaseCA {
			t.Errorf("%s has mode %o: others may read it", f.Path, f.Mode)
		}
	}
}

// httpsOn is what the map of a rendered nginx.conf says, by nginx' rules: an equal string, else the
// first expression that fits, else the default.
func httpsOn(t *testing.T, conf, value string) string {
	t.Helper()
	_, block, found := strings.Cut(conf, `map "$from_balancer $http_cloudfront_forwarded_proto $http_x_forwarded_proto" $https_on {`)
	block, _, closed := strings.Cut(block, "}")
	if !found || !closed {
		t.Fatal("nginx.conf does not say when a request is https")
	}
	first := ""
	for _, m := range regexp.MustCompile(`(?m)^\s*"(~?)([^"]*)" "(\w*)";`).FindAllStringSubmatch(block, -1) {
		switch {
		case m[1] == "" && m[2] == value:
			return m[3]
		case m[1] == "~" && first == "" && regexp.MustCompile(m[2]).MatchString(value):
			first = m[3]
		}
	}
	return first
}

// The visitor's protocol is CloudFront's word, else the balancer's, and nobody else's.
func TestRenderTheVisitorsProtocol(t *testing.T) {
	files, err := RenderTask(exampleConfig(), exampleSecrets(), exampleHost())
	if err != nil {
		t.Fatal(err)
	}
	conf := string(files[0].Data)
	for _, c := range []struct{ trusted, cloudFront, balancer, want string }{
		{"1", "", "https", "on"},
		{"1", "", "http", ""},
		{"1", "", "", ""},
		{"1", "https", "https", "on"},
		{"1", "https", "http", "on"}, // CloudFront speaks HTTP to the balancer
		{"1", "http", "https", ""},   // and HTTPS, whatever the visitor speaks
		{"1", "https", "", "on"},
		{"1", "x", "https", ""},
		{"0", "https", "https", ""},
		{"0", "", "https", ""},
	} {
		if got := httpsOn(t, conf, c.trusted+" "+c.cloudFront+" "+c.balancer); got != c.want {
			t.Errorf("trusted %s, CloudFront %q, balancer %q: https is %q, want %q", c.trusted, c.cloudFront, c.balancer, got, c.want)
		}
	}
}

func TestRenderImageContentNeverLooksAtFiles(t *testing.T) {
	config := exampleConfig()
	config.Content = "image"
	files, err := RenderJob(config, exampleSecrets(), exampleHost())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(files[0].Data), "opcache.validate_timestamps = 0") {
		t.Errorf("%s stats files of an image", files[0].Path)
	}
}

func TestRenderRefusesWhatCouldBreakOut(t *testing.T) {
	for name, change := range map[string]func(*task.Config, Secrets){
		"host":           func(c *task.Config, _ Secrets) { c.URL = "http://a;b" },
		"quoted host":    func(c *task.Config, _ Secrets) { c.URL = `http://a"b` },
		"no scheme":      func(c *task.Config, _ Secrets) { c.URL = "localhost:8080" },
		"bucket":         func(c *task.Config, _ Secrets) { c.Media.Bucket = "a/../b" },
		"no region":      func(c *task.Config, _ Secrets) { c.Media.Region = "" },
		"prefix":         func(c *task.Config, _ Secrets) { c.Media.Prefix = "wp-content/uploads" },
		"endpoint":       func(c *task.Config, _ Secrets) { c.Media.Endpoint = "s3:9000" },
		"trusted":        func(c *task.Config, _ Secrets) { c.Trusted = []string{"10.0.0.0/8; }"} },
		"setting":        func(c *task.Config, _ Secrets) { c.PHP.Settings = map[string]string{"a": "x\nextension=evil"} },
		"quoted setting": func(c *task.Config, _ Secrets) { c.PHP.Settings = map[string]string{"a": "it's"} },
		"setting's name": func(c *task.Config, _ Secrets) { c.PHP.Settings = map[string]string{"a\n[b]": "1"} },
		"constant":       func(c *task.Config, _ Secrets) { c.PHP.Env = map[string]string{"a'b": "1"} },
		"content":        func(c *task.Config, _ Secrets) { c.Content = "other" },
		"children":       func(c *task.Config, _ Secrets) { c.PHP.Children = 0 },
		"sessions":       func(c *task.Config, _ Secrets) { c.Sessions.Address = "sessions" },
		"cluster":        func(c *task.Config, _ Secrets) { c.Sessions.Cluster = true },
		"no salt":        func(_ *task.Config, s Secrets) { delete(s, task.SecretSalt) },
		"no token":       func(_ *task.Config, s Secrets) { delete(s, task.SecretSessions) },
	} {
		config, secrets := exampleConfig(), exampleSecrets()
		change(&config, secrets)
		if _, err := RenderTask(config, secrets, exampleHost()); err == nil {
			t.Errorf("%s: rendered", name)
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range keyNames {
		key := deriveKey("salt", name)
		if len(key) < 64 || seen[key] {
			t.Errorf("%s: %q is short or another's", name, key)
		}
		seen[key] = true
	}
	if seen[deriveKey("other", "AUTH_KEY")] {
		t.Error("another salt gave the same key")
	}
}

func TestSecretsComeFromFilesThenTheEnvironment(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "first"), []byte(" of a file \n"), 0o400); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FIRST", "inherited")
	t.Setenv("SECOND", "inherited")
	secrets, err := ReadSecrets(folder, "first", "second", "third")
	if err != nil {
		t.Fatal(err)
	}
	if secrets["first"] != " of a file " || secrets["second"] != "inherited" {
		t.Errorf("read %q and %q", secrets["first"], secrets["second"])
	}
	for _, name := range []string{"FIRST", "SECOND"} {
		if _, set := os.LookupEnv(name); set {
			t.Errorf("$%s is left for child processes", name)
		}
	}
	if _, err := secrets.Need("third"); err == nil || !strings.Contains(err.Error(), "$THIRD") {
		t.Errorf("a missing secret: %v", err)
	}
}

func TestExtensionsInLoadingOrder(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"xmlreader", "redis", "mysqli", "igbinary", "dom", "opcache", "mysqlnd", "apcu"} {
		if err := os.WriteFile(filepath.Join(folder, name+".so"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := extensions(filepath.Join(folder, "*.so"), filepath.Join(folder, "*.ini"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "opcache mysqlnd dom igbinary apcu mysqli redis xmlreader"; strings.Join(got, " ") != want {
		t.Errorf("order %v: want %s", got, want)
	}
	if err := os.WriteFile(filepath.Join(folder, "modules.ini"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := extensions(filepath.Join(folder, "*.so"), filepath.Join(folder, "*.ini")); err != nil || got != nil {
		t.Errorf("a scanned folder loads them: %v, %v", got, err)
	}
}

// Where there is no authority of our own, the database is AWS'.
func TestRenderDatabaseAuthorities(t *testing.T) {
	host := exampleHost()
	host.RDS = []byte("-- rds --")
	authorities := func() (database, all string) {
		files, err := RenderJob(exampleConfig(), exampleSecrets(), host)
		if err != nil {
			t.Fatal(err)
		}
		return string(files[len(files)-1].Data), string(files[len(files)-2].Data)
	}
	if database, all := authorities(); database != "-- ours --\n" || all != "-- roots --\n-- ours --\n" {
		t.Errorf("with our own: %q and %q", database, all)
	}
	host.CA = nil
	if database, all := authorities(); database != "-- rds --\n" || all != "-- roots --\n-- rds --\n" {
		t.Errorf("without: %q and %q", database, all)
	}
}

// What a task trusts for the database: authorities only, that sign themselves, in date, each once.
func TestRDSRoots(t *testing.T) {
	rest, err := os.ReadFile("../../rootfs/wordpress/usr/share/platen/rds-roots.pem")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	regions := map[string]bool{}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		name := root.Subject.CommonName
		if !root.IsCA || !root.BasicConstraintsValid || root.CheckSignatureFrom(root) != nil {
			t.Errorf("%s is not a certificate authority that signs itself", name)
		}
		if root.NotAfter.Before(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s ends at %s", name, root.NotAfter)
		}
		if seen[string(block.Bytes)] {
			t.Errorf("%s is there twice", name)
		}
		seen[string(block.Bytes)] = true
		if fields := strings.Fields(name); len(fields) > 2 {
			regions[fields[2]] = true
		}
	}
	if len(seen) != 81 || len(regions) != 27 || !regions["eu-west-1"] || !regions["us-east-1"] {
		t.Errorf("%d authorities of %d regions: %v", len(seen), len(regions), regions)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		t.Errorf("what is no certificate stands at the end: %.80q", rest)
	}
}
