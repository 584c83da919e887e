package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"platen/internal/task"
)

// Secrets are the secrets of a container by name. Its methods never print a value.
type Secrets map[string]string

// ReadSecrets reads each named secret from folder/NAME, else from the environment variable
// NAME in upper case, which it then unsets so that no child process inherits it. A secret that
// is nowhere stays absent: what needs it says so. One newline at the end of a file is not part
// of the secret.
func ReadSecrets(folder string, names ...string) (Secrets, error) {
	secrets := Secrets{}
	for _, name := range names {
		variable := strings.ToUpper(name)
		inherited, set := os.LookupEnv(variable)
		if err := os.Unsetenv(variable); err != nil {
			return nil, fmt.Errorf("unset %s: %w", variable, err)
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		switch {
		case err == nil:
			secrets[name] = strings.TrimSuffix(string(content), "\n")
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("read secret %s: %w: the volume of secrets belongs to another user; run the init job again", name, err)
		case set:
			secrets[name] = inherited
		}
		if !utf8.ValidString(secrets[name]) {
			return nil, fmt.Errorf("secret %s is not text: want UTF-8", name)
		}
	}
	return secrets, nil
}

// Need returns a secret, or an error that says where it was looked for.
func (s Secrets) Need(name string) (string, error) {
	value := s[name]
	if value == "" {
		return "", fmt.Errorf("secret %s is missing: neither %s nor $%s holds it; run the init job",
			name, filepath.Join(task.Secrets, name), strings.ToUpper(name))
	}
	return value, nil
}

// String hides the values from every log and error.
func (s Secrets) String() string { return fmt.Sprintf("%d secrets", len(s)) }

// GoString hides the values from %#v.
func (s Secrets) GoString() string { return s.String() }
