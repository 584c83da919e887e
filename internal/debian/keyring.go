package debian

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"

	"github.com/ProtonMail/go-crypto/openpgp"

	"platen/internal/report"
)

// KeyringEnv names the environment variable with the path of a keyring that replaces Debian's keys,
// for a private mirror that signs its indexes with a key of its own.
const KeyringEnv = "PLATEN_DEBIAN_KEYRING"

// debianKeys are the keys that sign trixie; their origin is in keys/README.md.
//
//go:embed keys/debian-archive-keyring.gpg
var debianKeys []byte

// FindKeyring returns the keyring that PLATEN_DEBIAN_KEYRING names, or nil, which stands for
// Debian's own keys.
func FindKeyring() ([]byte, error) {
	path := os.Getenv(KeyringEnv)
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, report.Hint(fmt.Errorf("read the keyring that %s names: %w", KeyringEnv, err),
			"unset %s to trust Debian's own keys, or name a file of OpenPGP public keys", KeyringEnv)
	}
	return data, nil
}

// parseKeyring reads OpenPGP public keys, binary or armored.
func parseKeyring(data []byte) (openpgp.EntityList, error) {
	read := openpgp.ReadKeyRing
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) {
		read = openpgp.ReadArmoredKeyRing
	}
	keys, err := read(bytes.NewReader(data))
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("it holds no key")
	}
	if err != nil {
		return nil, report.Hint(fmt.Errorf("read the keyring of the Debian archive: %w", err),
			"a keyring is a file of OpenPGP public keys, as gpg --export writes it")
	}
	return keys, nil
}
