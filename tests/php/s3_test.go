package php_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"platen/internal/task"
	"platen/tests/bucket"
)

const (
	bucketName = "lab-media"
	uploads    = "wp-content/uploads/"
)

var keys = aws.Credentials{AccessKeyID: "AKIDLAB", SecretAccessKey: "a/secret+key"}

// openBucket starts a store where the lab's containers reach it: at their network's gateway.
func openBucket(t *testing.T, creds aws.Credentials) (*bucket.Store, string) {
	t.Helper()
	gateway, err := docker(nil, "network", "inspect", "--format={{range .IPAM.Config}}{{.Gateway}}{{end}}", shared.name)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(strings.TrimSpace(gateway), "0"))
	if err != nil {
		t.Fatal(err)
	}
	store := bucket.New(bucketName, creds)
	server := &http.Server{Handler: store, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) //nolint:errcheck // it ends with the test
	t.Cleanup(func() { server.Close() })
	return store, "http://" + listener.Addr().String()
}

// withBucket is the lab with its media in a bucket; creds is who the task says it is.
func withBucket(endpoint string, creds aws.Credentials) *lab {
	l := *shared
	l.config.Media = task.Media{Bucket: bucketName, Region: bucket.Region, Prefix: uploads, Endpoint: endpoint}
	l.environment = []string{
		"--env=" + strings.ToUpper(task.SecretKeyID) + "=" + creds.AccessKeyID,
		"--env=" + strings.ToUpper(task.SecretKey) + "=" + creds.SecretAccessKey,
	}
	return &l
}

// The client of S3 and the stream wrapper, without WordPress.
func TestS3(t *testing.T) {
	_, endpoint := openBucket(t, keys)
	withBucket(endpoint, keys).script(t, "-d", "apc.enable_cli=1", "/tests/s3.php", endpoint)
	withBucket(endpoint, keys).script(t, "-d", "apc.enable_cli=1", "-d", "sys_temp_dir=/dev/shm", "/tests/media-full.php", endpoint)
}

// The keys of a task's role, which have a token and an end.
func TestS3TaskRole(t *testing.T) {
	_, endpoint := openBucket(t, aws.Credentials{AccessKeyID: "ASIALAB", SecretAccessKey: "b/secret+key", SessionToken: "token/of+a=session"})
	withBucket(endpoint, keys).script(t, "-d", "apc.enable_cli=1", "/tests/s3-role.php", endpoint)
}

// Uploads of a real WordPress: what reaches the bucket, what stays behind when it fails, what pages ask.
func TestMedia(t *testing.T) {
	mustInstall(t)
	store, endpoint := openBucket(t, keys)
	withBucket(endpoint, keys).script(t, "-d", "apc.enable_cli=1", "/tests/media.php", endpoint)

	// What is rendered for visitors, by another process: the first finds nothing in its own memory.
	withBucket(endpoint, keys).script(t, "/tests/media-page.php", endpoint)

	withBucket(endpoint, aws.Credentials{AccessKeyID: "AKIDOTHER", SecretAccessKey: "x"}).script(t, "/tests/media-refused.php", endpoint)
	for _, key := range store.Keys() {
		if strings.Contains(key, "refused") {
			t.Errorf("%s is in the bucket", key)
		}
	}
}

// Two tasks take the same name at the same moment: both files stand, under two names.
func TestMediaTwoAtOnce(t *testing.T) {
	mustInstall(t)
	store, endpoint := openBucket(t, keys)
	type made struct{ File, SHA256 string }
	var files [2]made
	var wg sync.WaitGroup
	for i := range files {
		wg.Go(func() {
			out, err := withBucket(endpoint, keys).job("", "php", "/tests/media-race.php", endpoint)
			if err == nil {
				err = json.Unmarshal([]byte(out), &files[i])
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	if files[0].File == files[1].File || files[0].SHA256 == files[1].SHA256 {
		t.Fatalf("two uploads became one: %+v", files)
	}
	for _, f := range files {
		data, _ := store.Object(uploads + f.File)
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s has other bytes: %d of them", f.File, len(data))
		}
	}
}

// A browser's upload, by HTTP: 60 MB go from PHP's own file into the bucket and never into memory.
func TestMediaUploadByHTTP(t *testing.T) {
	mustInstall(t)
	store, endpoint := openBucket(t, keys)
	name := "uploads"
	run := withBucket(endpoint, keys).jobContainer(name, "--detach")
	if _, err := docker(nil, append(run, "php", "-S", "0.0.0.0:8080", "/tests/media-upload.php")...); err != nil {
		t.Fatal(err)
	}
	address, err := docker(nil, "inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", shared.name+"-"+name)
	if err != nil {
		t.Fatal(err)
	}
	film := make([]byte, 60<<20)
	rand.Read(film) //nolint:errcheck // never fails, says its documentation
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("film", "film.mp4")
	if err == nil {
		_, err = part.Write(film)
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	var body []byte
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		var response *http.Response
		response, err = http.Post("http://"+strings.TrimSpace(address)+":8080/", w.FormDataContentType(), bytes.NewReader(form.Bytes()))
		if err == nil {
			body, err = io.ReadAll(response.Body)
			response.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			break
		}
	}
	var made struct {
		File, Error string
		Memory      int64
	}
	if err == nil {
		err = json.Unmarshal(body, &made)
	}
	if err != nil || made.Error != "" {
		logs, _ := docker(nil, "logs", "--tail=20", shared.name+"-"+name)
		t.Fatalf("%v %s\n%s\n%s", err, made.Error, body, logs)
	}
	if data, header := store.Object(uploads + made.File); !bytes.Equal(data, film) || header.Get("Content-Type") != "video/mp4" {
		t.Errorf("%s: %d bytes, %v", made.File, len(data), header)
	}
	if made.Memory > 16<<20 {
		t.Errorf("the upload took %d bytes of memory", made.Memory)
	}
}
