package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"platen/internal/task"
)

// nginxAddress is where this task's nginx listens, as host:port: where the environment says, else
// in our own network namespace.
func nginxAddress() string {
	if address := os.Getenv(task.EnvNginx); address != "" {
		return address
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(task.Port))
}

// listenAsTheSite lets WordPress ask itself at the site's URL: on a developer's machine that is
// localhost, which in a container is the container. What arrives there goes to the task's nginx,
// byte for byte. It returns when it listens; a URL that is not local needs nothing.
func listenAsTheSite(ctx context.Context, siteURL, nginx string, log *Log) error {
	for _, address := range ownAddresses(siteURL) {
		if address == nginx {
			continue // nginx itself is there, on every address
		}
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", address)
		if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
			continue // Docker's networks without IPv6 take ::1 away
		}
		if err != nil {
			return err
		}
		go forward(ctx, l, nginx, log)
	}
	return nil
}

// ownAddresses are the loopback addresses, host:port, of a site's URL; none when it is not local.
func ownAddresses(siteURL string) []string {
	at, err := url.Parse(siteURL)
	if err != nil || at.Scheme != "http" {
		return nil
	}
	host, port := at.Hostname(), at.Port()
	if host != "localhost" && !strings.HasSuffix(host, ".localhost") && host != "127.0.0.1" && host != "::1" {
		return nil
	}
	if port == "" {
		port = "80"
	}
	return []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
}

// forward carries every connection to l on to address, until ctx ends.
func forward(ctx context.Context, l net.Listener, address string, log *Log) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		from, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Warn("a request to the site's own address was not taken", Field{"error", err.Error()})
			time.Sleep(100 * time.Millisecond) // no descriptors, no memory: asking at once would only burn
			continue
		}
		go func() {
			if err := carry(ctx, from, address); err != nil {
				log.Warn("a request to the site's own address did not reach nginx", Field{"error", err.Error()})
			}
		}()
	}
}

// carry copies between from and a new connection to address until both sides have ended. Only a
// connection that cannot be made is an error; how an exchange ends is the two sides' affair.
func carry(ctx context.Context, from net.Conn, address string) error {
	defer func() { _ = from.Close() }()
	dialer := net.Dialer{Timeout: healthTimeout}
	to, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("carry it to nginx: %w", err)
	}
	defer func() { _ = to.Close() }()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = io.Copy(to, from)
		endWriting(to)
	}()
	_, _ = io.Copy(from, to)
	endWriting(from)
	// nginx has ended: whoever still sends speaks to nobody.
	_ = from.SetReadDeadline(time.Now())
	<-asked
	return nil
}

// endWriting tells the other side that no more comes, while it may still answer.
func endWriting(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
