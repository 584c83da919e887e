package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Record types and roles of FastCGI 1.0.
const (
	fcgiVersion      = 1
	fcgiBeginRequest = 1
	fcgiEndRequest   = 3
	fcgiParams       = 4
	fcgiStdin        = 5
	fcgiStdout       = 6
	fcgiStderr       = 7
	fcgiResponder    = 1
	fcgiRequestID    = 1
	fcgiMaxContent   = 65535
)

// maxAnswer bounds what is kept of an answer and of its standard error.
const maxAnswer = 64 << 10

// answer is what a FastCGI responder said. Body and Stderr are cut at maxAnswer.
type answer struct {
	Status int // 200 when the responder names none
	Body   []byte
	Stderr []byte
}

// fastcgi asks the responder at a Unix socket for one GET of params, which take precedence over
// the usual ones. It honours the context's end.
func fastcgi(ctx context.Context, socket string, params map[string]string) (answer, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return answer{}, fmt.Errorf("ask php: %w", err)
	}
	defer func() { _ = conn.Close() }() // nothing is lost: the answer was read to its end
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	a, err := exchange(conn, params)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return answer{}, fmt.Errorf("ask php at %s: %w", socket, err)
	}
	return a, nil
}

// notYet reports whether nobody listens at the socket, or nobody has made it.
func notYet(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
}

func exchange(conn io.ReadWriter, params map[string]string) (answer, error) {
	all := map[string]string{
		"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1",
		"REMOTE_ADDR": "127.0.0.1", "SERVER_SOFTWARE": "platen-agent", "QUERY_STRING": "",
	}
	for k, v := range params {
		all[k] = v
	}
	var request bytes.Buffer
	record(&request, fcgiBeginRequest, []byte{0, fcgiResponder, 0, 0, 0, 0, 0, 0})
	var encoded []byte
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		encoded = appendLength(encoded, len(k))
		encoded = appendLength(encoded, len(all[k]))
		encoded = append(append(encoded, k...), all[k]...)
	}
	for chunk := range slices.Chunk(encoded, fcgiMaxContent) {
		record(&request, fcgiParams, chunk)
	}
	record(&request, fcgiParams, nil)
	record(&request, fcgiStdin, nil)
	if _, err := conn.Write(request.Bytes()); err != nil {
		return answer{}, err
	}
	return readAnswer(bufio.NewReader(conn))
}

func record(b *bytes.Buffer, kind byte, content []byte) {
	padding := -len(content) & 7
	header := [8]byte{fcgiVersion, kind, 0, fcgiRequestID, 0, 0, byte(padding)}
	binary.BigEndian.PutUint16(header[4:], uint16(len(content))) //nolint:gosec // chunks are at most fcgiMaxContent
	b.Write(header[:])
	b.Write(content)
	b.Write(make([]byte, padding))
}

// appendLength writes a length as FastCGI does: a byte below 128, else four with the top bit set.
func appendLength(b []byte, n int) []byte {
	if n < 128 {
		return append(b, byte(n))
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|1<<31) //nolint:gosec // parameters are short
}

func readAnswer(r *bufio.Reader) (answer, error) {
	var stdout, stderr bytes.Buffer
	for {
		var header [8]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // php went away before its end record
			}
			return answer{}, err
		}
		if header[0] != fcgiVersion {
			return answer{}, fmt.Errorf("answered FastCGI version %d: want %d", header[0], fcgiVersion)
		}
		content := make([]byte, int(binary.BigEndian.Uint16(header[4:]))+int(header[6]))
		if _, err := io.ReadFull(r, content); err != nil {
			return answer{}, err
		}
		content = content[:len(content)-int(header[6])]
		switch header[1] {
		case fcgiStdout:
			keep(&stdout, content)
		case fcgiStderr:
			keep(&stderr, content)
		case fcgiEndRequest:
			if len(content) < 5 || content[4] != 0 {
				return answer{}, errors.New("php refused the request: it is overloaded or does not know the role")
			}
			return parseAnswer(stdout.Bytes(), stderr.Bytes())
		}
	}
}

func keep(b *bytes.Buffer, content []byte) {
	if room := maxAnswer - b.Len(); room > 0 {
		b.Write(content[:min(room, len(content))])
	}
}

// parseAnswer parts CGI headers and body; of the headers only Status counts.
func parseAnswer(stdout, stderr []byte) (answer, error) {
	a := answer{Status: 200, Stderr: stderr}
	head, body, found := bytes.Cut(stdout, []byte("\r\n\r\n"))
	if !found {
		return a, fmt.Errorf("answered without headers: %.200q", stdout)
	}
	a.Body = body
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(name, "Status") {
			continue
		}
		code, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		status, err := strconv.Atoi(code)
		if err != nil {
			return a, fmt.Errorf("answered status %q", value)
		}
		a.Status = status
	}
	return a, nil
}
