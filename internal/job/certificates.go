package job

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"platen/internal/agent"
	"platen/internal/task"
)

const (
	year            = 365 * 24 * time.Hour
	authorityLife   = 10 * year
	certificateLife = 5 * year
	renewBefore     = year
	authorityKey    = "ca.key"
)

// authority returns our own certificate authority's certificate.
func (m *master) authority() (map[string][]byte, error) {
	_, _, encoded, err := m.signer()
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	return map[string][]byte{task.FileCA: encoded}, nil
}

// signer loads the authority; of key and certificate it makes what is missing. The key never
// leaves the master folder.
func (m *master) signer() (*x509.Certificate, *ecdsa.PrivateKey, []byte, error) {
	key, _, err := m.key(authorityKey)
	if err != nil {
		return nil, nil, nil, err
	}
	path := filepath.Join(m.folder, task.FileCA)
	encoded, err := os.ReadFile(path)
	if err == nil {
		certificate, err := parseCertificate(encoded)
		return certificate, key, encoded, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Platen"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	certificate, encoded, err := m.sign(path, template, template, key, key)
	return certificate, key, encoded, err
}

// server returns chain and key for hosts. It makes a new one when there is none, when it is for
// other names, or when it ends within a year; servers take it at their next start.
func (m *master) server(hosts []string) (map[string][]byte, error) {
	if len(hosts) == 0 {
		return nil, fmt.Errorf("a folder wants %s: want the hosts that it is for", task.FileCert)
	}
	authority, signer, _, err := m.signer()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(strings.Join(hosts, "\n")))
	base := "server-" + hex.EncodeToString(sum[:6])
	key, encodedKey, err := m.key(base + ".key")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(m.folder, base+".pem")
	encoded, err := os.ReadFile(path)
	if err == nil {
		certificate, err := parseCertificate(encoded)
		if err == nil && slices.Equal(certificate.DNSNames, hosts) && key.PublicKey.Equal(certificate.PublicKey) &&
			time.Until(certificate.NotAfter) > renewBefore && certificate.CheckSignatureFrom(authority) == nil {
			return map[string][]byte{task.FileCert: encoded, task.FileKey: encodedKey}, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	now := time.Now()
	_, encoded, err = m.sign(path, &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature,
		// A node of a cluster is a client of its peers too.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, authority, key, signer)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", hosts[0], err)
	}
	return map[string][]byte{task.FileCert: encoded, task.FileKey: encodedKey}, nil
}

func (m *master) sign(path string, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, []byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, err
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := place(path, encoded, os.Getuid()); err != nil {
		return nil, nil, err
	}
	m.log.Info("made a certificate", agent.Field{Key: "subject", Value: template.Subject.CommonName})
	certificate, err := x509.ParseCertificate(der)
	return certificate, encoded, err
}

// key loads a P-256 key of the master folder, or makes it.
func (m *master) key(name string) (*ecdsa.PrivateKey, []byte, error) {
	path := filepath.Join(m.folder, name)
	encoded, err := os.ReadFile(path)
	if err == nil {
		block, _ := pem.Decode(encoded)
		if block == nil {
			return nil, nil, fmt.Errorf("%s holds no PEM", path)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		key, ok := parsed.(*ecdsa.PrivateKey)
		if !ok {
			return nil, nil, fmt.Errorf("%s is a %T: want an ECDSA key", path, parsed)
		}
		return key, encoded, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	encoded = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return key, encoded, place(path, encoded, os.Getuid())
}

func parseCertificate(encoded []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(encoded)
	if block == nil {
		return nil, errors.New("holds no PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

func serial() *big.Int {
	random := make([]byte, 16)
	rand.Read(random) //nolint:errcheck // never fails, says its documentation
	random[0] &= 0x7f // positive
	return new(big.Int).SetBytes(random)
}
