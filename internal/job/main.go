// Package job is the tool of the jobs image: it fills the volumes, installs WordPress, catches
// mail, and runs PHP and SQL next to the data.
package job

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"platen/internal/agent"
	"platen/internal/task"
)

// envInput stands in for standard input when it is set.
const envInput = "PLATEN_INPUT"

const usage = `platen-job does the one-off work of a Platen site.
  init                     make the secrets, fill and own the volumes ($PLATEN_INIT)
  keep                     init, and keep the secrets on standard input: {"mail_password": "…"}
  install                  install WordPress; task.Install as JSON on standard input
  credentials [USER]       the first administrator's as JSON; without USER task.Install on standard input
  php ARGS…                PHP with the site's configuration
  sql ARGS…                the database client, logged in
  mail serve | health      catch mail
  mail list [--json]       caught mail, newest first
  mail show ID             one as it came
  mail test TO             send one through WordPress
`

// Main runs a subcommand and returns the exit status: 2 for one that there is not.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	code, err := dispatch(ctx, args, stdin, stdout, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "platen-job:", err)
		return max(code, 1)
	}
	return code
}

func dispatch(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	if len(args) == 0 {
		_, err := io.WriteString(stderr, usage)
		return 2, err
	}
	// A rendered compose file cannot give a service a standard input.
	if input, set := os.LookupEnv(envInput); set {
		stdin = strings.NewReader(input)
	}
	log := agent.NewLog(stderr)
	rest := args[1:]
	switch args[0] {
	case "init", "keep":
		spec, err := agent.FromEnv[task.Init](task.EnvInit)
		if err != nil {
			return 1, err
		}
		if args[0] == "keep" {
			return 0, Keep(spec, stdin, stdout, log)
		}
		return 0, Init(spec, nil, log)
	case "install":
		return Install(ctx, stdin, stdout, stderr, log)
	case "credentials":
		return 0, Credentials(rest, stdin, stdout)
	case "php":
		return PHP(ctx, rest, stdin, stdout, stderr)
	case "sql":
		return SQL(ctx, rest, stdin, stdout, stderr)
	case "mail":
		return runMail(ctx, rest, stdin, stdout, stderr, log)
	}
	_, err := io.WriteString(stderr, usage)
	return 2, err
}
