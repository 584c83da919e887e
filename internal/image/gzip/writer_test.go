package gzip

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func pack(t testing.TB, data []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for len(data) > 0 {
		n := min(piece, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unpack(t testing.TB, packed []byte) []byte {
	t.Helper()
	r, err := stdgzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestUnpacksToWhatWasPacked(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 5<<20)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	var text bytes.Buffer
	for text.Len() < 6<<20 {
		text.WriteString(strings.Repeat(string(rune('a'+random.IntN(26))), 1+random.IntN(400)))
		text.Write(noise[random.IntN(1000):][:random.IntN(40)])
	}
	for name, data := range map[string][]byte{
		"nothing":         nil,
		"one byte":        {7},
		"two bytes":       {7, 7},
		"zeros":           make([]byte, 3<<20),
		"noise":           noise,
		"text":            text.Bytes(),
		"a window apart":  append(append([]byte("platen"), noise[:window-6]...), "platen"...),
		"more than that":  append(append([]byte("platen"), noise[:window-5]...), "platen"...),
		"chunk's borders": bytes.Repeat([]byte("0123456789abcdefghij"), (window+2*chunk)/20+17),
	} {
		t.Run(name, func(t *testing.T) {
			packed := pack(t, data, 1<<30)
			if !bytes.Equal(unpack(t, packed), data) {
				t.Fatal("unpacked to something else")
			}
			if !bytes.Equal(pack(t, data, 4093), packed) {
				t.Error("the pieces in which data is written change the output")
			}
			if limit := len(data) + len(data)/100 + 200; len(packed) > limit {
				t.Errorf("%d bytes became %d", len(data), len(packed))
			}
		})
	}
}

func TestUnpacksWhateverIsPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 20).Draw(t, "words")
		order := rapid.SliceOfN(rapid.IntRange(0, len(words)-1), 0, 400).Draw(t, "order")
		var data []byte
		for _, i := range order {
			data = append(data, words[i]...)
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := stdgzip.NewReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("unpacked to something else (%v)", err)
		}
	})
}

func TestCodeLengthsAreWithinTheirLimitAndComplete(t *testing.T) {
	count := make([]int, 286)
	a, b := 1, 1
	for i := range 40 { // Fibonacci's numbers make the deepest tree
		count[i*7] = a
		a, b = b, a+b
	}
	sum := 0
	for _, l := range codeLengths(count, 15) {
		if l > 15 {
			t.Fatalf("a code of %d bits", l)
		}
		if l > 0 {
			sum += 1 << (15 - l)
		}
	}
	if sum != 1<<15 {
		t.Fatalf("the code fills %d of %d", sum, 1<<15)
	}
}

func TestErrorsOfTheWriterBelowAreReported(t *testing.T) {
	w := NewWriter(failing{})
	_, err := w.Write(make([]byte, 8<<20))
	if err = errors.Join(err, w.Close()); !errors.Is(err, errFull) {
		t.Fatalf("got %v", err)
	}
}

var errFull = errors.New("disk full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }
