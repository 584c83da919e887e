package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"platen/internal/task"
)

// healthTimeout is well below the interval of Docker's checks.
const healthTimeout = 5 * time.Second

// Health asks what the name says and is nil when it is well: php (its health pool), task (nginx
// and php, as the balancer asks), mariadb and valkey (this node).
func Health(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	switch name {
	case "php":
		return healthPHP(ctx, healthSocket)
	case "task":
		return healthTask(ctx, nginxAddress())
	case "mariadb":
		return healthMariaDB(ctx, databaseSocket)
	case "valkey":
		cache, err := FromEnv[task.Cache](task.EnvCache)
		if err != nil {
			return err
		}
		return healthValkey(ctx, cache)
	}
	return fmt.Errorf("health of %q: want php, task, mariadb or valkey", name)
}

func healthPHP(ctx context.Context, socket string) error {
	a, err := fastcgi(ctx, socket, map[string]string{
		"SCRIPT_FILENAME": task.HealthURL, "SCRIPT_NAME": task.HealthURL, "REQUEST_URI": task.HealthURL,
	})
	if err != nil {
		return err
	}
	if a.Status != 200 {
		return fmt.Errorf("php answered %d to its ping", a.Status)
	}
	return nil
}

func healthTask(ctx context.Context, address string) error {
	return Get(ctx, "http://"+address+task.HealthURL, nil, io.Discard)
}

// healthMariaDB reads the greeting, which a server sends once it takes connections.
func healthMariaDB(ctx context.Context, socket string) error {
	conn, err := dial(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("ask mariadbd: %w", err)
	}
	defer func() { _ = conn.Close() }()
	var greeting [5]byte // three bytes length, sequence, protocol version 10 (or 255, an error)
	if _, err := io.ReadFull(conn, greeting[:]); err != nil {
		return fmt.Errorf("read mariadbd's greeting: %w", err)
	}
	if greeting[4] != 10 {
		return fmt.Errorf("mariadbd greeted with protocol %d: want 10", greeting[4])
	}
	return nil
}

// healthValkey logs in over TLS and pings, as WordPress does. A node that loads its data or has
// no master answers an error.
func healthValkey(ctx context.Context, cache task.Cache) error {
	secrets, err := ReadSecrets(task.Secrets, cacheSecret(cache))
	if err != nil {
		return err
	}
	token, err := secrets.Need(cacheSecret(cache))
	if err != nil {
		return err
	}
	authorities, err := os.ReadFile(filepath.Join(task.Secrets, task.FileCA))
	if err != nil {
		return fmt.Errorf("read our certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return errors.New("our certificate authority holds no certificate")
	}
	conn, err := dial(ctx, "tcp", "127.0.0.1:6379")
	if err != nil {
		return fmt.Errorf("ask valkey: %w", err)
	}
	defer func() { _ = conn.Close() }()
	secure := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: cache.Node, MinVersion: tls.VersionTLS12})
	return pingValkey(secure, token)
}

func pingValkey(conn io.ReadWriter, token string) error {
	if _, err := fmt.Fprintf(conn, "*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n*1\r\n$4\r\nPING\r\n", len(token), token); err != nil {
		return fmt.Errorf("ask valkey: %w", err)
	}
	r := bufio.NewReader(conn)
	for _, want := range []string{"+OK", "+PONG"} {
		got, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read valkey's answer: %w", err)
		}
		if got = strings.TrimSpace(got); got != want {
			return fmt.Errorf("valkey answered %q: want %q", got, want)
		}
	}
	return nil
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}
