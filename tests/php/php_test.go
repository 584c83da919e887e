// Package php_test runs the PHP that is in the images on the PHP that is in the images, against
// the database and the caches that are in the images.
package php_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"

	"platen/rootfs"
)

// script runs a test script and fails with its lines. One that says nothing has tested nothing.
func script(t *testing.T, args ...string) {
	t.Helper()
	shared.script(t, args...)
}

func (l *lab) script(t *testing.T, args ...string) {
	t.Helper()
	out, err := l.job("", append([]string{"php"}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.HasPrefix(out, "ok ") {
		t.Fatalf("no expectations in the output: %q", out)
	}
}

func TestEveryFileParses(t *testing.T) {
	var files []string
	for _, image := range []string{"wordpress", "jobs"} {
		err := fs.WalkDir(rootfs.FS, image, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && path.Ext(name) == ".php" {
				files = append(files, strings.TrimPrefix(name, image))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 15 {
		t.Fatalf("found only %v", files)
	}
	if out, err := shared.job("", append([]string{"php", "-l"}, files...)...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestObjectCache(t *testing.T) { script(t, "/tests/object-cache.php") }

func TestObjectCacheOutage(t *testing.T) {
	script(t, "-d", "apc.enable_cli=1", "/tests/object-cache-outage.php")
}

func TestContentVersion(t *testing.T) {
	script(t, "-d", "apc.enable_cli=1", "-d", "opcache.enable_cli=1", "-d", "opcache.validate_timestamps=0",
		"-d", "opcache.file_update_protection=0", "/tests/content-version.php")
}

func TestConfig(t *testing.T) { script(t, "/tests/config.php") }

func TestLoginLimit(t *testing.T) { script(t, "/tests/login-limit.php") }

func TestSessions(t *testing.T) { script(t, "/tests/sessions.php") }

func TestLease(t *testing.T) { script(t, "/tests/lease.php") }

func TestPageCacheDecisions(t *testing.T) { script(t, "/tests/page-cache.php") }

func TestChanges(t *testing.T) { script(t, "/tests/changes.php") }

type installed struct {
	Installed bool   `json:"installed"`
	Upgraded  bool   `json:"upgraded"`
	DBVersion int    `json:"db_version"`
	Version   string `json:"version"`
}

func install() (installed, error) { return installBy("install") }

func installBy(command ...string) (installed, error) {
	var report installed
	out, err := shared.job(`{"title":"The \"Lab\" & Co","user":"editor","email":"ops@example.com"}`, command...)
	if err == nil {
		err = json.Unmarshal([]byte(out), &report)
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return report, err
}

func mustInstall(t *testing.T) installed {
	t.Helper()
	report, err := install()
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func sql(t *testing.T, statements string) string {
	t.Helper()
	out, err := shared.job(statements, "sql", "--database=wordpress", "--skip-column-names", "--batch")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// emptySite takes away what other tests have installed, and what caches know of it.
func emptySite(t *testing.T) {
	t.Helper()
	sql(t, "DROP DATABASE wordpress; CREATE DATABASE wordpress CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;")
	out, err := shared.job("", "php", "-r", `foreach (["Config", "Freshness", "ValkeyConnection", "ObjectCache"] as $class) { require_once "/usr/share/platen/lib/$class.php"; }
		(new Platen\ObjectCache(new Platen\ValkeyConnection(Platen\Config::values()["objects"]), ""))->flush();`)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// One lab, one database: the steps build on each other.
func TestInstall(t *testing.T) {
	emptySite(t)
	// Two at once on an empty database: one installs, the other waits for it.
	var reports [2]installed
	var errs [2]error
	var wg sync.WaitGroup
	for i := range reports {
		wg.Go(func() { reports[i], errs[i] = installBy("php", "/usr/share/platen/jobs/install.php") })
	}
	wg.Wait()
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	if reports[0].Installed == reports[1].Installed {
		t.Errorf("of two at once, one installs: %+v", reports)
	}
	current := reports[0].DBVersion
	if current == 0 || reports[0].Version == "" {
		t.Fatalf("no versions: %+v", reports[0])
	}

	want := "The &quot;Lab&quot; &amp; Co|http://localhost:8080|http://localhost:8080|/%postname%/|UTC|1|1|3"
	if got := sql(t, `SELECT CONCAT_WS('|', MAX(IF(option_name='blogname',option_value,NULL)), MAX(IF(option_name='home',option_value,NULL)),
		MAX(IF(option_name='siteurl',option_value,NULL)), MAX(IF(option_name='permalink_structure',option_value,NULL)),
		MAX(IF(option_name='timezone_string',option_value,NULL)), MAX(IF(option_name='blog_public',option_value,NULL)),
		(SELECT COUNT(*) FROM wp_users), (SELECT COUNT(*) FROM wp_posts)) FROM wp_options;`); got != want {
		t.Errorf("installed\n got %s\nwant %s", got, want)
	}
	if got := mustInstall(t); got.Installed || got.Upgraded {
		t.Errorf("again, with nothing to do: %+v", got)
	}

	// An older database is upgraded, a newer one is left alone.
	sql(t, "UPDATE wp_options SET option_value = 50000 WHERE option_name = 'db_version';")
	if got := mustInstall(t); !got.Upgraded || got.DBVersion != current {
		t.Errorf("older database: %+v", got)
	}
	sql(t, "UPDATE wp_options SET option_value = 99999 WHERE option_name = 'db_version';")
	if got := mustInstall(t); got.Upgraded || got.DBVersion != 99999 {
		t.Errorf("newer database: %+v", got)
	}

	// An installation that was killed in the middle is begun anew; one that is in use never is.
	sql(t, "INSERT INTO wp_platen_lease (name) VALUES ('installing'); DROP TABLE wp_users, wp_comments;")
	if got := mustInstall(t); !got.Installed || got.DBVersion != current {
		t.Errorf("after an interrupted installation: %+v", got)
	}
	if got := sql(t, "SELECT COUNT(*) FROM wp_users; SELECT COUNT(*) FROM wp_platen_lease WHERE name = 'installing';"); got != "1\n0" {
		t.Errorf("users, marks of an unfinished installation: %q", got)
	}
	sql(t, "INSERT INTO wp_platen_lease (name) VALUES ('installing'); INSERT INTO wp_posts (post_title, post_content, post_excerpt, to_ping, pinged, post_content_filtered) SELECT 'mine', '', '', '', '', '' FROM wp_posts;")
	if got, err := install(); err == nil || !strings.Contains(err.Error(), "Nothing was changed") {
		t.Errorf("with posts of somebody: %+v, %v", got, err)
	}
	if got := sql(t, "SELECT COUNT(*) FROM wp_posts; DELETE FROM wp_platen_lease WHERE name = 'installing';"); got != "6" {
		t.Errorf("posts left: %s", got)
	}
}

func TestInstallRefusesWrongInput(t *testing.T) {
	out, err := shared.job(`{"title":"x"}`, "install")
	if err == nil || !strings.Contains(err.Error(), `"user" is missing`) {
		t.Errorf("%v\n%s", err, out)
	}
}
