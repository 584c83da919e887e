package debian

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

func TestEmbeddedKeysAreThoseOnRecord(t *testing.T) {
	note, err := os.ReadFile("keys/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(debianKeys)); !strings.Contains(string(note), sum) {
		t.Errorf("keys/README.md does not name the keyring's SHA256 %s", sum)
	}
	keys, err := parseKeyring(debianKeys)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if fingerprint := fmt.Sprintf("%X", k.PrimaryKey.Fingerprint); !strings.Contains(string(note), fingerprint) {
			t.Errorf("keys/README.md does not name key %s", fingerprint)
		}
		if k.PrivateKey != nil {
			t.Error("a private key")
		}
	}
	if len(keys) != 6 {
		t.Errorf("%d keys, want 6", len(keys))
	}
}

func TestKeyringFromEnvironment(t *testing.T) {
	t.Setenv(KeyringEnv, "")
	if data, err := FindKeyring(); data != nil || err != nil {
		t.Errorf("without the variable: %d bytes, %v", len(data), err)
	}
	path := filepath.Join(t.TempDir(), "keys.asc")
	t.Setenv(KeyringEnv, path)
	if _, err := FindKeyring(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	var armored bytes.Buffer
	w, err := armor.Encode(&armored, "PGP PUBLIC KEY BLOCK", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(debianKeys); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, armored.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := FindKeyring()
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := parseKeyring(data); err != nil || len(keys) != 6 {
		t.Errorf("armored: %d keys, %v", len(keys), err)
	}
	if _, err := parseKeyring([]byte("no keys here")); err == nil {
		t.Error("text was read as a keyring")
	}
}
