package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"platen/tests/e2e/site"
)

// Without settings no mail leaves the machine: it is caught, and shown.
func TestMailIsCaught(t *testing.T) {
	s := sharedSite(t)
	s.Run(t, 0, "mail", "test", "reader@example.org")
	list := s.Run(t, 0, "mail", "list", "--json")
	if !strings.Contains(list.Stdout, "reader@example.org") {
		t.Fatalf("platen mail list shows no such mail:\n%s", list.Stdout)
	}
	var mails []struct{ ID string }
	if err := json.Unmarshal([]byte(list.Stdout), &mails); err != nil || len(mails) == 0 {
		t.Fatalf("%v\n%s", err, list.Stdout)
	}
	if shown := s.Run(t, 0, "mail", "show", mails[0].ID).Stdout; !strings.Contains(shown, "To: reader@example.org") || !strings.Contains(shown, s.URL()) {
		t.Errorf("platen mail show:\n%s", shown)
	}
}

// With settings it goes to that server, encrypted, and only there.
func TestMailReachesAnSMTPServer(t *testing.T) {
	sharedSite(t)
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}", "admin: {user: editor, email: editor@example.com}")
	s.Up(t)
	gateway := gatewayOf(t, s.Container(t, "edge"))
	server := startSMTP(t, gateway)

	s.Configure(t, "web: {tasks: 1}", "admin: {user: editor, email: editor@example.com}",
		fmt.Sprintf("mail: {smtp: %q, from: blog@example.com}", server.address))
	s.Up(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	// The images trust the world's authorities; the test's own is brought by a plugin, as a
	// company's would be.
	installed := uploadPlugin(t, v, "trust", map[string]string{
		"trust.php": "<?php\n/*\nPlugin Name: Trust\nVersion: 1\n*/\n" +
			"add_action('phpmailer_init', function ($mailer) {\n" +
			"\t$mailer->SMTPOptions = ['ssl' => ['cafile' => __DIR__ . '/ca.pem']];\n}, PHP_INT_MAX);\n",
		"ca.pem": server.authority,
	})
	v.Get(t, http.StatusFound, link(t, installed, `plugins\.php\?action=activate&[^"']*`))

	s.Visitor(t).PostForm(t, http.StatusFound, "/wp-login.php?action=lostpassword", url.Values{"user_login": {"editor"}})
	select {
	case mail := <-server.received:
		if mail.from != "blog@example.com" || mail.to != "editor@example.com" || !strings.Contains(mail.body, "action=rp") {
			t.Errorf("from %s to %s:\n%s", mail.from, mail.to, mail.body)
		}
		if !mail.encrypted {
			t.Error("it came in the clear")
		}
	case <-time.After(time.Minute):
		t.Fatalf("no mail came; the log says:\n%s", s.Run(t, 0, "logs", "web").Stdout)
	}

	// Port 465 speaks TLS from the first byte; this server wants to know who sends.
	const password = "smtp-Pw'7"
	strict := startSMTPS(t, net.JoinHostPort(gateway, "465"), server.certificate, "blog", password)
	s.Configure(t, "web: {tasks: 1}", "admin: {user: editor, email: editor@example.com}",
		fmt.Sprintf("mail: {smtp: %q, from: blog@example.com, user: blog}", strict.address))
	s.Env = []string{"PLATEN_MAIL_PASSWORD=" + password}
	s.Up(t)
	s.Run(t, 0, "mail", "test", "reader@example.org")
	select {
	case mail := <-strict.received:
		if mail.user != "blog" || mail.to != "reader@example.org" || !mail.encrypted {
			t.Errorf("user %q to %s, encrypted %t", mail.user, mail.to, mail.encrypted)
		}
	default:
		t.Error("platen mail test says that it sent a mail, and none came")
	}
	s.Env = []string{"PLATEN_MAIL_PASSWORD=wrong"}
	s.Up(t)
	if said := s.Run(t, 1, "mail", "test", "reader@example.org").Stderr; !strings.Contains(strings.ToLower(said), "authenticate") || strings.Contains(said, "wrong") {
		t.Errorf("with a wrong password:\n%s", said)
	}
}

// gatewayOf is this machine's address as containers on the network with a way out see it.
func gatewayOf(t *testing.T, c site.Container) string {
	t.Helper()
	for _, network := range c.Inspect.NetworkSettings.Networks {
		if network.Gateway.IsValid() {
			return network.Gateway.String()
		}
	}
	t.Fatalf("%s has no gateway", c.Service)
	return ""
}

type received struct {
	from, to, body, user string
	encrypted            bool
}

type smtpServer struct {
	address        string
	certificate    tls.Certificate
	authority      string // PEM of what signs its certificate
	user, password string // "" = nobody needs to log in
	received       chan received
}

func startSMTP(t *testing.T, host string) *smtpServer {
	t.Helper()
	certificate, authority := certificateFor(t, host)
	s := &smtpServer{certificate: certificate, authority: authority, received: make(chan received, 10)}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, listener)
	return s
}

// startSMTPS starts a server that speaks TLS from the first byte and takes mail of one user only.
func startSMTPS(t *testing.T, address string, certificate tls.Certificate, user, password string) *smtpServer {
	t.Helper()
	s := &smtpServer{certificate: certificate, user: user, password: password, received: make(chan received, 10)}
	listener, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, listener)
	return s
}

func (s *smtpServer) serve(t *testing.T, listener net.Listener) {
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &smtpSession{server: s, conn: c}, nil
	}))
	s.address = listener.Addr().String()
	server.Domain = s.address
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{s.certificate}}
	server.ErrorLog = discard{}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

type smtpSession struct {
	server *smtpServer
	conn   *smtp.Conn
	user   string // who has logged in
	mail   received
}

func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.user != s.user {
		return smtp.ErrAuthRequired
	}
	s.mail.from, s.mail.user = from, s.user
	return nil
}

// AuthMechanisms implements smtp.AuthSession.
func (s *smtpSession) AuthMechanisms() []string {
	if s.server.user == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *smtpSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.server.user || password != s.server.password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error { s.mail.to = to; return nil }
func (s *smtpSession) Reset()                                    { s.mail = received{} }
func (s *smtpSession) Logout() error                             { return nil }
func (s *smtpSession) Data(r io.Reader) error {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r); err != nil {
		return err
	}
	s.mail.body = body.String()
	_, s.mail.encrypted = s.conn.TLSConnectionState()
	s.server.received <- s.mail
	return nil
}

// certificateFor makes a certificate for an address and the PEM that vouches for it: its own.
func certificateFor(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
