// Stub stands in for every program of the images, so that the mechanics of the local place can
// be tested with a real engine and without the real images. It keeps to the container contract:
// the same paths, subcommands, sockets, signals and exit codes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"platen/internal/task"
)

const (
	phpSocket = task.Shared + "/php.sock"
	nginxConf = task.Shared + "/nginx.conf"
	draining  = task.Shared + "/draining"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1)
	defer stop()
	if err := run(ctx, filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		var status exit
		if errors.As(err, &status) {
			os.Exit(int(status))
		}
		os.Exit(1)
	}
}

type exit int

func (e exit) Error() string { return "exit " + strconv.Itoa(int(e)) }

func run(ctx context.Context, program string, args []string) error {
	switch program {
	case "nginx":
		return nginx(ctx)
	case "haproxy":
		if slices.Contains(args, "/etc/haproxy/edge.cfg") {
			return edge(ctx)
		}
		<-ctx.Done()
		return nil
	case "platen-job":
		return job(ctx, args)
	}
	switch args[0] {
	case "web":
		return web(ctx)
	case "mariadb", "valkey":
		return listen(ctx, "tcp", "127.0.0.1:7000")
	case "health":
		return health(args[1])
	case "get":
		return get(args[1], os.Stdout)
	case "site":
		c, err := config()
		if err != nil {
			return err
		}
		if c.PHP.Env["STUB"] == "cut off" {
			fmt.Println(`{"ok":false,"checks":{"database":{"ok":true},"objects":{"ok":false,"error":"no route"}}}`)
			return errors.New("503")
		}
		fmt.Println(`{"ok":true,"checks":{"database":{"ok":true}}}`)
		return nil
	}
	return fmt.Errorf("unknown: %v", args)
}

func config() (c task.Config, err error) {
	return c, json.Unmarshal([]byte(os.Getenv(task.EnvTask)), &c)
}

func listen(ctx context.Context, network, address string) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		_ = c.Close()
	}
}

func web(ctx context.Context) error {
	c, err := config()
	if err != nil {
		return err
	}
	if c.PHP.Env["STUB"] == "fail" {
		return errors.New("php: the stub was told to fail")
	}
	for _, path := range []string{draining, phpSocket} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.WriteFile(nginxConf, []byte(c.Release), 0o600); err != nil {
		return err
	}
	serve, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- listen(serve, "unix", phpSocket) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if err := os.WriteFile(draining, nil, 0o600); err != nil {
		return err
	}
	time.Sleep(time.Duration(c.Drain) * time.Second)
	return nil
}

func nginx(ctx context.Context) error {
	release, err := os.ReadFile(nginxConf)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/-/task", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(draining); err == nil {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		c, err := net.Dial("unix", phpSocket)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = c.Close()
		_, _ = w.Write(release)
	})
	return serve(ctx, ":8080", mux)
}

func serve(ctx context.Context, address string, h http.Handler) error {
	server := &http.Server{Addr: address, Handler: h}
	done := make(chan error, 1)
	context.AfterFunc(ctx, func() { done <- server.Shutdown(context.Background()) })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}

// balancer is as much of HAProxy as a roll needs.
type balancer struct {
	mu   sync.Mutex
	up   map[string]bool // address → up
	next int
}

func edge(ctx context.Context) error {
	b := &balancer{up: map[string]bool{}}
	go b.check(ctx)
	go func() {
		_ = serve(ctx, ":8404", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "# pxname,svname,status,addr,")
			b.mu.Lock()
			defer b.mu.Unlock()
			for address, up := range b.up {
				fmt.Fprintf(w, "web,web1,%s,%s,\n", map[bool]string{true: "UP", false: "DOWN"}[up], address)
			}
		}))
	}()
	return serve(ctx, ":8080", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := b.pick()
		if address == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}).ServeHTTP(w, r)
	}))
}

func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var up []string
	for address, ok := range b.up {
		if ok {
			up = append(up, address)
		}
	}
	if len(up) == 0 {
		return ""
	}
	slices.Sort(up)
	b.next++
	return up[b.next%len(up)]
}

func (b *balancer) check(ctx context.Context) {
	for ctx.Err() == nil {
		hosts, _ := net.DefaultResolver.LookupHost(ctx, "web")
		up := map[string]bool{}
		for _, host := range hosts {
			address := net.JoinHostPort(host, "8080")
			up[address] = get("http://"+address+"/-/task", io.Discard) == nil
		}
		b.mu.Lock()
		b.up = up
		b.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
	}
}

func health(what string) error {
	switch what {
	case "php":
		return dial("unix", phpSocket)
	case "task":
		return get("http://"+os.Getenv(task.EnvNginx)+"/-/task", io.Discard)
	default:
		return dial("tcp", "127.0.0.1:7000")
	}
}

func dial(network, address string) error {
	c, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	return c.Close()
}

func get(address string, w io.Writer) error {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get(address)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(w, response.Body)
	return err
}

func job(ctx context.Context, args []string) error {
	switch args[0] {
	case "init":
		var in task.Init
		if err := json.Unmarshal([]byte(os.Getenv(task.EnvInit)), &in); err != nil {
			return err
		}
		for _, f := range in.Folders {
			if err := os.Chown(f.Path, f.UID, f.UID); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(f.Path, ".stub"), nil, 0o600); err != nil {
				return err
			}
		}
		return nil
	case "mail", "wait":
		if len(args) > 1 && args[1] == "health" {
			return nil
		}
		fmt.Println("waiting")
		<-ctx.Done()
		return nil
	case "exit":
		status, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "one\ntwo")
		return exit(status)
	}
	// Any other: what it was told.
	fmt.Println(strings.Join(args, " "))
	_, err := io.Copy(os.Stdout, os.Stdin)
	return err
}
