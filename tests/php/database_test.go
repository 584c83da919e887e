package php_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"platen/internal/task"
)

func TestSql(t *testing.T) { script(t, "/tests/sql.php") }

func TestReplicaKinds(t *testing.T) { script(t, "/tests/replica.php") }

// pair is a writer and a replica that follows it, of either make.
type pair struct {
	lab    *lab
	prefix string // of its containers' names, and of their names in the network
	config task.Config
	corpus string // folder for statements of WordPress; usually none
}

// mysqlImage is what scripts/need-mysql made of Debian's package.
func mysqlImage(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("../../out/mysql/image")
	if err != nil {
		t.Fatalf("%v: run scripts/need-mysql", err)
	}
	return strings.TrimSpace(string(name))
}

// newPair starts both servers, with the certificates of the lab's own authority; the script waits
// for them, and makes one follow the other.
func newPair(t *testing.T, kind, image string) *pair {
	t.Helper()
	p := &pair{lab: shared, prefix: kind, config: shared.config}
	// Proxies of the script, so that an endpoint can move and die.
	p.config.Database.Writer, p.config.Database.Reader = "writer:3306", "reader:3307"

	// One certificate for all names; the init job takes it from the lab's authority.
	certificates := p.lab.volume(kind + "-tls")
	run := func(args ...string) string {
		t.Helper()
		out, err := docker(nil, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("volume", "create", "--label", p.lab.label(), certificates)
	init := task.Init{Master: "/init/master", Folders: []task.Folder{{
		Path: "/init/tls", UID: task.MariaDBUID, Mode: 0o500, Secrets: []string{task.FileCA, task.FileCert, task.FileKey},
		Hosts: []string{"writer", "reader", "primary", "replica"},
	}}}
	run(p.lab.container(kind+"-init", "--user=0:0", "--cap-add=CHOWN", "--cap-add=DAC_OVERRIDE", "--cap-add=FOWNER", "--rm", env(task.EnvInit, init),
		"--volume="+p.lab.volume("master")+":"+init.Master, "--volume="+certificates+":/init/tls", p.lab.jobs, "init")...)
	password, err := p.lab.job("", "php", "-r", `echo ( require "/run/php/config.php" )["db"]["password"];`)
	if err != nil {
		t.Fatal(err)
	}

	monitor := "REPLICATION CLIENT"
	if kind == "mariadb" {
		monitor = "REPLICA MONITOR"
	}
	start := filepath.Join(t.TempDir(), "start.sql")
	if err := os.WriteFile(start, []byte(strings.Join([]string{
		"SET SESSION sql_log_bin=0;",
		"CREATE DATABASE IF NOT EXISTS wordpress;",
		"CREATE USER IF NOT EXISTS wordpress@'%' IDENTIFIED BY '" + password + "';",
		"ALTER USER wordpress@'%' IDENTIFIED BY '" + password + "';",
		"GRANT ALL ON wordpress.* TO wordpress@'%';",
		"GRANT " + monitor + " ON *.* TO wordpress@'%';",
		"CREATE USER IF NOT EXISTS admin@'%' IDENTIFIED BY '" + password + "';",
		"GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;",
		"CREATE USER IF NOT EXISTS follower@'%' IDENTIFIED BY '" + password[:32] + "';", // MySQL takes no longer one for this
		"GRANT REPLICATION SLAVE ON *.* TO follower@'%';",
		"",
	}, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, role := range []string{"primary", "replica"} {
		name := p.lab.name + "-" + kind + "-" + role
		args := []string{
			"create", "--name=" + name, "--label=" + p.lab.label(), "--network=" + p.lab.name, "--network-alias=" + role,
			"--volume=" + certificates + ":/tls:ro",
		}
		options := []string{
			"--no-defaults", "--datadir=/var/lib/mysql/data", "--socket=/tmp/server.sock", "--pid-file=/tmp/server.pid",
			"--init-file=/start.sql", fmt.Sprintf("--server-id=%d", i+1), "--log-bin=binlog", "--bind-address=0.0.0.0",
			"--ssl-ca=/tls/" + task.FileCA, "--ssl-cert=/tls/" + task.FileCert, "--ssl-key=/tls/" + task.FileKey,
			"--require-secure-transport=ON", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0",
			"--skip-name-resolve", "--performance-schema=OFF",
		}
		if kind == "mysql" {
			options = append(options, "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--user=root", "--mysqlx=OFF", "--secure-file-priv=NULL",
				"--replica-checkpoint-period=1") // or it says for 300 ms that it is a second behind
		} else {
			// The agent makes the system tables, as it does on a site.
			data := p.lab.volume(kind + "-" + role)
			run("volume", "create", "--label", p.lab.label(), data)
			run(p.lab.container(kind+"-data", "--user=0:0", "--cap-add=CHOWN", "--cap-add=DAC_OVERRIDE", "--cap-add=FOWNER", "--rm",
				env(task.EnvInit, task.Init{Master: "/init/master", Folders: []task.Folder{{Path: "/init/data", UID: task.MariaDBUID, Mode: 0o700}}}),
				"--volume="+p.lab.volume("master")+":/init/master", "--volume="+data+":/init/data", p.lab.jobs, "init")...)
			run(append(p.lab.container(kind+"-"+role, "--detach", "--user="+fmt.Sprint(task.MariaDBUID),
				env(task.EnvDatabase, task.Database{Node: role, Name: "wordpress", User: "wordpress", MaxConnections: 20, Memory: 128 << 20}),
				"--volume="+p.lab.volume("db")+":"+task.Secrets+":ro", "--volume="+data+":/var/lib/mysql", image), "mariadb")...)
			if err := p.lab.wait(kind+"-"+role, "mariadb"); err != nil {
				t.Fatal(err)
			}
			run("rm", "--force", name)
			args = append(args, "--volume="+data+":/var/lib/mysql", "--entrypoint=/usr/sbin/mariadbd", "--user="+fmt.Sprint(task.MariaDBUID))
			options = append(options, "--lc-messages-dir=/usr/share/mariadb", "--character-set-collations=utf8mb4=utf8mb4_unicode_520_ci")
		}
		run(append(append(args, image), options...)...)
		run("cp", start, name+":/start.sql")
		run("start", name)
		t.Cleanup(func() {
			if t.Failed() {
				logs, err := exec.Command("docker", "logs", "--tail=30", name).CombinedOutput()
				t.Logf("%s: %s %v", name, logs, err)
			}
			if _, err := docker(nil, "rm", "--force", "--volumes", name); err != nil {
				t.Error(err)
			}
		})
	}
	return p
}

// script runs a test script beside the pair and fails with its lines.
func (p *pair) script(t *testing.T, args ...string) {
	t.Helper()
	var suffix [4]byte
	rand.Read(suffix[:]) //nolint:errcheck // never fails, says its documentation
	owner := fmt.Sprintf("uid=%d,gid=%d,mode=0700", task.WebUID, task.WebUID)
	run := p.lab.container(p.prefix+"-script-"+hex.EncodeToString(suffix[:]), "--rm", "--user="+fmt.Sprint(task.WebUID),
		"--add-host=writer:127.0.0.1", "--add-host=reader:127.0.0.1",
		"--tmpfs="+task.Private+":"+owner, "--tmpfs="+task.Shared+":"+owner, env(task.EnvTask, p.config),
		"--tmpfs="+task.Content+":"+owner, "--volume="+p.lab.volume("jobs")+":"+task.Secrets+":ro",
		"--volume="+p.lab.tests+":/tests:ro")
	if p.corpus != "" {
		run = append(run, "--volume="+p.corpus+":/corpus")
	}
	run = append(run, p.lab.jobs, "php", "-d", "apc.enable_cli=1")
	out, err := docker(nil, append(run, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.HasPrefix(out, "ok ") {
		t.Fatalf("no expectations in the output: %q", out)
	}
}

func TestSplitDatabaseOnMySQL(t *testing.T) {
	p := newPair(t, "mysql", mysqlImage(t))
	if p.corpus = os.Getenv("PLATEN_CORPUS"); p.corpus != "" { // a folder: make testdata/statements.sql anew in it
		p.script(t, "/tests/split-web.php", "mysql", "corpus")
		return
	}
	p.script(t, "/tests/split-web.php", "mysql")
	p.script(t, "/tests/split-database.php", "mysql")
}

func TestSplitDatabaseOnMariaDB(t *testing.T) {
	image, err := docker(nil, "inspect", "--format={{.Config.Image}}", shared.name+"-db")
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t, "mariadb", strings.TrimSpace(image))
	p.script(t, "/tests/split-web.php", "mariadb")
	p.script(t, "/tests/split-database.php", "mariadb")
}
