package site

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// MailPassword says where the SMTP password comes from, since it is never in the file.
const MailPassword = "it is the secret mail_password: set PLATEN_MAIL_PASSWORD when you run platen up"

// grammar is all of platen.yaml. It is built once: rules are never changed.
var grammar = sync.OnceValue(func() *rule {
	everywhere := []field{
		{key: "title", rule: words("The site's title, at its first installation. Default: the name.", 100)},
		{key: "admin", rule: adminRule()},
		{key: "wordpress", rule: wordpressRule()},
		{key: "image", rule: imageRule()},
		{key: "images", rule: imagesRule()},
		{key: "web", rule: webRule()},
		{key: "database", rule: databaseRule()},
		{key: "sessions", rule: cacheRule("The store of PHP sessions: nothing in it is ever evicted. It has a fixed number of replicas, since PHP cannot lock sessions in a cluster that grows.", "128M")},
		{key: "objects", rule: cacheRule("The object cache: it may be lost.", "128M")},
		{key: "files", rule: &rule{doc: "Where uploaded media live.", fields: []field{
			{key: "media", rule: oneOf("shared: on the file system that all web tasks share (default). s3: in a bucket behind the CDN; needs target aws and cdn.", "shared", "s3")},
		}}},
		{key: "backups", rule: backupsRule()},
		{key: "mail", rule: mailRule()},
	}
	environment := &rule{
		doc:    "One environment: everything above that differs here, and what belongs to its target.",
		fields: append(environmentFields(), everywhere...),
		others: map[string]misplaced{},
	}
	for _, key := range []string{"platen", "name", "environments"} {
		environment.others[key] = misplaced{"is the same in every environment", "move it to the top of the file"}
	}
	root := &rule{
		doc: "One WordPress site and the environments it runs in.",
		fields: append([]field{
			{key: "platen", rule: version(), required: true},
			{key: "name", rule: nameRule(), required: true},
		}, everywhere...),
		others: map[string]misplaced{},
	}
	for _, f := range environmentFields() {
		root.others[f.key] = misplaced{"belongs to an environment", "move it below environments.NAME"}
	}
	root.fields = append(root.fields, field{key: "environments", rule: &rule{
		doc:  "The environments by name. Maps merge over the rest of the file; scalars and lists replace. Default: one, local.",
		most: 20,
		keys: &keyRule{pattern: `^[a-z][a-z0-9]{0,15}$`, want: "an environment's name: a to z and 0 to 9, at most 16, no hyphen"},
		item: environment,
	}})
	return root
})

func version() *rule {
	r := whole("The version of this file's format: 1.", 1, 1)
	r.scalar.schema = map[string]any{"const": 1}
	r.scalar.parse = func(s string) (any, string, string) {
		if s != "1" {
			return nil, s + " is not a format that this platen reads: want 1", ""
		}
		return 1, "", ""
	}
	return r
}

func nameRule() *rule {
	return shaped("The site's name; it prefixes every resource. Small letters, digits and hyphens, at most 32 characters.",
		`^[a-z]([a-z0-9-]*[a-z0-9])?$`, "a DNS label such as my-blog: small letters, digits and hyphens", 32)
}

func adminRule() *rule {
	return &rule{doc: "The first administrator. The password is generated: platen credentials prints it.", fields: []field{
		{key: "user", rule: shaped("The user's name. Default: admin.", `^[A-Za-z0-9][A-Za-z0-9 _.@-]*$`, "a WordPress user's name", 60)},
		{key: "email", rule: email("The user's address. Default, local only: admin@example.com.")},
	}}
}

func wordpressRule() *rule {
	source := shaped("debian (default): Debian's package. A version such as 6.8.3: the official archive, pinned in platen.lock. A directory such as ./site.",
		`^(debian|[0-9]{1,2}\.[0-9]{1,2}(\.[0-9]{1,3})?|\./.+|\.\./.*|/.*)$`, "debian, a version such as 6.8.3, or a directory such as ./site", 200)
	source.then(func(s string) (string, string) {
		if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "/") {
			return folderPath(s)
		}
		return "", ""
	})
	// 7.1 is a decimal to YAML. The text decides, as it stands in the file: 7.10 is not 7.1.
	source.scalar.kinds = []kind{text, decimal, integer}
	source.scalar.schema["pattern"] = `^(debian|[0-9]{1,2}\.[0-9]{1,2}(\.[0-9]{1,3})?|\./.+)$`
	source.scalar.schema = map[string]any{"anyOf": []any{
		source.scalar.schema, map[string]any{"type": "number", "minimum": 0, "exclusiveMaximum": 100},
	}}
	return &rule{doc: "Which WordPress runs, and who owns plugins and themes.", fields: []field{
		{key: "source", rule: source},
		{key: "content", rule: oneOf("shared (default): plugins and themes belong to wp-admin. image: they are built in and read-only.", "shared", "image")},
		{key: "plugins", rule: addonList("Plugins. content shared: put there once; content image: built in, beside those that come with WordPress.")},
		{key: "themes", rule: addonList("Themes. content shared: put there once; content image: built in, beside those that come with WordPress.")},
	}}
}

