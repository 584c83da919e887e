package php_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

const agent = "/usr/bin/platen-agent"

// lab is what PHP needs around it, of the images that Platen built: a database and two caches,
// with secrets and certificates that the init job made. All of it carries the lab's name.
type lab struct {
	name   string
	jobs   string // image
	tests  string // this folder
	config task.Config
	// environment are further options of `docker run` for jobs: what a task has besides its config.
	environment []string
}

// images brings a site up and returns the images that its members run: they are what is tested.
// The site stands until the sweep.
func images() (map[string]string, error) {
	dir, err := os.MkdirTemp("", "platen-php-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := site.Open(dir)
	if err := s.WriteConfig("web: {tasks: 1}"); err != nil {
		return nil, err
	}
	if _, err := s.TryUp(); err != nil {
		return nil, err
	}
	refs := map[string]string{}
	var errs []error
	for name, member := range map[string]string{"jobs": "mail", "mariadb": "db-1", "valkey": "objects-1"} {
		ref, err := docker(nil, "inspect", "--format={{.Config.Image}}", s.Project()+"-"+member)
		refs[name] = strings.TrimSpace(ref)
		errs = append(errs, err)
	}
	return refs, errors.Join(errs...)
}

// openLab starts the servers and waits until they answer. The caller closes it, also after an error.
func openLab() (*lab, error) {
	var suffix [4]byte
	rand.Read(suffix[:]) //nolint:errcheck // never fails, says its documentation
	l := &lab{name: "t" + hex.EncodeToString(suffix[:])}
	images, err := images()
	if err != nil {
		return l, err
	}
	tests, err := filepath.Abs(".")
	if err != nil {
		return l, err
	}
	l.jobs, l.tests = images["jobs"], tests
	l.config = task.Config{
		Site: "lab", Env: "local", Release: "r1", URL: "http://localhost:8080", Content: "shared",
		PHP: task.PHP{
			Children: 2, Memory: 512 << 20, Upload: 64 << 20, Timeout: 60,
			Env: map[string]string{
				"WP_POST_REVISIONS": "3", "WP_DEBUG": "true",
				"DISABLE_WP_CRON": "false", "WP_DEBUG_DISPLAY": "true", "WP_DEBUG_LOG": "/usr/share/wordpress/wp-content/debug.log",
				"WP_HOME": "https://elsewhere.example", "WP_ALLOW_REPAIR": "true", "WP_CONTENT_DIR": "/tmp",
			},
		},
		Nginx:    task.Nginx{Memory: 128 << 20, Cache: 16 << 20},
		Database: task.Endpoint{Writer: "db:3306", Reader: "db:3306", Name: "wordpress", User: "wordpress"},
		Sessions: task.Store{Address: "sessions:6379"},
		Objects:  task.Store{Address: "objects:6379"},
		Mail:     task.Mail{Address: "mail:2525", From: "blog@example.com", TLS: "none"},
		Drain:    1,
	}

	web := []string{task.SecretDatabase, task.SecretSessions, task.SecretObjects, task.SecretSalt, task.SecretSiteToken, task.SecretAdmin, task.FileCA}
	server := func(secret string) []string { return []string{secret, task.FileCA, task.FileCert, task.FileKey} }
	init := task.Init{Master: "/init/master", Folders: []task.Folder{
		{Path: "/init/jobs", UID: task.WebUID, Mode: 0o500, Secrets: web},
		{Path: "/init/content", UID: task.WebUID, Mode: 0o750},
		{Path: "/init/db", UID: task.MariaDBUID, Mode: 0o500, Secrets: server(task.SecretDatabase), Hosts: []string{"db"}},
		{Path: "/init/data", UID: task.MariaDBUID, Mode: 0o700},
		{Path: "/init/sessions", UID: task.ValkeyUID, Mode: 0o500, Secrets: server(task.SecretSessions), Hosts: []string{"sessions"}},
		{Path: "/init/objects", UID: task.ValkeyUID, Mode: 0o500, Secrets: server(task.SecretObjects), Hosts: []string{"objects"}},
	}}
	if _, err := docker(nil, "network", "create", "--label", l.label(), l.name); err != nil {
		return l, err
	}
	fill := l.container("init", "--user=0:0", "--cap-add=CHOWN", "--cap-add=DAC_OVERRIDE", "--cap-add=FOWNER", "--rm", env(task.EnvInit, init))
	for _, volume := range append([]task.Folder{{Path: init.Master}}, init.Folders...) {
		name := l.volume(filepath.Base(volume.Path))
		if _, err := docker(nil, "volume", "create", "--label", l.label(), name); err != nil {
			return l, err
		}
		fill = append(fill, "--volume="+name+":"+volume.Path)
	}
	if _, err := docker(nil, append(fill, l.jobs, "init")...); err != nil {
		return l, err
	}

	cache := func(role, policy string) []string {
		return append(l.container(role, "--detach", "--user="+fmt.Sprint(task.ValkeyUID), "--tmpfs=/var/lib/valkey:uid="+fmt.Sprint(task.ValkeyUID),
			env(task.EnvCache, task.Cache{Node: role, Role: role, Policy: policy, Memory: 64 << 20}),
			"--volume="+l.volume(role)+":"+task.Secrets+":ro", images["valkey"]), "valkey")
	}
	for _, run := range [][]string{
		cache("sessions", "noeviction"), cache("objects", "allkeys-lru"),
		append(l.container("db", "--detach", "--user="+fmt.Sprint(task.MariaDBUID),
			env(task.EnvDatabase, task.Database{Node: "db", Name: "wordpress", User: "wordpress", MaxConnections: 50, Memory: 512 << 20}),
			"--volume="+l.volume("db")+":"+task.Secrets+":ro", "--volume="+l.volume("data")+":/var/lib/mysql", images["mariadb"]), "mariadb"),
	} {
		if _, err := docker(nil, run...); err != nil {
			return l, err
		}
	}
	return l, errors.Join(l.wait("sessions", "valkey"), l.wait("objects", "valkey"), l.wait("db", "mariadb"))
}

func (l *lab) label() string             { return "platen.test=" + l.name }
func (l *lab) volume(name string) string { return l.name + "-" + name }

// container is the beginning of `docker run` as restricted as Platen runs its containers.
func (l *lab) container(name string, options ...string) []string {
	return append([]string{
		"run", "--name=" + l.name + "-" + name, "--label=" + l.label(), "--network=" + l.name, "--network-alias=" + name,
		"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp:mode=1777",
	}, options...)
}

// wait returns when the server's own health check says so.
func (l *lab) wait(name, kind string) error {
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, err = docker(nil, "exec", l.name+"-"+name, agent, "health", kind); err == nil {
			return nil
		}
	}
	logs, _ := docker(nil, "logs", "--tail=20", l.name+"-"+name)
	return fmt.Errorf("wait for %s: %w\n%s", name, err, logs)
}

