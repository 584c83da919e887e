package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"platen/internal/aws"
	"platen/internal/engine"
	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/topology"
)

// ecr is an AWS with a registry: answers as AWS documents them, and a registry that wants the token
// of an answer.
type ecr struct {
	mu     sync.Mutex
	tokens int    // how many were asked for
	oldest int    // the first token that the registry still takes
	expire bool   // the token in use expires with the first upload
	state  string // of the stack shared
	inner  http.Handler
}

func (e *ecr) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch {
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		if e.expire && r.Method == http.MethodPatch {
			e.expire, e.oldest = false, e.tokens+1
		}
		user, password, _ := r.BasicAuth()
		number, err := strconv.Atoi(strings.TrimPrefix(password, "password"))
		if user != "AWS" || err != nil || number < e.oldest {
			if r.URL.Path == "/v2/" {
				w.Header().Set("WWW-Authenticate", `Basic realm="ecr"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}`)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		e.inner.ServeHTTP(w, r)
	case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetAuthorizationToken"):
		e.tokens++
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"expiresAt":1795650000,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}]}`,
			base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "AWS:password%d", e.tokens)))
	case strings.Contains(string(body), "Action=GetCallerIdentity"):
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	case strings.HasSuffix(r.URL.Path, "/shared/terraform.tfstate") && e.state != "":
		_, _ = io.WriteString(w, e.state)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
	}
}

// newECR starts one, and makes it the AWS of this process.
func newECR(t *testing.T) (*ecr, string) {
	t.Helper()
	e := &ecr{oldest: 1, inner: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CA_BUNDLE": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"XDG_STATE_HOME": t.TempDir(), "XDG_CACHE_HOME": t.TempDir(), "DOCKER_CONFIG": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	return e, strings.TrimPrefix(server.URL, "http://")
}

const siteOnAWS = `platen: 1
name: blog
admin: {email: ops@example.com}
environments:
  local: {target: local}
  prod: {target: aws, account: "123456789012", region: eu-west-1}
`

// The environment's own repositories are found in its state, and ECR's token opens them: also when
// it expires in the middle.
func TestImagePushToAnEnvironmentsRepositories(t *testing.T) {
	aws, host := newECR(t)
	aws.expire = true
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "platen.yaml"), []byte(siteOnAWS), 0o600); err != nil {
		t.Fatal(err)
	}
	e := wire().Engine
	var built []string
	e.Build = func(_ context.Context, r engine.BuildRequest, _ report.Sink) ([]image.Image, error) {
		built = r.Names
		var images []image.Image
		for _, name := range r.Names {
			oci, err := random.Image(100_000, 2)
			if err != nil {
				return nil, err
			}
			digest, err := oci.Digest()
			if err != nil {
				return nil, err
			}
			images = append(images, image.Image{Name: name, Platform: "linux/arm64", OCI: oci, Digest: digest.String()})
		}
		return images, nil
	}
	o := engine.ImagePushOptions{ImageOptions: engine.ImageOptions{Site: engine.Site{Folder: folder, Environment: "prod"}}}

	if _, err := e.ImagePush(t.Context(), o, nil); err == nil || !strings.Contains(report.HintOf(err), "platen up prod") || built != nil {
		t.Fatalf("before up: %v, built %v", err, built)
	}

	urls := map[string]string{}
	for _, name := range []string{"nginx", "wordpress", "jobs"} {
		urls[name] = host + "/blog-prod/" + name
	}
	state, err := json.Marshal(map[string]any{
		"outputs":   map[string]any{"repository_urls": map[string]any{"value": urls}},
		"resources": []any{map[string]any{"mode": "managed", "type": "aws_ecr_repository", "name": "this", "instances": []any{1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	aws.state = string(state)
	pushed, err := e.ImagePush(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"nginx", "wordpress", "jobs"}; !slices.Equal(built, want) {
		t.Errorf("built %v, want %v: those that run on AWS", built, want)
	}
	for _, p := range pushed {
		if !strings.HasPrefix(p.Reference, urls[p.Image]+"@sha256:") {
			t.Errorf("%s is at %s, want in %s", p.Image, p.Reference, urls[p.Image])
		}
		answer := httptest.NewRecorder()
		aws.inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/blog-prod/"+p.Image+"/manifests/"+p.Digest, nil))
		if answer.Code != http.StatusOK {
			t.Errorf("the registry does not have %s: %d", p.Reference, answer.Code)
		}
	}
	if aws.expire || aws.tokens < 2 {
		t.Errorf("the token did not expire (%v) or was not asked for again (%d)", aws.expire, aws.tokens)
	}

	o.Names = []string{"mariadb"}
	if _, err := e.ImagePush(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "no repository for the image mariadb: there are jobs, nginx, wordpress") {
		t.Errorf("an image without a repository: %v", err)
	}
	o.Environment = "local"
	if _, err := e.ImagePush(t.Context(), o, nil); err == nil || !strings.Contains(report.HintOf(err), "REGISTRY/PREFIX") {
		t.Errorf("a local environment: %v", err)
	}
}

// Any registry of ECR is known by its host; no other one hears of AWS.
func TestRegistryTokens(t *testing.T) {
	e, _ := newECR(t)
	for host, known := range map[string]bool{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":          true,
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com": true,
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":      true,
		"registry.example.com":                                  false,
		"evil-123456789012.dkr.ecr.eu-west-1.example.com":       false,
		"localhost:5000": false,
	} {
		token, err := aws.RegistryToken(t.Context(), host)
		if err != nil || (token != nil) != known {
			t.Errorf("%s: known %v, %v", host, token != nil, err)
			continue
		}
		if !known {
			continue
		}
		if user, password, err := token(t.Context()); err != nil || user != "AWS" || password != fmt.Sprintf("password%d", e.tokens) {
			t.Errorf("%s: %s, %s, %v", host, user, password, err)
		}
	}
	// Without AWS credentials Docker's configuration may know somebody.
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if token, err := aws.RegistryToken(t.Context(), "123456789012.dkr.ecr.eu-west-1.amazonaws.com"); token != nil || err != nil {
		t.Errorf("without credentials: %v, %v", token != nil, err)
	}
}

// The repositories that HCL makes are of images that there are.
func TestRepositoriesAreOfImages(t *testing.T) {
	hcl, err := os.ReadFile(filepath.Join("..", "..", "terraform", "shared", "ecr.tf"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(hcl), "for_each = toset(")
	list, _, _ = strings.Cut(list, ")")
	var names []string
	if err := json.Unmarshal([]byte(list), &names); err != nil || len(names) != 3 {
		t.Fatalf("read %q: %v", list, err)
	}
	for _, name := range names {
		if !slices.Contains(topology.Images, name) {
			t.Errorf("a repository of %s", name)
		}
	}
}
