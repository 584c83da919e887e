package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/emersion/go-smtp"

	"platen/internal/agent"
	"platen/internal/task"
)

const (
	mailFolder  = "/var/lib/mail"
	mailAddress = ":2525"
)

// The catcher keeps so much and forgets the oldest beyond.
const (
	maxMessages     = 1000
	maxMessageBytes = 25 << 20
	maxMailBytes    = 256 << 20
)

func runMail(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, log *agent.Log) (int, error) {
	box := &mailbox{folder: mailFolder, messages: maxMessages, bytes: maxMailBytes}
	switch {
	case len(args) == 1 && args[0] == "serve":
		listener, err := net.Listen("tcp", mailAddress)
		if err != nil {
			return 1, err
		}
		return 0, serveMail(ctx, listener, box, log)
	case len(args) == 1 && args[0] == "health":
		return 0, mailHealth(ctx)
	case len(args) == 1 && args[0] == "list":
		return 0, listMail(box, stdout, false)
	case len(args) == 2 && args[0] == "list" && args[1] == "--json":
		return 0, listMail(box, stdout, true)
	case len(args) == 2 && args[0] == "show":
		return 0, box.show(args[1], stdout)
	case len(args) == 2 && args[0] == "test":
		return PHP(ctx, []string{filepath.Join(task.Platen, "jobs", "mail-test.php"), args[1]}, stdin, stdout, stderr)
	}
	_, err := io.WriteString(stderr, usage)
	return 2, err
}

// serveMail takes every mail for anybody until the context ends.
func serveMail(ctx context.Context, listener net.Listener, box *mailbox, log *agent.Log) error {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &mailSession{box: box, log: log}, nil
	}))
	server.Domain = "mail"
	server.MaxMessageBytes = maxMessageBytes
	server.MaxRecipients = 100
	server.ReadTimeout, server.WriteTimeout = 60*time.Second, 60*time.Second
	server.EnableSMTPUTF8 = true

	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	log.Info("catching mail", agent.Field{Key: "address", Value: listener.Addr().String()})
	err := server.Serve(listener)
	if !stop() {
		err = errors.Join(err, <-stopped)
	}
	if errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// mailSession is one client's conversation.
type mailSession struct {
	box  *mailbox
	log  *agent.Log
	from string
	to   []string
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data stores the message; the client hears of success only after it is on the disk.
func (s *mailSession) Data(r io.Reader) error {
	id, err := s.box.store(s.from, s.to, r)
	if err != nil {
		s.log.Error("a mail could not be kept", agent.Field{Key: "error", Value: err.Error()})
		return err
	}
	s.log.Info("caught a mail", agent.Field{Key: "id", Value: id})
	return nil
}

func (s *mailSession) Reset() { s.from, s.to = "", nil }

func (s *mailSession) Logout() error { return nil }

func mailHealth(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", "127.0.0.1"+mailAddress)
	if err != nil {
		return fmt.Errorf("ask the catcher: %w", err)
	}
	return conn.Close()
}

func listMail(box *mailbox, stdout io.Writer, asJSON bool) error {
	messages, err := box.list()
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(messages)
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, m := range messages {
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", m.ID, m.From, m.To, m.Subject); err != nil {
			return err
		}
	}
	return table.Flush()
}
