package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"platen/internal/task"
)

const (
	valkeyServer = "/usr/bin/valkey-server"
	valkeyData   = "/var/lib/valkey"
	valkeyRun    = "/tmp/valkey" // memory
)

// Valkey prepares a cache node and becomes valkey-server; it returns only to say what failed.
func Valkey(log *Log) error {
	node, err := FromEnv[task.Cache](task.EnvCache)
	if err != nil {
		return err
	}
	secrets, err := ReadSecrets(task.Secrets, cacheSecret(node))
	if err != nil {
		return err
	}
	log.Hide(secrets)
	config, err := renderValkey(node, secrets)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(valkeyRun, 0o700); err != nil {
		return fmt.Errorf("make the folder of valkey's configuration: %w", err)
	}
	if err := WriteFile(config.Path, config.Data, config.Mode); err != nil {
		return err
	}
	log.Info("becoming valkey-server", Field{"node", node.Node})
	return become(valkeyServer, config.Path)
}

func cacheSecret(node task.Cache) string {
	if node.Role == "objects" {
		return task.SecretObjects
	}
	return task.SecretSessions
}

func renderValkey(node task.Cache, secrets Secrets) (File, error) {
	token, err := secrets.Need(cacheSecret(node))
	if err != nil {
		return File{}, err
	}
	if node.Memory <= 0 {
		return File{}, fmt.Errorf("$%s: memory is %d: want more than 0", task.EnvCache, node.Memory)
	}
	if node.Policy != "noeviction" && node.Policy != "allkeys-lru" {
		return File{}, fmt.Errorf("$%s: policy %q: want noeviction or allkeys-lru", task.EnvCache, node.Policy)
	}
	appendOnly := "no"
	if node.Append {
		appendOnly = "yes"
	}
	secret := func(name string) string { return filepath.Join(task.Secrets, name) }
	lines := []string{
		"# Made by the agent at every start. Holds the token.",
		"bind * -::*",
		"port 0",
		"tls-port 6379",
		"tls-ca-cert-file " + secret(task.FileCA),
		"tls-cert-file " + secret(task.FileCert),
		"tls-key-file " + secret(task.FileKey),
		"tls-auth-clients no",
		"tls-protocols \"TLSv1.2 TLSv1.3\"",
		"requirepass " + valkeyText(token),
		"protected-mode yes",
		"daemonize no",
		"logfile \"\"",
		"loglevel notice",
		"dir " + valkeyData,
		// The rest is for clients' buffers and for the copy-on-write of a rewrite.
		fmt.Sprintf("maxmemory %d", node.Memory/4*3),
		"maxmemory-policy " + node.Policy,
		"appendonly " + appendOnly,
		"appendfsync everysec",
		"save \"\"",
		"tcp-backlog 511",
		"tcp-keepalive 60",
		"timeout 0",
		"lazyfree-lazy-eviction yes",
		"lazyfree-lazy-expire yes",
		"lazyfree-lazy-user-flush yes",
	}
	if node.Cluster {
		lines = append(lines,
			"cluster-enabled yes",
			"cluster-config-file nodes.conf", // in dir; a node that lost it is a new one
			"cluster-node-timeout 5000",
			"cluster-allow-replica-migration no",
			"cluster-announce-hostname "+valkeyText(node.Node),
			"cluster-preferred-endpoint-type hostname",
			"tls-cluster yes",
			"tls-replication yes",
			"primaryauth "+valkeyText(token),
		)
	}
	lines = append(lines, "")
	return File{Path: valkeyRun + "/valkey.conf", Mode: 0o600, Data: []byte(strings.Join(lines, "\n"))}, nil
}

// valkeyText quotes text as valkey.conf reads it: every byte that is not plain goes in hex.
func valkeyText(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.+/=", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	b.WriteByte('"')
	return b.String()
}
