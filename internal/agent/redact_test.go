package agent

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"platen/internal/task"
)

// phpredis prints session.save_path, token included, while the store of the sessions is away.
func TestLogHidesSecrets(t *testing.T) {
	const token = `t0k"n&with/odd bytes`
	secrets := Secrets{task.SecretSessions: token, task.SecretSalt: "a-salt-of-some-length", task.SecretMail: "mail"}
	var out bytes.Buffer
	log := NewLog(&out)
	log.Hide(secrets)
	path, err := sessionPath(task.Store{Address: "sessions:6379"}, secrets)
	if err != nil {
		t.Fatal(err)
	}
	log.Relay("stderr", strings.NewReader("PHP Warning:  session_start(): Failed to read session data: redis (path: "+path+")\n"+
		`{"own":"line of a plugin","token":"t0k\"n\u0026with/odd bytes"}`+"\n"+
		"mail to mail:2525\n"))
	log.Error("cannot open " + token)
	log.Error("key " + deriveKey(secrets[task.SecretSalt], "AUTH_KEY"))
	said := out.String()
	for _, form := range []string{token, url.QueryEscape(token), `t0k\"n`, deriveKey(secrets[task.SecretSalt], "AUTH_KEY")} {
		if strings.Contains(said, form) {
			t.Errorf("the log shows %q:\n%s", form, said)
		}
	}
	if n := strings.Count(said, hidden); n != 4 {
		t.Errorf("%d places are marked, want 4:\n%s", n, said)
	}
	if !strings.Contains(said, "mail to mail:2525") {
		t.Errorf("a short secret hides what is none:\n%s", said)
	}
}

// A long line is cut into several; a secret that lies across the cut stays hidden.
func TestCutsSplitNoSecret(t *testing.T) {
	const token = "0123456789abcdef0123456789abcdef"
	secrets := Secrets{task.SecretSessions: token}
	for before := maxLine - 2*len(token); before <= maxLine+2; before++ {
		text := strings.Repeat("x", before) + token + strings.Repeat("y", maxLine)
		var logged, written bytes.Buffer
		log := NewLog(&logged)
		log.Hide(secrets)
		log.Relay("stderr", strings.NewReader(text))
		w := secrets.Redactor().Writer(&written)
		for piece := range strings.SplitSeq(text, "8") { // inside of the token
			if _, err := w.Write([]byte(piece)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("8")); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for where, got := range map[string]string{"log": logged.String(), "writer": written.String()} {
			if strings.Contains(got, token[:8]) || strings.Contains(got, token[24:]) {
				t.Fatalf("%s: %d bytes before it, a part of the secret is shown", where, before)
			}
		}
	}
}