// mirrorPattern is an address as internal/debian takes it.
const mirrorPattern = `(https?://[^\s/?#@]+(/[^\s?#]*)?|file:///[^\s?#]*)`

func imageRule() *rule {
	return &rule{doc: "What the images hold beyond the defaults.", fields: []field{
		{key: "packages", rule: &rule{doc: "Further Debian packages, pinned in platen.lock.", most: 100,
			item: shaped("A Debian package: php8.4-soap.", `^[a-z0-9][a-z0-9+.-]+$`, "a Debian package's name", 100)}},
		{key: "files", rule: imageFiles()},
		{key: "mirror", rule: shaped("A Debian archive's address (http, https or file), or two with a space between them: main, and security where it is not beside main. Default: what this machine's own apt uses.",
			`^`+mirrorPattern+`( +`+mirrorPattern+`)?$`, "the address of a Debian archive (or two, of main and security), http, https or file and without a user", 600)},
	}}
}

// ImageNames are the images of a site.
var ImageNames = []string{"nginx", "wordpress", "jobs", "mariadb", "valkey", "haproxy"}

func imagesRule() *rule {
	r := &rule{doc: "Images that were made and pushed before, which run instead of being built: each by its digest."}
	for _, name := range ImageNames {
		doc := "Instead of building " + name + ": REGISTRY/REPOSITORY@sha256:…, as platen image push prints it."
		switch name {
		case "nginx", "jobs":
			doc += " It must hold the same WordPress as wordpress."
		case "wordpress":
			doc += " jobs is built upon it unless it is named too."
		}
		r.fields = append(r.fields, field{key: name, rule: imageReference(doc)})
	}
	return r
}

func webRule() *rule {
	php := &rule{doc: "The php-fpm container of a web task.", fields: []field{
		{key: "cpu", rule: cpu("Cores, as a share. Default: 0.5.")},
		{key: "memory", rule: size("The limit; it also decides how many php processes serve. Default: 384M.", 128*mib, 256*gib)},
		{key: "upload", rule: size("The largest upload. Default: 32M.", mib, 8*gib)},
		{key: "env", rule: constants()},
		{key: "settings", rule: settings()},
	}}
	nginx := &rule{doc: "The nginx container of a web task.", fields: []field{
		{key: "cpu", rule: cpu("Cores, as a share. Default: 0.1.")},
		{key: "memory", rule: size("The limit; a third of it holds the page cache. Default: 96M.", 32*mib, 64*gib)},
	}}
	return &rule{doc: "The web tier. One task is nginx and php-fpm.", fields: []field{
		{key: "tasks", rule: span("How many tasks; it starts at the lower bound, and Docker stays there. Default: 2.", 1, 200)},
		{key: "scale", rule: &rule{doc: "What the number of tasks follows on AWS.", fields: []field{
			{key: "cpu", rule: whole("Percent of the tasks' CPU.", 10, 95)},
			{key: "requests", rule: whole("Requests a minute and task.", 1, 1_000_000)},
		}}},
		{key: "php", rule: php},
		{key: "nginx", rule: nginx},
		{key: "schedule", rule: &rule{doc: "Other bounds at certain times (UTC), on AWS.", most: 20, item: &rule{
			doc: "From this time on, these bounds.", fields: []field{
				{key: "cron", required: true, rule: cronRule()},
				{key: "tasks", required: true, rule: span("The bounds from then on.", 1, 200)},
			}}}},
	}}
}

func cronRule() *rule {
	return shaped("minute hour day month weekday, UTC: 0 7 * * MON-FRI", `^\S+( +\S+){4}$`, "five fields: minute hour day month weekday", 100).then(cron)
}

func cpu(doc string) *rule { return number(doc, 0.01, 192) }

// ours are the constants that Platen's wp-config.php defines itself.
var ours = []string{
	"ABSPATH", "WPINC", "WP_HOME", "WP_SITEURL", "WP_CONTENT_DIR", "WP_CONTENT_URL", "WPMU_PLUGIN_DIR", "WPMU_PLUGIN_URL",
	"AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT", "SECURE_AUTH_SALT", "LOGGED_IN_SALT", "NONCE_SALT",
	"DISABLE_WP_CRON", "FS_METHOD", "WP_AUTO_UPDATE_CORE", "MYSQL_CLIENT_FLAGS", "WP_INSTALLING",
}

