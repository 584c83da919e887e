package job

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"platen/internal/agent"
	"platen/internal/task"
)

// keep hands over secrets and returns their versions and all that was printed.
func keep(t *testing.T, spec task.Init, input string) (versions map[string]string, said string) {
	t.Helper()
	var out, log bytes.Buffer
	if err := Keep(spec, strings.NewReader(input), &out, agent.NewLog(&log)); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &versions); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return versions, out.String() + log.String()
}

func TestKeepTakesWhatAPersonGives(t *testing.T) {
	spec, root := volumes(t)
	none, _ := keep(t, spec, "{}")
	if len(none) != 0 {
		t.Errorf("versions of secrets that nobody gave: %v", none)
	}
	first, said := keep(t, spec, `{"mail_password": "hunter \"2\""}`)
	if got := read(t, root+"/web/mail_password"); got != `hunter "2"` {
		t.Errorf("the web tasks have %q", got)
	}
	if strings.Contains(said, "hunter") {
		t.Errorf("the secret is told: %s", said)
	}
	same, _ := keep(t, spec, `{"mail_password": "hunter \"2\""}`)
	asked, _ := keep(t, spec, "{}")
	if first[task.SecretMail] == "" || same[task.SecretMail] != first[task.SecretMail] || asked[task.SecretMail] != first[task.SecretMail] {
		t.Errorf("versions of one secret: %v, %v, %v", first, same, asked)
	}
	second, _ := keep(t, spec, `{"mail_password": "changed"}`)
	if second[task.SecretMail] == first[task.SecretMail] || read(t, root+"/web/mail_password") != "changed" {
		t.Errorf("a changed password has version %v", second)
	}
	// Another site's version of the same password tells nothing.
	other, _ := volumes(t)
	if elsewhere, _ := keep(t, other, `{"mail_password": "changed"}`); elsewhere[task.SecretMail] == second[task.SecretMail] {
		t.Error("the version depends on the password alone")
	}
}

func TestKeepRefusesWhatIsGenerated(t *testing.T) {
	spec, root := volumes(t)
	initialise(t, spec, nil)
	before := read(t, root+"/db/db_password")
	for _, input := range []string{`{"db_password": "topsecret"}`, `{"mail_password": ""}`, `{"other": "topsecret"}`, "topsecret", `{"mail_password": ["topsecret"]}`} {
		err := Keep(spec, strings.NewReader(input), &bytes.Buffer{}, agent.NewLog(&bytes.Buffer{}))
		if err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v", input, err)
		}
	}
	if read(t, root+"/db/db_password") != before {
		t.Error("a password in use was replaced")
	}
}
