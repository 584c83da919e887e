package aws

import (
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/task"
)

// vaultOn answers for the entry of the mail password, which has a value or, with "", no version.
func vaultOn(t *testing.T, value string) (*Place, *account) {
	return placeOn(t, func(r request) (int, string, string) {
		switch {
		case strings.HasPrefix(r.Action, "HEAD /platen-blog-"):
			return 200, "", ""
		case strings.HasPrefix(r.Action, "GET /platen-blog-") && strings.HasSuffix(r.Action, "/data/terraform.tfstate"):
			outputs := `"database":{"value":{"cluster":"blog-dev"}},"sessions":{"value":{}},"objects":{"value":{}},"files":{"value":{}},"media":{"value":{}},"vault":{"value":""},"copy_vault":{"value":""}`
			return 200, `{"outputs":{"secret_arns":{"value":{"mail_password":"arn:mail"}},` + outputs + `},"resources":[]}`, ""
		case strings.HasPrefix(r.Action, "GET /platen-blog-"): // whose the bucket is
			return 200, `<Tagging><TagSet><Tag><Key>Site</Key><Value>blog</Value></Tag></TagSet></Tagging>`, ""
		case r.Action == "GetSecretValue" && value == "":
			return 400, `{"__type":"ResourceNotFoundException"}`, ""
		case r.Action == "GetSecretValue":
			return 200, `{"ARN":"arn:mail","SecretString":"` + value + `","VersionId":"one"}`, ""
		case r.Action == "PutSecretValue":
			return 200, `{"ARN":"arn:mail","VersionId":"two"}`, field(r.Body, "SecretString")
		}
		return unexpected(r)
	})
}

func TestTheMailPasswordIsKept(t *testing.T) {
	for _, c := range []struct{ value, version, kept string }{
		{value: "", version: "", kept: "two"},
		{value: noSecret, version: "", kept: "two"}, // nobody set it
		{value: "typed", version: "one", kept: "one"},
		{value: "another", version: "one", kept: "two"},
	} {
		p, a := vaultOn(t, c.value)
		if version, err := p.Version(t.Context(), p.topology, task.SecretMail); err != nil || version != c.version {
			t.Errorf("%q: version %q, %v", c.value, version, err)
		}
		version, err := p.Keep(t.Context(), p.topology, task.SecretMail, "typed")
		if err != nil || version != c.kept {
			t.Errorf("%q: kept as %q, %v", c.value, version, err)
		}
		if c.kept == "two" {
			a.wants(t, []string{"PutSecretValue"}, "PutSecretValue typed")
		} else {
			a.wants(t, []string{"PutSecretValue"})
		}
	}
	p, _ := vaultOn(t, "")
	if _, err := p.Keep(t.Context(), p.topology, "no such", "typed"); err == nil || !strings.Contains(report.HintOf(err), "platen up dev") {
		t.Errorf("an entry that is not there: %v", err)
	}
}

// Regression: with mail.user and no password the entry was filled with "-", which logs in nowhere.
func TestNoPlaceholderBecomesTheMailPassword(t *testing.T) {
	p, a := vaultOn(t, "")
	topo := p.topology
	topo.Web.Config.Mail.User = "blog"
	err := p.fillData(t.Context(), topo, nil)
	if err == nil || !strings.Contains(err.Error(), "its password is not known") || !strings.Contains(report.HintOf(err), "PLATEN_MAIL_PASSWORD") {
		t.Errorf("%v", err)
	}
	a.wants(t, []string{"PutSecretValue"})
}
