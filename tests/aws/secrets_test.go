package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// secrets reads what Secrets Manager holds, by name, without what is too short to be looked for.
// It returns the ARNs, too.
func (p *place) secrets(ctx context.Context) (values map[string]string, arns []string) {
	p.t.Helper()
	client := secretsmanager.NewFromConfig(p.sdk())
	list, err := client.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: awssdk.Int32(100)})
	if err != nil {
		p.t.Fatal(err)
	}
	values = map[string]string{}
	for _, s := range list.SecretList {
		arns = append(arns, awssdk.ToString(s.ARN))
		v, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: s.ARN})
		if err != nil {
			p.t.Errorf("%s has no version: %v", awssdk.ToString(s.Name), err)
			continue
		}
		if value := awssdk.ToString(v.SecretString); len(value) >= 16 {
			values[awssdk.ToString(s.Name)] = value
		}
	}
	if len(values) < 6 {
		p.t.Errorf("only %d secrets were generated", len(values))
	}
	return values, arns
}

// noSecretLeaks looks for the secrets in every version of every state, in everything below the
// folder (variables, Terraform's own files), in the plans that are given, and in all that was
// printed. That it reads them is known by the secrets' ARNs, which may be there.
func (p *place) noSecretLeaks(ctx context.Context, t *testing.T, secrets map[string]string, arns []string, plans map[string][]byte) {
	t.Helper()
	looked, states := 0, 0
	var all bytes.Buffer // of the states
	search := func(where string, data []byte) {
		looked++
		for name, value := range secrets {
			if bytes.Contains(data, []byte(value)) {
				t.Errorf("%s is in %s", name, where)
			}
			// As it would stand in JSON.
			if quoted, err := json.Marshal(value); err == nil && bytes.Contains(data, quoted[1:len(quoted)-1]) && string(quoted) != `"`+value+`"` {
				t.Errorf("%s is in %s", name, where)
			}
		}
	}
	store := s3.NewFromConfig(p.sdk(), func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true })
	bucket := awssdk.String("platen-blog-" + account + "-" + region)
	pages := s3.NewListObjectVersionsPaginator(store, &s3.ListObjectVersionsInput{Bucket: bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			out, err := store.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: v.Key, VersionId: v.VersionId})
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(out.Body)
			_ = out.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(awssdk.ToString(v.Key), ".tfstate") {
				states++
				all.Write(data)
			}
			search("a version of "+awssdk.ToString(v.Key), data)
		}
	}
	err := filepath.WalkDir(p.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "terraform-provider-") {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			search(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range plans {
		search("the plan of "+name, data)
	}
	search("what was printed", p.log.Bytes())
	if looked < 20 || states < 4 {
		t.Errorf("looked at %d files only, %d of them states", looked, states)
	}
	for _, arn := range arns {
		if data, planned := plans["data"]; !bytes.Contains(all.Bytes(), []byte(arn)) || planned && !bytes.Contains(data, []byte(arn)) {
			t.Errorf("not even the name %s is found: does this search read states and plans?", arn)
		}
	}
}
