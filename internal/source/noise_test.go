package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// noise is text that does not pack, the same in every run.
func noise(n int) string {
	random := rand.NewChaCha8([32]byte{})
	data := make([]byte, n)
	_, _ = random.Read(data) // it never fails
	return string(data)
}

// writeMany writes a tar of n empty files.
func writeMany(to *io.PipeWriter, n int) (err error) {
	defer func() { err = errors.Join(err, to.CloseWithError(err)) }()
	z, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	for i := range n {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("a/%d", i), Typeflag: tar.TypeReg, Mode: 0o644}); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), z.Close())
}

func gunzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func zipped(t testing.TB, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.NoCompression) // a fuzzer's time goes into the reader
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