// job runs the jobs image's tool and returns its standard output.
func (l *lab) job(stdin string, args ...string) (string, error) {
	var suffix [4]byte
	rand.Read(suffix[:]) //nolint:errcheck // never fails, says its documentation
	return docker(strings.NewReader(stdin), append(l.jobContainer("job-"+hex.EncodeToString(suffix[:]), "--rm", "--interactive"), args...)...)
}

// jobContainer is the beginning of `docker run` of the jobs image's tool.
func (l *lab) jobContainer(name string, options ...string) []string {
	owner := fmt.Sprintf("uid=%d,gid=%d,mode=0700", task.WebUID, task.WebUID)
	run := append(l.container(name, "--user="+fmt.Sprint(task.WebUID)), options...)
	run = append(run,
		"--tmpfs="+task.Private+":"+owner, "--tmpfs="+task.Shared+":"+owner, env(task.EnvTask, l.config),
		"--volume="+l.volume("jobs")+":"+task.Secrets+":ro", "--volume="+l.volume("content")+":"+task.Content+":nocopy",
		"--volume="+l.tests+":/tests:ro")
	return append(append(run, l.environment...), l.jobs)
}

// close removes all that the lab made, and nothing else.
func (l *lab) close() error {
	var errs []error
	remove := func(list, command []string) {
		found, err := docker(nil, append(list, "--quiet", "--filter=label="+l.label())...)
		if ids := strings.Fields(found); err == nil && len(ids) > 0 {
			_, err = docker(nil, append(command, ids...)...)
		}
		errs = append(errs, err)
	}
	remove([]string{"ps", "--all"}, []string{"rm", "--force", "--volumes"})
	remove([]string{"network", "ls"}, []string{"network", "rm"})
	remove([]string{"volume", "ls"}, []string{"volume", "rm"})
	return errors.Join(errs...)
}

func env(name string, value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return "--env=" + name + "=" + string(text)
}

// docker runs Docker's client. The error ends with what the program wrote to standard error.
func docker(stdin *strings.Reader, args ...string) (string, error) {
	command := exec.Command("docker", args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if stdin != nil {
		command.Stdin = stdin
	}
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("docker %s: %w\n%s", args[0], err, stderr.String())
	}
	return stdout.String(), nil
}

var shared *lab

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		shared, err = openLab()
		code := 1
		if err != nil {
			fmt.Fprintln(os.Stderr, "open the lab:", err)
		} else {
			code = m.Run()
		}
		if err := shared.close(); err != nil {
			fmt.Fprintln(os.Stderr, "close the lab:", err)
			code = 1
		}
		if err := site.Sweep(); err != nil {
			fmt.Fprintln(os.Stderr, "sweep:", err)
			code = 1
		}
		return code
	}())
}
