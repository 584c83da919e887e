package job

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/go-sql-driver/mysql"

	"platen/internal/agent"
	"platen/internal/task"
)

// databaseTimeout is how long the first answer of the database may take: it may be making its
// system tables.
const databaseTimeout = 60 * time.Second

// Install makes the site: it seeds the share, waits for the database, and hands standard input
// (task.Install as JSON) to WordPress' own installer. Run again, it changes nothing that is
// there. The number is the installer's exit status.
func Install(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, log *agent.Log) (int, error) {
	config, secrets, err := prepare()
	if err != nil {
		return 1, err
	}
	log.Hide(secrets)
	if config.Content == "shared" {
		if err := agent.PlaceLocators(task.Content, filepath.Join(task.Platen, "drop-ins"), log); err != nil {
			return 1, err
		}
		if err := Seed(filepath.Join(task.Platen, "seed"), task.Content, log); err != nil {
			return 1, fmt.Errorf("seed the share: %w", err)
		}
	}
	if err := waitForDatabase(ctx, config.Database, secrets[task.SecretDatabase], databaseTimeout); err != nil {
		return 1, err
	}
	return runPHP(ctx, secrets, []string{filepath.Join(task.Platen, "jobs", "install.php")}, stdin, stdout, stderr)
}

// waitForDatabase logs in to the writer, as WordPress will, until that works.
func waitForDatabase(ctx context.Context, db task.Endpoint, password string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	roots, err := os.ReadFile(filepath.Join(task.Private, "ca.pem"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	host, _, err := net.SplitHostPort(db.Writer)
	if err != nil {
		return fmt.Errorf("database writer %q: want HOST:PORT: %w", db.Writer, err)
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.Passwd, config.DBName = "tcp", db.Writer, db.User, password, db.Name
	config.TLS = &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}
	config.Logger = &mysql.NopLogger{} // what a try says is in its error
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	pinger := sql.OpenDB(connector)
	defer func() { _ = pinger.Close() }()
	for {
		try, end := context.WithTimeout(ctx, 5*time.Second)
		err := pinger.PingContext(try)
		end()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the database at %s: %w: it did not answer within %s; look at the logs of db-1",
				db.Writer, errors.Join(ctx.Err(), err), timeout)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
