package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"platen/internal/task"
)

// maxGet bounds what is read of an answer.
const maxGet = 4 << 20

// Get asks url by plain HTTP and copies the body to w, also of an answer that is no success,
// which is an error. It speaks HTTP/1.0 by hand, without redirects: so the agent, which is in
// three images, does not carry net/http's megabytes.
func Get(ctx context.Context, address string, header map[string]string, w io.Writer) error {
	target, err := url.Parse(address)
	if err != nil {
		return err
	}
	if target.Scheme != "http" || target.Host == "" {
		return fmt.Errorf("get %q: want http://HOST[:PORT]/PATH", address)
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	host := target.Host
	if target.Port() == "" {
		host = net.JoinHostPort(target.Hostname(), "80")
	}
	conn, err := dial(ctx, "tcp", host)
	if err != nil {
		return fmt.Errorf("get %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }() // nothing is lost: the answer was read to its end

	request := "GET " + target.RequestURI() + " HTTP/1.0\r\nHost: " + target.Host + "\r\n"
	for name, value := range header {
		if strings.ContainsAny(name+value, "\r\n") {
			return errors.New("a header holds the end of a line")
		}
		request += name + ": " + value + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return fmt.Errorf("get %s: %w", address, err)
	}
	r := bufio.NewReader(io.LimitReader(conn, maxGet))
	line, err := r.ReadString('\n')
	if err != nil {
		return fmt.Errorf("get %s: %w", address, err)
	}
	fields := strings.Fields(line)
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/1.") {
		return fmt.Errorf("get %s: answered %q", address, strings.TrimSpace(line))
	}
	status, err := strconv.Atoi(fields[1])
	if err != nil {
		return fmt.Errorf("get %s: answered %q", address, strings.TrimSpace(line))
	}
	if _, err := textproto.NewReader(r).ReadMIMEHeader(); err != nil {
		return fmt.Errorf("get %s: %w", address, err)
	}
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("get %s: %w", address, err)
	}
	if status < 200 || status > 299 {
		return fmt.Errorf("get %s: answered %s", address, strings.Join(fields[1:], " "))
	}
	return nil
}

// Site asks this task for the health of the site, as status does.
func Site(ctx context.Context, w io.Writer) error {
	secrets, err := ReadSecrets(task.Secrets, task.SecretSiteToken)
	if err != nil {
		return err
	}
	token, err := secrets.Need(task.SecretSiteToken)
	if err != nil {
		return err
	}
	return Get(ctx, "http://"+nginxAddress()+task.SiteURL, map[string]string{"X-Platen-Token": token}, w)
}
