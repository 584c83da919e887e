package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"platen/internal/agent"
	"platen/internal/task"
)

// Secrets of the jobs: a web task's, and the administrator's password.
var jobSecrets = append([]string{task.SecretAdmin}, agent.WebSecrets...)

// prepare renders what PHP needs, and returns what the job was told.
func prepare() (task.Config, agent.Secrets, error) {
	config, err := agent.FromEnv[task.Config](task.EnvTask)
	if err != nil {
		return config, nil, err
	}
	secrets, err := agent.ReadSecrets(task.Secrets, jobSecrets...)
	if err != nil {
		return config, nil, err
	}
	host, err := agent.ThisHost()
	if err != nil {
		return config, nil, err
	}
	files, err := agent.RenderJob(config, secrets, host)
	if err != nil {
		return config, nil, err
	}
	return config, secrets, agent.WriteFiles(files)
}

// PHP runs the command-line PHP with args and the site's configuration; the number is its exit
// status.
func PHP(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	_, secrets, err := prepare()
	if err != nil {
		return 1, err
	}
	return runPHP(ctx, secrets, args, stdin, stdout, stderr)
}

// runPHP keeps secrets out of what PHP complains about, which is often kept in a log. What a
// script itself prints is its own business.
func runPHP(ctx context.Context, secrets agent.Secrets, args []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	php, err := agent.FindProgram("/usr/bin/php[0-9]*")
	if err != nil {
		return 1, err
	}
	complaints := secrets.Redactor().Writer(stderr)
	code, err := run(ctx, append([]string{php, "-c", agent.PHPIni}, args...), stdin, stdout, complaints)
	return code, errors.Join(err, complaints.Close())
}

// run runs argv to its end. When the context ends, the child is asked to, and after ten seconds
// made to.
func run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Stdin, command.Stdout, command.Stderr = stdin, stdout, stderr
	command.Env = []string{"PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8", "HOME=/tmp"}
	if terminal := os.Getenv("TERM"); terminal != "" {
		command.Env = append(command.Env, "TERM="+terminal)
	}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		status, ok := exit.Sys().(syscall.WaitStatus)
		switch {
		case !ok || exit.ExitCode() >= 0:
			return exit.ExitCode(), nil
		case status.Signal() == syscall.SIGINT: // Ctrl-C: whoever pressed it knows
			return 128 + int(syscall.SIGINT), nil
		}
		return 128 + int(status.Signal()), fmt.Errorf("%s: %w", argv[0], err)
	}
	if err != nil {
		return 1, fmt.Errorf("run %s: %w", argv[0], err)
	}
	return 0, nil
}

// SQL runs the database client, logged in to the writer; the number is its exit status. The
// password goes through a file in memory, not through the list of processes.
func SQL(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int, err error) {
	config, err := agent.FromEnv[task.Config](task.EnvTask)
	if err != nil {
		return 1, err
	}
	secrets, err := agent.ReadSecrets(task.Secrets, jobSecrets...)
	if err != nil {
		return 1, err
	}
	password, err := secrets.Need(task.SecretDatabase)
	if err != nil {
		return 1, err
	}
	options, err := clientOptions(config.Database, password)
	if err != nil {
		return 1, err
	}
	folder, err := os.MkdirTemp("", "sql-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	file := filepath.Join(folder, "client.cnf")
	if err := os.WriteFile(file, []byte(options), 0o600); err != nil {
		return 1, err
	}
	return run(ctx, append([]string{"/usr/bin/mariadb", "--defaults-file=" + file}, sqlArgs(args)...), stdin, stdout, stderr)
}

// sqlArgs takes one argument with a blank for a statement: to the client it would be the name of a
// database.
func sqlArgs(args []string) []string {
	if len(args) == 1 && !strings.HasPrefix(args[0], "-") && strings.ContainsAny(strings.TrimSpace(args[0]), " \t\n") {
		return []string{"-e", args[0]}
	}
	return args
}

// clientOptions is the client's option file.
func clientOptions(db task.Endpoint, password string) (string, error) {
	host, port, found := strings.Cut(db.Writer, ":")
	if !found {
		return "", fmt.Errorf("database writer %q: want HOST:PORT", db.Writer)
	}
	return "[client]\n" +
		"protocol=tcp\n" +
		"host=" + host + "\n" +
		"port=" + port + "\n" +
		"user=" + optionText(db.User) + "\n" +
		"password=" + optionText(password) + "\n" +
		"default-character-set=utf8mb4\n" +
		"ssl-ca=" + filepath.Join(task.Secrets, task.FileCA) + "\n" +
		"ssl-verify-server-cert\n" +
		"[mariadb-client]\n" +
		"database=" + optionText(db.Name) + "\n", nil
}

// optionText quotes a value of an option file, in which backslashes escape within quotes too.
func optionText(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(text) + `"`
}

// Credentials prints the first administrator's name and generated password as JSON:
// {"url","user","password"}. Who changed the password since knows better.
func Credentials(args []string, stdin io.Reader, stdout io.Writer) error {
	var who task.Install
	switch len(args) {
	case 0:
		if err := json.NewDecoder(stdin).Decode(&who); err != nil {
			return fmt.Errorf("read the administrator's name as JSON from standard input: %w", err)
		}
	case 1:
		who.User = args[0]
	default:
		return errors.New("credentials: want at most a user's name")
	}
	secrets, err := agent.ReadSecrets(task.Secrets, task.SecretAdmin)
	if err != nil {
		return err
	}
	password, err := secrets.Need(task.SecretAdmin)
	if err != nil {
		return err
	}
	answer := struct {
		URL      string `json:"url,omitempty"`
		User     string `json:"user"`
		Password string `json:"password"`
	}{User: who.User, Password: password}
	if config, err := agent.FromEnv[task.Config](task.EnvTask); err == nil {
		answer.URL = config.URL
	}
	return json.NewEncoder(stdout).Encode(answer)
}
