// Package stock runs the WordPress that Platen is measured against: the same core, theme, PHP and
// MariaDB as a site's images hold, configured as Debian's packages configure them, without
// drop-ins, must-use plugins, object cache and TLS.
package stock

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

//go:embed debian/* wp-config.php
var files embed.FS

// Content fills a site; `php` reads it from standard input. Its arguments: the site's address and,
// where it must install, the administrator's password.
//
//go:embed content.php
var Content string

// Password is the stock site's administrator's, whose name is editor.
const Password = "stock-password"

// Site is a stock site beside one of Platen's, with that one's address and content.
type Site struct {
	Address            string // host:port of its nginx, from here
	PHP, Nginx, DB     string // containers
	prefix, dir        string
	wordpress, network string
}

// Start makes a stock site of the images of a site that runs. It goes away with that site.
func Start(t testing.TB, of *site.Site) *Site {
	t.Helper()
	prefix := of.Project() + "-stock"
	s := &Site{prefix: prefix, PHP: prefix + "-php", Nginx: prefix + "-nginx", DB: prefix + "-db", network: prefix, dir: t.TempDir()}
	address, err := url.Parse(of.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.write(address.Port()); err != nil {
		t.Fatal(err)
	}
	php := of.Container(t, "web-1-php")
	s.wordpress = php.Image
	jobs, mariadb := of.Container(t, "mail").Image, of.Container(t, "db-1")
	content := ""
	for _, mount := range php.Inspect.Mounts {
		if mount.Destination == task.Content {
			content = mount.Name
		}
	}

	docker(t, "", "network", "create", s.network)
	// Theme and translations of the site, without Platen's locators; folders with their owners.
	docker(t, folders, "run", "--rm", "--interactive", "--user=0:0", "--entrypoint=/usr/bin/php8.4",
		"--volume="+content+":/from:ro", s.volume("content", "/to"), s.volume("core", "/core"), s.volume("data", "/data"), s.volume("run", "/socket"), jobs)

	var sql strings.Builder
	sql.WriteString("SET @auth_root_socket='mysql';\nCREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\n")
	for _, name := range []string{"mariadb_system_tables.sql", "mariadb_performance_tables.sql", "mariadb_system_tables_data.sql"} {
		to := filepath.Join(s.dir, name)
		docker(t, "", "cp", mariadb.ID+":/usr/share/mariadb/"+name, to)
		text, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		sql.Write(append(text, '\n'))
	}
	database := []string{"--user=" + fmt.Sprint(task.MariaDBUID), "--tmpfs=/tmp:mode=1777", "--entrypoint=/usr/sbin/mariadbd", s.volume("data", "/var/lib/mysql")}
	docker(t, sql.String(), append(append([]string{"run", "--rm", "--interactive"}, database...), mariadb.Image, "--no-defaults", "--bootstrap",
		"--datadir=/var/lib/mysql/data", "--lc-messages-dir=/usr/share/mariadb", "--skip-networking", "--wsrep-on=0", "--silent-startup")...)
	docker(t, "", append(append([]string{"run", "--detach", "--name=" + s.DB, "--network=" + s.network, "--network-alias=db",
		s.file("mariadb.cnf", "/etc/mysql/stock.cnf"), s.file("stock.sql", "/etc/mysql/stock.sql")}, database...),
		mariadb.Image, "--defaults-file=/etc/mysql/stock.cnf")...)

	site.Eventually(t, time.Minute, "the stock site is installed", func() error {
		return s.install(of.URL(), jobs)
	})

	docker(t, "", "run", "--detach", "--name="+s.PHP, "--network="+s.network, "--memory="+fmt.Sprint(php.Inspect.HostConfig.Memory),
		"--tmpfs=/tmp:mode=1777", "--tmpfs=/var/log", "--entrypoint=/usr/sbin/php-fpm8.4",
		"--user=0:0", s.volume("run", "/run/php"), s.volume("content", task.Content), s.file("wp-config.php", task.Core+"/wp-config.php"),
		s.file("php.ini", "/etc/php/8.4/fpm/php.ini"), s.file("php-fpm.conf", "/etc/php/8.4/fpm/php-fpm.conf"),
		s.file("modules.ini", "/etc/php/8.4/fpm/conf.d/modules.ini"),
		s.wordpress, "--nodaemonize", "--fpm-config=/etc/php/8.4/fpm/php-fpm.conf", "--php-ini=/etc/php/8.4/fpm/php.ini")
	docker(t, "", "run", "--detach", "--name="+s.Nginx, "--network=container:"+s.PHP, "--user=0:0",
		"--tmpfs=/tmp:mode=1777", "--tmpfs=/var/log/nginx", "--tmpfs=/var/lib/nginx", "--tmpfs=/run/nginx", "--entrypoint=/usr/sbin/nginx",
		s.volume("run", "/run/php"), s.volume("core", task.Core), s.volume("content", task.Content),
		s.file("nginx.conf", "/etc/nginx/nginx.conf"), s.file("fastcgi.conf", "/etc/nginx/fastcgi.conf"),
		of.Container(t, "web-1-nginx").Image, "-g", "daemon off;")
	s.Address = net.JoinHostPort(strings.TrimSpace(docker(t, "", "inspect",
		"--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", s.PHP)), address.Port())
	return s
}

// folders copies what is not Platen's, and hands over the volumes to those who write them.
const folders = `<?php
// nginx looks whether a script is there before it asks PHP for it.
foreach (['/from' => '/to', '/usr/share/wordpress' => '/core'] as $from => $to) {
	foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($from, FilesystemIterator::SKIP_DOTS), RecursiveIteratorIterator::SELF_FIRST) as $file) {
		$name = substr((string) $file, strlen($from));
		if ('/from' === $from && '/index.php' !== $name && preg_match('~^/(\.platen|mu-plugins|uploads)(/|$)|^/[a-z-]+\.php$~', $name)) {
			continue;
		}
		$file->isDir() ? mkdir($to . $name, 0755) : copy((string) $file, $to . $name);
		chown($to . $name, 33);
	}
}
mkdir('/data/data/mysql', 0700, true);
foreach (['/to' => 33, '/data' => 201, '/data/data' => 201, '/data/data/mysql' => 201, '/socket' => 33] as $folder => $owner) {
	chown($folder, $owner);
	chmod($folder, 0755);
}
`

func (s *Site) install(address, jobs string) error {
	run := exec.Command("docker", "run", "--rm", "--interactive", "--network="+s.network, "--entrypoint=/usr/bin/php8.4", "--tmpfs=/tmp:mode=1777",
		s.volume("content", task.Content), s.file("wp-config.php", task.Core+"/wp-config.php"), jobs, "--", address, Password)
	run.Stdin = strings.NewReader(Content)
	out, err := run.CombinedOutput()
	if err == nil && !bytes.Contains(out, []byte("ready 30\n")) {
		err = fmt.Errorf("it said nothing of being ready")
	}
	if err != nil {
		return fmt.Errorf("install and fill the stock site: %w\n%s", err, out[max(0, len(out)-2000):])
	}
	return nil
}

func (s *Site) write(port string) error {
	for _, name := range []string{"php.ini", "php-fpm.conf", "modules.ini", "nginx.conf", "fastcgi.conf", "mariadb.cnf", "stock.sql"} {
		content, err := files.ReadFile("debian/" + name)
		if err != nil {
			return err
		}
		content = bytes.ReplaceAll(content, []byte("listen PORT"), []byte("listen "+port))
		if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o644); err != nil {
			return err
		}
	}
	content, err := files.ReadFile("wp-config.php")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "wp-config.php"), content, 0o644)
}

func (s *Site) volume(name, at string) string { return "--volume=" + s.prefix + "-" + name + ":" + at }

func (s *Site) file(name, at string) string {
	return "--volume=" + filepath.Join(s.dir, name) + ":" + at + ":ro"
}

// docker runs Docker's client and returns its standard output.
func docker(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	command := exec.Command("docker", args...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = io.Reader(strings.NewReader(stdin)), &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String()
}
