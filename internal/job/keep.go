package job

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"platen/internal/agent"
	"platen/internal/task"
)

// Keep is Init with secrets that a person gives: a JSON object of names and values on standard
// input, the one way into a container that no list of processes, environment or log shows. It
// prints a JSON object with the version of every such secret that is there now.
func Keep(spec task.Init, stdin io.Reader, stdout io.Writer, log *agent.Log) error {
	given := agent.Secrets{}
	if err := json.NewDecoder(stdin).Decode(&given); err != nil {
		// Not the decoder's words: they could quote a secret.
		return errors.New("read the secrets from standard input: want a JSON object of names and texts")
	}
	for name, value := range given {
		if length, known := secretBytes[name]; !known || length > 0 {
			return fmt.Errorf("%q is no secret that a person gives", name)
		}
		if value == "" {
			return fmt.Errorf("the secret %s is empty", name)
		}
	}
	if err := Init(spec, given, log); err != nil {
		return err
	}
	versions, err := versions(spec.Master)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(versions)
}

// versions names the given secrets' contents without telling them: the same content has the
// same version, and who does not know the salt can try no password against it.
func versions(master string) (map[string]string, error) {
	found := map[string]string{}
	salt, err := os.ReadFile(filepath.Join(master, task.SecretSalt))
	if err != nil {
		return nil, fmt.Errorf("work out the versions of secrets: %w", err)
	}
	for name, length := range secretBytes {
		if length > 0 {
			continue
		}
		value, err := os.ReadFile(filepath.Join(master, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("work out the versions of secrets: %w", err)
		}
		mac := hmac.New(sha256.New, salt)
		mac.Write([]byte("platen version of " + name + "\x00"))
		mac.Write(value)
		found[name] = hex.EncodeToString(mac.Sum(nil)[:6])
	}
	return found, nil
}
