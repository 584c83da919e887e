package aws

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const small = `platen: 1
name: bad
admin: {email: ops@example.com}
environments:
  dev:
    target: aws
    account: "123456789012"
    region: eu-west-1
    hosts: {type: t4g.medium, count: 1..3}
    web: {tasks: 1..2}
    database: {class: db.t4g.medium, readers: 1}
`

// TestBadInput: what cannot go well ends before anything is touched, with the reason and what to
// do next.
func TestBadInput(t *testing.T) {
	t.Parallel()
	p := emulator(t, small)
	faults := p.faults()
	client := s3.NewFromConfig(p.sdk())
	untouched := func(t *testing.T) {
		t.Helper()
		out, err := client.ListBuckets(context.Background(), &s3.ListBucketsInput{})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Buckets) != 0 {
			t.Errorf("there is a bucket now: %s", awssdk.ToString(out.Buckets[0].Name))
		}
	}
	old := filepath.Join(p.folder, "old")
	if err := os.MkdirAll(old, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho '{\"terraform_version\":\"1.5.7\",\"platform\":\"linux_amd64\",\"provider_selections\":{}}'\n"
	if err := os.WriteFile(filepath.Join(old, "terraform"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	full := func() { p.write("platen.yaml", small) }

	for _, c := range []struct {
		name  string
		edit  [2]string
		extra []string
		args  []string
		code  int
		says  []string
	}{
		{name: "no credentials", extra: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "HOME=" + p.folder}, args: []string{"up", "dev"}, code: 1,
			says: []string{"whose credentials these are", "AWS_PROFILE"}},
		{name: "wrong account", edit: [2]string{`"123456789012"`, `"210987654321"`}, args: []string{"up", "dev"}, code: 1,
			says: []string{"are of the account 123456789012", "210987654321", "nothing was touched"}},
		{name: "unknown instance type", edit: [2]string{"t4g.medium, count", "t4g.xxlarge, count"}, args: []string{"up", "dev"}, code: 2, says: []string{"hosts.type"}},
		{name: "no such instance type", edit: [2]string{"t4g.medium, count", "q9z.large, count"}, args: []string{"up", "dev"}, code: 1, says: []string{"EC2 has no q9z.large"}},
		{name: "no such database class", edit: [2]string{"db.t4g.medium", "db.z9.large"}, args: []string{"up", "dev"}, code: 1,
			says: []string{"cannot fit", "db.z9.large is none that Aurora MySQL 3 has", "nearest: db.t4g.medium"}},
		{name: "no such cache class", edit: [2]string{"    database:", "    objects: {class: cache.z9.large}\n    database:"}, args: []string{"up", "dev"}, code: 1,
			says: []string{"cannot fit", "cache.z9.large is none that ElastiCache has", "nearest: cache.r7g.large"}},
		// AWS has a host name for each region, and none for this: only without the emulator's address
		// does platen ask for it.
		{name: "unknown region", edit: [2]string{"region: eu-west-1", "region: eu-west-9"}, extra: []string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "AWS_MAX_ATTEMPTS=1"},
			args: []string{"up", "dev"}, code: 1, says: []string{"eu-west-9", "check that"}},
		{name: "too many tasks", edit: [2]string{"tasks: 1..2", "tasks: 1..20"}, args: []string{"up", "dev"}, code: 1,
			says: []string{"cannot fit", "hosts.count 3 × t4g.medium hold 4 of them", "3 interfaces − 1", "nearest: hosts.count up to 21"}},
		{name: "no password for the mail server", edit: [2]string{"environments:", "mail: {smtp: 'smtp.example.com:587', from: blog@example.com, user: blog}\nenvironments:"}, args: []string{"up", "dev"}, code: 1,
			says: []string{"its password is not known", "PLATEN_MAIL_PASSWORD=… platen up dev"}},
		{name: "down of what never was", args: []string{"down", "dev", "--yes"}, code: 2, says: []string{"--yes --really dev"}},
		{name: "down of another", args: []string{"down", "dev", "--yes", "--really", "prod"}, code: 2, says: []string{"--really prod, but this is dev"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			full()
			if c.edit[0] != "" {
				p.edit(c.edit[0], c.edit[1])
			}
			out, code := p.runWith(c.extra, c.args...)
			if code != c.code {
				t.Errorf("exit %d, want %d\n%s", code, c.code, out)
			}
			for _, part := range c.says {
				if !strings.Contains(out, part) {
					t.Errorf("it does not say %q:\n%s", part, out)
				}
			}
			untouched(t)
		})
	}
	full()

	t.Run("Terraform too old and no network", func(t *testing.T) {
		out, code := p.runWith([]string{"PATH=" + old + ":" + os.Getenv("PATH"), "PLATEN_TERRAFORM_MIRROR=http://127.0.0.1:1"}, "up", "dev")
		if code != 1 || !strings.Contains(out, "is 1.5.7, which is older than 1.10.0") || !strings.Contains(out, "PLATEN_TERRAFORM_MIRROR") {
			t.Errorf("exit %d\n%s", code, out)
		}
		untouched(t)
	})

	t.Run("no Terraform and no network", func(t *testing.T) {
		out, code := p.runWith([]string{"PATH=" + t.TempDir(), "PLATEN_TERRAFORM_MIRROR=http://127.0.0.1:1"}, "up", "dev")
		if code != 1 || !strings.Contains(out, "install Terraform 1.11.4") || !strings.Contains(out, "have it in PATH") {
			t.Errorf("exit %d\n%s", code, out)
		}
		untouched(t)
	})

	t.Run("disk full", func(t *testing.T) {
		path, err := platen()
		if err != nil {
			t.Fatal(err)
		}
		// Terraform's folders, and nothing else, lie on a small disk that only this process sees.
		small := t.TempDir()
		cmd := p.command([]string{"XDG_STATE_HOME=" + small}, "unshare", "--map-root-user", "--mount",
			"sh", "-c", `mount -t tmpfs -o size=16k none "$0" && exec "$@"`, small, path, "up", "dev")
		out, err := cmd.CombinedOutput()
		p.log.Write(out)
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "no space left on device") || !strings.Contains(string(out), "free some disk space") {
			t.Errorf("%v\n%s", err, out)
		}
		if there := p.inventory(); len(there["networks"]) != 0 {
			t.Errorf("there is %q", there)
		}
	})

	t.Run("another account's bucket", func(t *testing.T) {
		defer full()
		p.edit("name: bad", "name: taken")
		const bucket = "/platen-taken-" + account + "-" + region
		s3Error := func(code, message string) string {
			return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code><Message>` + message + `</Message></Error>`
		}
		faults.answer(
			fault{"PUT " + bucket, 409, s3Error("BucketAlreadyExists", "The requested bucket name is not available.")},
			fault{"GET " + bucket, 403, s3Error("AccessDenied", "Access Denied")},
			fault{"HEAD " + bucket, 403, ""},
		)
		defer faults.answer()
		for _, verb := range []string{"up", "plan", "status"} {
			out, code := p.run(verb, "dev")
			if code != 1 || !strings.Contains(out, "platen-taken-") || !strings.Contains(out, "nothing was touched") {
				t.Errorf("%s: exit %d\n%s", verb, code, out)
			}
		}
	})

	t.Run("somebody else's bucket", func(t *testing.T) {
		const name = "platen-foreign-123456789012-eu-west-1"
		_, err := client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: awssdk.String(name),
			CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.PutBucketTagging(context.Background(), &s3.PutBucketTaggingInput{Bucket: awssdk.String(name),
			Tagging: &types.Tagging{TagSet: []types.Tag{{Key: awssdk.String("Owner"), Value: awssdk.String("accounting")}}}}); err != nil {
			t.Fatal(err)
		}
		p.edit("name: bad", "name: foreign")
		out, code := p.run("up", "dev")
		if code != 1 || !strings.Contains(out, "is not this site's: nothing was touched") {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
}
