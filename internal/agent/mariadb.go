package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"platen/internal/task"
)

// Where a database node keeps what. The data is below the volume's root, since a folder can be
// renamed into place and a mount cannot.
const (
	databaseRoot   = "/var/lib/mysql"
	databaseData   = databaseRoot + "/data"
	databaseTemp   = databaseRoot + "/tmp" // on the volume: a large sort does not fit into memory
	databaseRun    = "/tmp/mysqld"         // memory
	databaseSocket = databaseRun + "/mysqld.sock"
	databaseShare  = "/usr/share/mariadb"
	mariadbd       = "/usr/sbin/mariadbd"
)

// systemSQL makes the system tables, in this order, of an empty data directory.
var systemSQL = []string{
	"mariadb_system_tables.sql", "mariadb_performance_tables.sql", "mariadb_system_tables_data.sql",
	"maria_add_gis_sp_bootstrap.sql", "mariadb_sys_schema.sql",
}

// MariaDB prepares a database node and becomes mariadbd; it returns only to say what failed.
func MariaDB(ctx context.Context, log *Log) error {
	node, err := FromEnv[task.Database](task.EnvDatabase)
	if err != nil {
		return err
	}
	secrets, err := ReadSecrets(task.Secrets, task.SecretDatabase)
	if err != nil {
		return err
	}
	log.Hide(secrets)
	if err := os.MkdirAll(databaseRun, 0o700); err != nil {
		return fmt.Errorf("make the folder for mariadbd's socket: %w", err)
	}
	if err := initialise(ctx, log); err != nil {
		return fmt.Errorf("initialise the database: %w", err)
	}
	if err := emptyFolder(databaseTemp); err != nil {
		return fmt.Errorf("empty mariadbd's folder for temporary files: %w", err)
	}
	files, err := renderMariaDB(node, secrets)
	if err != nil {
		return err
	}
	if err := WriteFiles(files); err != nil {
		return err
	}
	log.Info("becoming mariadbd", Field{"node", node.Node})
	return become(mariadbd, "--defaults-file="+files[0].Path)
}

// become replaces this process: the server is the container's init and gets its signals.
// LC_ALL=C: valkey ends at once under a locale that its image does not hold.
func become(program string, args ...string) error {
	err := syscall.Exec(program, append([]string{program}, args...), []string{"PATH=/usr/sbin:/usr/bin", "LC_ALL=C", "HOME=/tmp"})
	return fmt.Errorf("become %s: %w", program, err)
}

// initialise makes the system tables when the volume is empty: in a folder of its own, which
// becomes the data directory in one step. What a kill in the middle left is thrown away.
func initialise(ctx context.Context, log *Log) error {
	if _, err := os.Stat(databaseData); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fresh := databaseRoot + "/.new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove what an interrupted start left: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(fresh, "mysql"), 0o700); err != nil {
		return fmt.Errorf("%w: the volume does not belong to user %d; run the init job", err, task.MariaDBUID)
	}
	var sql bytes.Buffer
	// The root of the database is the user that the server runs as, by socket and without a
	// password. Unless it is named, root could log in over TCP without any.
	sql.WriteString("SET @auth_root_socket='mysql';\nCREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\n")
	for _, name := range systemSQL {
		content, err := os.ReadFile(filepath.Join(databaseShare, name))
		if err != nil {
			return fmt.Errorf("the image lacks a part of MariaDB: %w", err)
		}
		sql.Write(content)
		sql.WriteByte('\n')
	}
	// Of the container's name, which is another one the next time.
	sql.WriteString("DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';\n")
	command := exec.CommandContext(ctx, mariadbd, "--no-defaults", "--bootstrap", "--datadir="+fresh, "--tmpdir=/tmp",
		"--lc-messages-dir="+databaseShare, "--skip-networking", "--wsrep-on=0", "--default-storage-engine=InnoDB",
		"--innodb-log-file-size=64M", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0",
		"--max-allowed-packet=8M", "--silent-startup")
	command.Stdin = &sql
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("mariadbd --bootstrap: %w: %s", err, excerpt(output.Bytes()))
	}
	if err := os.Rename(fresh, databaseData); err != nil {
		return err
	}
	if err := syncFolder(databaseRoot); err != nil {
		return err
	}
	log.Info("initialised an empty database")
	return nil
}

