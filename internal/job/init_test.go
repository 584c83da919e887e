package job

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"platen/internal/agent"
	"platen/internal/task"
)

// volumes is the contract of a small site in a folder of its own, owned by who runs the test.
func volumes(t *testing.T) (task.Init, string) {
	t.Helper()
	root := t.TempDir()
	uid := os.Getuid()
	return task.Init{
		Master: root + "/master",
		Folders: []task.Folder{
			{Path: root + "/web", UID: uid, Mode: 0o700, Secrets: []string{
				task.SecretDatabase, task.SecretSalt, task.SecretMail, task.FileCA,
			}},
			{Path: root + "/db", UID: uid, Mode: 0o700, Secrets: []string{
				task.SecretDatabase, task.FileCA, task.FileCert, task.FileKey,
			}, Hosts: []string{"db", "db-1"}},
			{Path: root + "/data", UID: uid, Mode: 0o755},
		},
	}, root
}

func initialise(t *testing.T, spec task.Init, given agent.Secrets) string {
	t.Helper()
	var out bytes.Buffer
	if err := Init(spec, given, agent.NewLog(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// tree is all files below root with mode and content.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		files[strings.TrimPrefix(path, root)] = info.Mode().String() + " " + read(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestInitMakesSecretsOnce(t *testing.T) {
	spec, root := volumes(t)
	said := initialise(t, spec, nil)
	password := read(t, root+"/web/db_password")
	if len(password) != 64 || password != read(t, root+"/db/db_password") {
		t.Errorf("the roles have passwords of %d characters that differ", len(password))
	}
	if strings.Contains(said, password) {
		t.Error("the log tells a secret")
	}
	if len(read(t, root+"/web/salt")) != 128 {
		t.Error("the salt is short")
	}
	if _, err := os.Stat(root + "/web/mail_password"); !os.IsNotExist(err) {
		t.Errorf("a password that nobody gave: %v", err)
	}
	before := tree(t, root)
	for path, content := range before {
		if !strings.HasPrefix(content, "-r-------- ") {
			t.Errorf("%s: mode %.10s", path, content)
		}
	}
	if said := initialise(t, spec, nil); said != "" {
		t.Errorf("the second time made something: %s", said)
	}
	after := tree(t, root)
	for path, content := range before {
		if after[path] != content {
			t.Errorf("%s changed", path)
		}
	}
	if info, err := os.Stat(root + "/data"); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the folder of data: %v, %v", info, err)
	}
}

func TestInitAfterAKill(t *testing.T) {
	spec, root := volumes(t)
	initialise(t, spec, nil)
	complete := tree(t, root)
	// A role's volume is lost; another lost a file, and was left in the middle of one.
	if err := os.RemoveAll(root + "/db"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(root + "/web/salt"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/web/.platen-123", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	initialise(t, spec, nil)
	mended := tree(t, root)
	if len(mended) != len(complete) {
		t.Errorf("%d files: want %d", len(mended), len(complete))
	}
	for path, content := range complete {
		if mended[path] != content {
			t.Errorf("%s is another", path)
		}
	}
}

func TestInitRefusesAnUnknownSecret(t *testing.T) {
	spec, _ := volumes(t)
	spec.Folders[0].Secrets = []string{"../escape"}
	if err := Init(spec, nil, agent.NewLog(&bytes.Buffer{})); err == nil {
		t.Error("made a secret that nobody knows")
	}
}

// believed is whether a client that trusts the web's authority takes the database's certificate
// for name's, and the key is the certificate's.
func believed(t *testing.T, root, name string) error {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(root+"/db/server.pem", root+"/db/server.key")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(read(t, root+"/web/ca.pem"))) {
		t.Fatal("no authority")
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name})
	return err
}

func TestCertificatesNameTheirHosts(t *testing.T) {
	spec, root := volumes(t)
	initialise(t, spec, nil)
	for _, name := range []string{"db", "db-1"} {
		if err := believed(t, root, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := believed(t, root, "db-2"); err == nil {
		t.Error("db-2 was believed")
	}
	authority := read(t, root+"/web/ca.pem")
	spec.Folders[1].Hosts = append(spec.Folders[1].Hosts, "db-2")
	initialise(t, spec, nil)
	if err := believed(t, root, "db-2"); err != nil {
		t.Errorf("a further node: %v", err)
	}
	if read(t, root+"/web/ca.pem") != authority {
		t.Error("a further node made a new authority")
	}
}
