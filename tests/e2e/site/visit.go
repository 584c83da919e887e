package site

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Visitor is somebody with a cookie jar. It follows no redirect by itself.
type Visitor struct {
	site  *Site
	http  *http.Client
	nonce string // of the REST API, once logged in

	header http.Header // sent with each request of Try
}

// Visitor comes through the edge, as everybody does.
func (s *Site) Visitor(t testing.TB) *Visitor {
	t.Helper()
	return s.visitor(t, "")
}

// VisitTask goes to one task past the edge, with the site's own Host header.
func (s *Site) VisitTask(t testing.TB, task Task) *Visitor {
	t.Helper()
	return s.visitor(t, task.Address)
}

func (s *Site) visitor(t testing.TB, address string) *Visitor {
	t.Helper()
	if s.url == "" {
		t.Fatal("the site has no address yet: Up comes first")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 2}
	if s.dial != nil {
		transport.DialContext = s.dial
	}
	if address != "" {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &Visitor{site: s, http: &http.Client{
		Jar: jar, Transport: transport, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// As returns a visitor of one task with this visitor's cookies: the same session, another server.
func (v *Visitor) As(t testing.TB, task Task) *Visitor {
	t.Helper()
	other := v.site.VisitTask(t, task)
	other.http.Jar, other.nonce = v.http.Jar, v.nonce
	return other
}

// With returns the same visitor, who sends these headers too.
func (v *Visitor) With(header http.Header) *Visitor {
	other := *v
	other.header = header
	return &other
}

// Page is an answer whose body was read.
type Page struct {
	Status int
	Header http.Header
	Body   string
}

// Try sends a request and reads the answer. path is absolute, or a whole URL of the site.
func (v *Visitor) Try(method, path, contentType string, body []byte) (Page, error) {
	target := path
	if !strings.HasPrefix(path, "http") {
		target = v.site.url + path
	}
	request, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		return Page{}, err
	}
	for name, values := range v.header {
		request.Header[name] = values
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if v.nonce != "" && strings.Contains(path, "/wp-json/") {
		request.Header.Set("X-WP-Nonce", v.nonce)
	}
	return v.send(request)
}

func (v *Visitor) send(request *http.Request) (Page, error) {
	response, err := v.http.Do(request)
	if err != nil {
		return Page{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return Page{}, fmt.Errorf("read the answer of %s: %w", request.URL, err)
	}
	return Page{Status: response.StatusCode, Header: response.Header, Body: string(content)}, nil
}

// Ask is Try with headers of the caller's own, all of them "Name: value".
func (v *Visitor) Ask(method, path string, body []byte, headers ...string) (Page, error) {
	request, err := http.NewRequest(method, v.site.url+path, bytes.NewReader(body))
	if err != nil {
		return Page{}, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	return v.send(request)
}

// Get fetches a page and fails the test unless its status is want.
func (v *Visitor) Get(t testing.TB, want int, path string) Page {
	t.Helper()
	page, err := v.Try(http.MethodGet, path, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return page.expect(t, want, "GET "+path)
}

// PostForm sends a form and fails the test unless the status is want.
func (v *Visitor) PostForm(t testing.TB, want int, path string, form url.Values) Page {
	t.Helper()
	page, err := v.Try(http.MethodPost, path, "application/x-www-form-urlencoded", []byte(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	return page.expect(t, want, "POST "+path)
}

// PostFile sends a form with one file.
func (v *Visitor) PostFile(t testing.TB, want int, path string, fields map[string]string, field, name string, content []byte) Page {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for key, value := range fields {
		if err := form.WriteField(key, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := form.CreateFormFile(field, name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	page, err := v.Try(http.MethodPost, path, form.FormDataContentType(), body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return page.expect(t, want, "POST "+path)
}

func (p Page) expect(t testing.TB, want int, what string) Page {
	t.Helper()
	if p.Status != want {
		t.Fatalf("%s: status %d, want %d, Location %q\n%s", what, p.Status, want, p.Header.Get("Location"), Excerpt(p.Body))
	}
	return p
}

// Excerpt is enough of a page to see what went wrong.
func Excerpt(body string) string {
	const most = 2000
	if len(body) <= most {
		return body
	}
	return body[:most] + " …"
}

// Login signs in through wp-login.php and fetches the REST API's nonce.
func (v *Visitor) Login(t testing.TB, c Credentials) {
	t.Helper()
	v.Get(t, http.StatusOK, "/wp-login.php") // sets the test cookie that the form asks for
	page := v.PostForm(t, http.StatusFound, "/wp-login.php", url.Values{
		"log": {c.User}, "pwd": {c.Password}, "wp-submit": {"Log In"}, "testcookie": {"1"},
		"redirect_to": {v.site.url + "/wp-admin/"},
	})
	if location := page.Header.Get("Location"); !strings.HasSuffix(location, "/wp-admin/") {
		t.Fatalf("login leads to %q", location)
	}
	v.nonce = strings.TrimSpace(v.Get(t, http.StatusOK, "/wp-admin/admin-ajax.php?action=rest-nonce").Body)
}

// REST calls the REST API with JSON; answer may be nil.
func (v *Visitor) REST(t testing.TB, want int, method, path string, body, answer any) {
	t.Helper()
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	page, err := v.Try(method, "/wp-json"+path, "application/json", content)
	if err != nil {
		t.Fatal(err)
	}
	page.expect(t, want, method+" "+path)
	if answer != nil {
		if err := json.Unmarshal([]byte(page.Body), answer); err != nil {
			t.Fatalf("%s %s: %v\n%s", method, path, err, Excerpt(page.Body))
		}
	}
}

// Upload sends a file to the media library.
func (v *Visitor) Upload(t testing.TB, name, contentType string, content []byte, answer any) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, v.site.url+"/wp-json/wp/v2/media", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	request.Header.Set("X-WP-Nonce", v.nonce)
	page, err := v.send(request)
	if err != nil {
		t.Fatal(err)
	}
	page.expect(t, http.StatusCreated, "upload "+name)
	if err := json.Unmarshal([]byte(page.Body), answer); err != nil {
		t.Fatalf("upload %s: %v\n%s", name, err, Excerpt(page.Body))
	}
}