// renderMariaDB renders my.cnf, first, and the statements that every start runs before it takes
// connections: so that a password that has changed holds from then on.
func renderMariaDB(node task.Database, secrets Secrets) ([]File, error) {
	password, err := secrets.Need(task.SecretDatabase)
	if err != nil {
		return nil, err
	}
	if node.Name == "" || node.User == "" || node.MaxConnections <= 0 || node.Memory <= 0 {
		return nil, fmt.Errorf("$%s: want name, user, max_connections and memory, have %+v", task.EnvDatabase, node)
	}
	database, user, secret := sqlName(node.Name), sqlText(node.User)+"@'%'", sqlText(password)
	statements := strings.Join([]string{
		"SET SESSION sql_log_bin=0;",
		"CREATE DATABASE IF NOT EXISTS " + database + ";",
		"CREATE USER IF NOT EXISTS " + user + " IDENTIFIED BY " + secret + ";",
		"ALTER USER " + user + " IDENTIFIED BY " + secret + ";",
		"GRANT ALL ON " + database + ".* TO " + user + ";",
		// To be told how far a replica is behind: what reads from it must know.
		"GRANT REPLICA MONITOR ON *.* TO " + user + ";",
	}, "\n") + "\n"
	start := databaseRun + "/start.sql"
	return []File{
		{Path: databaseRun + "/my.cnf", Mode: 0o600, Data: []byte(myCnf(node, start))},
		{Path: start, Mode: 0o600, Data: []byte(statements)},
	}, nil
}

func myCnf(node task.Database, initFile string) string {
	// Half for InnoDB's pages; the rest for connections, of which each may take some megabytes.
	pool := max(node.Memory/2, 32*mebibyte)
	logSize := min(max(pool/4, 64*mebibyte), 1024*mebibyte)
	secret := func(name string) string { return filepath.Join(task.Secrets, name) }
	return strings.Join([]string{
		"# Made by the agent at every start.",
		"[mariadbd]",
		"datadir=" + databaseData,
		"tmpdir=" + databaseTemp,
		"socket=" + databaseSocket,
		"pid-file=" + databaseRun + "/mysqld.pid",
		"init-file=" + initFile,
		"lc-messages-dir=" + databaseShare,
		"bind-address=0.0.0.0",
		"port=3306",
		"skip-name-resolve",
		"require-secure-transport=ON",
		"ssl-ca=" + secret(task.FileCA),
		"ssl-cert=" + secret(task.FileCert),
		"ssl-key=" + secret(task.FileKey),
		"tls-version=TLSv1.2,TLSv1.3",
		"local-infile=OFF",
		"symbolic-links=OFF",
		"secure-file-priv=" + databaseTemp,
		"character-set-server=utf8mb4",
		"collation-server=utf8mb4_unicode_520_ci",
		"character-set-collations=utf8mb4=utf8mb4_unicode_520_ci",
		fmt.Sprintf("max-connections=%d", node.MaxConnections),
		"max-connect-errors=4294967295", // a balancer's checks end without a login
		"max-allowed-packet=64M",
		"wait-timeout=600",
		fmt.Sprintf("innodb-buffer-pool-size=%d", pool),
		fmt.Sprintf("innodb-log-file-size=%d", logSize),
		"innodb-flush-log-at-trx-commit=1",
		"default-storage-engine=InnoDB",
		"performance-schema=OFF",
		"skip-log-bin",
		"slow-query-log=OFF",
		"log-warnings=1", // 2 would tell of every check
		"",
	}, "\n")
}

func sqlName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// sqlText quotes text in MariaDB's default mode. The init file is read by lines: none may end
// inside of a statement.
func sqlText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(text) + "'"
}

func emptyFolder(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Mkdir(path, 0o700)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
