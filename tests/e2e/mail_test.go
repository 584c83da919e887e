package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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

	"github.com/emersion/go-smtp"

	"platen/tests/e2e/site"
)

// Without settings no mail leaves the machine: it is caught, and shown.
func TestMailIsCaught(t *testing.T) {
	s := sharedSite(t)
	s.Run(t, 0, "mail", "test", "reader@example.org")
	list := s.Run(t, 0, "mail", "list", "--json")
	if !strings.Contains(list.Stdout, "reader@example.org") {
		t.Errorf("platen mail list shows no such mail:\n%s", list.Stdout)
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
	from, to, body string
	encrypted      bool
}

type smtpServer struct {
	address   string
	authority string // PEM of what signs its certificate
	received  chan received
}

func startSMTP(t *testing.T, host string) *smtpServer {
	t.Helper()
	certificate, authority := certificateFor(t, host)
	s := &smtpServer{authority: authority, received: make(chan received, 10)}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &smtpSession{server: s, conn: c}, nil
	}))
	server.Domain = host
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.ErrorLog = discard{}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

type smtpSession struct {
	server *smtpServer
	conn   *smtp.Conn
	mail   received
}

func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error { s.mail.from = from; return nil }
func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error   { s.mail.to = to; return nil }
func (s *smtpSession) Reset()                                      { s.mail = received{} }
func (s *smtpSession) Logout() error                               { return nil }
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
