package agent

import (
	"net"
	"strings"
	"testing"

	"platen/internal/task"
)

func TestRenderMariaDB(t *testing.T) {
	node := task.Database{Node: "db-1", Name: "wp`x", User: "wp", MaxConnections: 60, Memory: 512 << 20}
	files, err := renderMariaDB(node, Secrets{task.SecretDatabase: "a'b\\c\nDROP"})
	if err != nil {
		t.Fatal(err)
	}
	cnf, sql := string(files[0].Data), string(files[1].Data)
	for _, want := range []string{"require-secure-transport=ON", "max-connections=60", "innodb-buffer-pool-size=268435456", "init-file=" + files[1].Path} {
		if !strings.Contains(cnf, want+"\n") {
			t.Errorf("my.cnf lacks %s", want)
		}
	}
	if strings.Contains(cnf, "a'b") || files[0].Mode != 0o600 || files[1].Mode != 0o600 {
		t.Error("the password is where others read it")
	}
	if !strings.Contains(sql, `ALTER USER 'wp'@'%' IDENTIFIED BY 'a\'b\\c\nDROP';`) || !strings.Contains(sql, "ON `wp``x`.*") {
		t.Errorf("quoted wrongly:\n%s", sql)
	}
	for line := range strings.Lines(sql) {
		if !strings.HasSuffix(line, ";\n") {
			t.Errorf("%q is no whole statement: the server reads by lines", line)
		}
	}
	if _, err := renderMariaDB(task.Database{}, Secrets{task.SecretDatabase: "x"}); err == nil {
		t.Error("an empty contract was rendered")
	}
}

func TestRenderValkey(t *testing.T) {
	node := task.Cache{Node: "sessions-1", Role: "sessions", Policy: "noeviction", Memory: 64 << 20, Append: true}
	file, err := renderValkey(node, Secrets{task.SecretSessions: "a\" \n"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`requirepass "a\x22\x20\x0a"`, "maxmemory 50331648", "maxmemory-policy noeviction", "appendonly yes", "port 0", "tls-port 6379"} {
		if !strings.Contains(string(file.Data), want+"\n") {
			t.Errorf("valkey.conf lacks %s", want)
		}
	}
	if file.Mode != 0o600 {
		t.Errorf("mode %o: others read the token", file.Mode)
	}
	if strings.Contains(string(file.Data), "cluster") {
		t.Error("a node outside of a cluster is told of one")
	}
	node.Cluster = true
	if file, err = renderValkey(node, Secrets{task.SecretSessions: "x"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cluster-enabled yes", `cluster-announce-hostname "sessions-1"`, "tls-cluster yes", "tls-replication yes", `primaryauth "x"`} {
		if !strings.Contains(string(file.Data), want+"\n") {
			t.Errorf("valkey.conf of a cluster lacks %s", want)
		}
	}
	if _, err := renderValkey(task.Cache{Role: "objects", Policy: "allkeys-lru", Memory: 1 << 20}, Secrets{task.SecretSessions: "x"}); err == nil {
		t.Error("objects took the sessions' token")
	}
}

func TestPingValkey(t *testing.T) {
	for reply, well := range map[string]bool{
		"+OK\r\n+PONG\r\n": true,
		"-WRONGPASS\r\n":   false,
		"+OK\r\n-LOADING Valkey is loading the dataset in memory\r\n": false,
		"": false,
	} {
		ours, theirs := net.Pipe()
		go func() {
			request := make([]byte, 256)
			_, _ = theirs.Read(request)
			_, _ = theirs.Write([]byte(reply))
			_ = theirs.Close()
		}()
		if err := pingValkey(ours, "token"); (err == nil) != well {
			t.Errorf("%q: %v", reply, err)
		}
		_ = ours.Close()
	}
}
