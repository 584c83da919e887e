package agent

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

func TestOwnAddresses(t *testing.T) {
	for url, want := range map[string]string{
		"http://localhost:8080":   "127.0.0.1:8080 [::1]:8080",
		"http://blog.localhost":   "127.0.0.1:80 [::1]:80",
		"http://127.0.0.1:99/":    "127.0.0.1:99 [::1]:99",
		"https://localhost":       "",
		"http://example.com:8080": "",
		"http://localhost.com":    "",
	} {
		if got := strings.Join(ownAddresses(url), " "); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func listenOn(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// A request that is longer than any buffer, an end of the request before the answer, an answer
// that ends when the connection does: nothing is lost on the way.
func TestTheSitesOwnAddressLeadsToNginx(t *testing.T) {
	nginx := listenOn(t, "127.0.0.1:0")
	go func() {
		for {
			c, err := nginx.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				n, _ := io.Copy(io.Discard, c) // until the asker has ended
				_, _ = fmt.Fprintf(c, "%d bytes\n%s", n, strings.Repeat("y", 3<<20))
			}()
		}
	}()
	free := listenOn(t, "127.0.0.1:0")
	own := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := listenAsTheSite(t.Context(), "http://"+own+"/", nginx.Addr().String(), NewLog(&log)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c, err := net.Dial("tcp", own)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(bytes.Repeat([]byte("x"), 2<<20)); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(answer), len("2097152 bytes\n")+3<<20; !bytes.HasPrefix(answer, []byte("2097152 bytes\n")) || got != want {
			t.Errorf("the answer has %d bytes and begins with %.20q: want %d", got, answer, want)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// While nginx is away the asker hears it at once, and is heard again when nginx is back.
func TestTheSitesOwnAddressOutlivesNginx(t *testing.T) {
	nginx := listenOn(t, "127.0.0.1:0")
	address := nginx.Addr().String()
	if err := nginx.Close(); err != nil {
		t.Fatal(err)
	}
	own := listenOn(t, "127.0.0.1:0")
	go forward(t.Context(), own, address, NewLog(io.Discard))
	ask := func() (string, error) {
		c, err := net.Dial("tcp", own.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return bufio.NewReader(c).ReadString('\n')
	}
	if answer, err := ask(); err == nil {
		t.Errorf("nobody is there and it answered %q", answer)
	}
	nginx = listenOn(t, address)
	go func() {
		if c, err := nginx.Accept(); err == nil {
			_, _ = io.WriteString(c, "here\n")
			_ = c.Close()
		}
	}()
	if answer, err := ask(); err != nil || answer != "here\n" {
		t.Errorf("nginx is back, and the answer is %q, %v", answer, err)
	}
}