func constants() *rule {
	return &rule{
		doc:  "Constants of wp-config: {WP_MEMORY_LIMIT: 256M}.",
		most: 100,
		keys: &keyRule{
			pattern: `^[A-Z][A-Z0-9_]{0,63}$`, want: "a constant's name such as WP_MEMORY_LIMIT",
			reserved: func(key string) string {
				if slices.Contains(ours, key) || strings.HasPrefix(key, "DB_") || strings.HasPrefix(key, "PLATEN_") {
					return "take it out: platen.yaml's other keys decide it"
				}
				return ""
			},
		},
		item: anyScalar("The constant's value.", 1000),
	}
}

// owned maps php.ini directives to what decides them instead.
var owned = map[string]string{
	"upload_max_filesize": "use web.php.upload", "post_max_size": "use web.php.upload",
	"session.save_handler": "PHP sessions live in the sessions store", "session.save_path": "PHP sessions live in the sessions store",
	"opcache.validate_timestamps": "wordpress.content decides it", "opcache.memory_consumption": "web.php.memory is divided by it",
	"extension": "use image.packages", "zend_extension": "use image.packages",
}

func settings() *rule {
	return &rule{
		doc:  "Directives of php.ini: {max_input_vars: 3000}.",
		most: 100,
		keys: &keyRule{
			pattern: `^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$`, want: "a php.ini directive such as max_input_vars",
			reserved: func(key string) string { return owned[key] },
		},
		item: anyScalar("The directive's value.", 1000),
	}
}

func databaseRule() *rule {
	return &rule{doc: "A writer and its readers: Galera nodes here, Aurora on AWS.", fields: []field{
		{key: "readers", rule: span("How many readers. Default: 2 with size ha, 1 on AWS.", 0, 15)},
		{key: "class", rule: shaped("The class on AWS; db.serverless sizes itself. Default: db.t4g.medium.", `^db\.([a-z][a-z0-9-]*[0-9][a-z0-9-]*\.(small|medium|large|[0-9]{0,2}xlarge)|serverless)$`,
			"a database class such as db.r6g.large, or db.serverless", 40)},
		{key: "scale", rule: &rule{doc: "What the number of readers follows on AWS.", fields: []field{
			{key: "cpu", rule: whole("Percent of the readers' CPU.", 10, 95)},
			{key: "connections", rule: whole("Connections to a reader.", 1, 16_000)},
		}}},
	}}
}

func cacheRule(doc, memory string) *rule {
	return &rule{doc: doc, fields: []field{
		{key: "replicas", rule: span("How many replicas. Default: 2 with size ha for sessions, else 1.", 0, 5)},
		{key: "class", rule: shaped("The class on AWS. Default: cache.t4g.micro.", `^cache\.[a-z][a-z0-9-]*[0-9][a-z0-9-]*\.(micro|small|medium|large|[0-9]{0,2}xlarge)$`,
			"a cache class such as cache.r7g.large", 40)},
		{key: "engine", rule: oneOf("valkey (default), or redis, on AWS only. A store that stands goes from redis to valkey, not back.", "valkey", "redis")},
		{key: "memory", rule: size("The limit of a local node. Default: "+memory+".", 32*mib, 64*gib)},
	}}
}

func backupsRule() *rule {
	return &rule{doc: "When backups are made and how many are kept.", fields: []field{
		{key: "every", rule: every("30m, 1h, 1d: from 15m to 7d. Default: 1d.", 15*time.Minute, 7*24*time.Hour)},
		{key: "keep", rule: &rule{doc: "How many of each kind are kept. Default: 7 daily, 4 weekly.", fields: []field{
			{key: "hourly", rule: whole("Hourly backups.", 0, 720)},
			{key: "daily", rule: whole("Daily backups.", 0, 366)},
			{key: "weekly", rule: whole("Weekly backups.", 0, 520)},
			{key: "monthly", rule: whole("Monthly backups.", 0, 120)},
		}}},
		{key: "copy_to", rule: region("A second region that gets a copy, on AWS. It cannot be another later, but be taken out: then what is there stays until its time is up.")},
	}}
}

func mailRule() *rule {
	server := words("host:port of the SMTP server; 465 speaks TLS, every other port STARTTLS. Without it mail is caught locally: platen mail list.", 260).then(smtp)
	server.scalar.schema["pattern"] = `^\S+:[0-9]{1,5}$`
	never := misplaced{"a password never stands in this file", MailPassword}
	return &rule{doc: "The way out for mail.", fields: []field{
		{key: "smtp", rule: server},
		{key: "from", rule: email("Who sends. Default: wordpress@ and the site's domain.")},
		{key: "user", rule: words("Who logs in at the server; the password is the secret mail_password.", 254)},
	}, others: map[string]misplaced{"password": never, "pass": never, "secret": never}}
}

func region(doc string) *rule {
	return shaped(doc, `^[a-z]{2}(-(gov|iso[a-z]?))?-(north|south|east|west|central|northeast|northwest|southeast|southwest)-[1-9]$`,
		"an AWS region such as eu-west-1", 25)
}

// logDays are what CloudWatch Logs takes as a retention in days.
var logDays = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// environmentFields are the keys that stand in an environment alone: localKeys and awsKeys
// belong to one target.
func environmentFields() []field {
	return []field{
		{key: "target", rule: oneOf("Where it runs. local: this machine's Docker Engine. aws: an AWS account. The environment local is local by default.", "local", "aws")},
		{key: "port", rule: whole("local: the port on 127.0.0.1; 0 is any free one. Default: 8080, or the next free one.", 0, 65535)},
		{key: "size", rule: oneOf("local: ha (default), or small: one of each.", "ha", "small")},
		{key: "account", rule: shaped("aws: the account's twelve digits; checked before anything is touched.", `^[0-9]{12}$`, "an account's twelve digits", 12)},
		{key: "region", rule: region("aws: the region.")},
		{key: "domain", rule: shaped("aws: the site's host name; its certificate and DNS records are made.", `^`+hostPattern+`$`, "a host name such as www.example.com", 253)},
		{key: "cdn", rule: truth("aws: CloudFront in front. Default: false.")},
		{key: "tags", rule: tagsRule()},
		{key: "state", rule: &rule{doc: "aws: Terraform's state.", fields: []field{
			{key: "lock", rule: oneOf("How it is locked. Default: s3.", "s3", "dynamodb")},
		}}},
		{key: "network", rule: &rule{doc: "aws: the network that is made.", fields: []field{
			{key: "cidr", rule: words("A private IPv4 network, /16 to /24; nine subnets are made in it. Default: 10.20.0.0/16.", 20).then(cidr)},
			{key: "nat", rule: oneOf("The way out: one gateway (default), or one in each zone.", "single", "per-zone")},
		}}},
		{key: "hosts", rule: hostsRule()},
		{key: "logs", rule: &rule{doc: "aws: the logs.", fields: []field{
			{key: "days", rule: oneOfNumbers("How long they are kept. Default: 14.", logDays...)},
		}}},
		{key: "alarms", rule: &rule{doc: "aws: who hears of alarms.", most: 20, item: alarmRule()}},
	}
}

var (
	localKeys = []string{"port", "size"}
	awsKeys   = []string{"account", "region", "domain", "cdn", "tags", "state", "network", "hosts", "logs", "alarms"}
)

func tagsRule() *rule {
	return &rule{
		doc: "aws: tags of every resource.", most: 40, // AWS allows 50; Platen adds its own
		keys: &keyRule{pattern: `^[A-Za-z0-9 _.:/=+@-]{1,128}$`, want: "a tag's key", reserved: func(key string) string {
			if strings.HasPrefix(strings.ToLower(key), "aws:") || strings.HasPrefix(strings.ToLower(key), "platen:") {
				return "take another prefix"
			}
			return ""
		}},
		item: anyScalar("The tag's value.", 256),
	}
}

func hostsRule() *rule {
	return &rule{doc: "aws: the EC2 group behind the capacity provider.", fields: []field{
		{key: "type", rule: shaped("The instance type. Default: t4g.medium.", `^[a-z][a-z0-9-]*[0-9][a-z0-9-]*\.(nano|micro|small|medium|large|[0-9]{0,3}xlarge|metal(-[0-9]{2}xl)?)$`,
			"an instance type such as m7g.large", 40)},
		{key: "count", rule: span("How many instances. Default: 1..3.", 1, 100)},
		{key: "fill", rule: whole("The capacity provider's target, percent; 100 keeps no spare. Default: 100.", 1, 100)},
		{key: "step", rule: span("Instances added at a time. Default: 1..2.", 1, 50)},
	}}
}

func alarmRule() *rule {
	r := words("mailto:somebody@example.com or https://…", 500)
	r.scalar.schema = map[string]any{"type": "string", "pattern": `^(mailto:\S+@\S+|https://\S+)$`, "maxLength": 500}
	return r.then(func(s string) (string, string) {
		address, isMail := strings.CutPrefix(s, "mailto:")
		if isMail && compile(emailPattern).MatchString(address) {
			return "", ""
		}
		if !isMail && compile(`^https://`+hostPattern+`(:[0-9]{1,5})?(/\S*)?$`).MatchString(s) {
			return "", ""
		}
		return clip(s) + " is not mailto:ADDRESS or an https address", ""
	})
}
