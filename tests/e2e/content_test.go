package e2e

import (
	"archive/zip"
	"bytes"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"platen/tests/e2e/site"
)

func TestAPostIsOnEveryTask(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	var post struct{ Link string }
	v.REST(t, http.StatusCreated, http.MethodPost, "/wp/v2/posts",
		map[string]string{"title": "Type cases", "content": "Upper and lower.", "status": "publish"}, &post)
	for _, one := range s.Tasks(t) {
		page := s.VisitTask(t, one).Get(t, http.StatusOK, post.Link)
		if !strings.Contains(page.Body, "Upper and lower.") {
			t.Errorf("%s does not show the post:\n%s", one.Name, site.Excerpt(page.Body))
		}
	}
}

func TestAPictureAndItsThumbnailsAreOnEveryTask(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	var media struct {
		SourceURL    string `json:"source_url"`
		MediaDetails struct {
			Sizes map[string]struct {
				SourceURL string `json:"source_url"`
				Width     int    `json:"width"`
				Height    int    `json:"height"`
			} `json:"sizes"`
		} `json:"media_details"`
	}
	v.Upload(t, "press.png", "image/png", picture(t, 1200, 900), &media)
	if len(media.MediaDetails.Sizes) < 3 {
		t.Fatalf("only %d sizes were made: %+v", len(media.MediaDetails.Sizes), media)
	}
	for _, one := range s.Tasks(t) {
		direct := s.VisitTask(t, one)
		direct.Get(t, http.StatusOK, media.SourceURL)
		for name, size := range media.MediaDetails.Sizes {
			page := direct.Get(t, http.StatusOK, size.SourceURL)
			decoded, err := png.Decode(strings.NewReader(page.Body))
			if err != nil {
				t.Errorf("%s: %s is no picture: %v", one.Name, name, err)
				continue
			}
			if got := decoded.Bounds().Size(); got != image.Pt(size.Width, size.Height) {
				t.Errorf("%s: %s is %v, want %dx%d", one.Name, name, got, size.Width, size.Height)
			}
		}
	}
}

// picture is a PNG with something to see in it.
func picture(t *testing.T, width, height int) []byte {
	t.Helper()
	canvas := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			canvas.Set(x, y, color.RGBA{R: uint8(x * 255 / width), G: uint8(y * 255 / height), B: 160, A: 255})
		}
	}
	var content bytes.Buffer
	if err := png.Encode(&content, canvas); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

// The bound for a change of code to be seen by every task. OPcache looks at files again after
// 30 s; a change that wp-admin made is announced and must not wait for that.
const announced = 15 * time.Second

func TestAPluginLivesThroughTheAdmin(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	version := func(one site.Task) string {
		page, err := s.VisitTask(t, one).Try(http.MethodGet, "/wp-json/galley/v1/version?at="+fmt.Sprint(time.Now().UnixNano()), "", nil)
		if err != nil {
			return err.Error()
		}
		if page.Status == http.StatusNotFound {
			return ""
		}
		return strings.Trim(strings.TrimSpace(page.Body), `"`)
	}
	every := func(what, want string) {
		t.Helper()
		for _, one := range s.Tasks(t) {
			site.Eventually(t, announced, what+" on "+one.Name, func() error {
				if got := version(one); got != want {
					return fmt.Errorf("version %q, want %q", got, want)
				}
				return nil
			})
		}
	}

	installed := uploadPlugin(t, v, "galley", galley("1.0.0"))
	v.Get(t, http.StatusFound, link(t, installed, `plugins\.php\?action=activate&[^"']*`))
	every("installed and activated", "1.0.0")

	again := uploadPlugin(t, v, "galley", galley("1.1.0"))
	v.Get(t, http.StatusOK, link(t, again, `update\.php\?action=upload-plugin&[^"']*overwrite=update-plugin[^"']*`))
	every("updated", "1.1.0")

	list := v.Get(t, http.StatusOK, "/wp-admin/plugins.php")
	v.Get(t, http.StatusFound, link(t, list, `plugins\.php\?action=deactivate&[^"']*galley[^"']*`))
	every("deactivated", "")

	nonce := regexp.MustCompile(`_wpUpdatesSettings = \{"ajax_nonce":"([0-9a-f]+)"`).FindStringSubmatch(list.Body)
	if nonce == nil {
		t.Fatal("the plugins page has no nonce for deleting")
	}
	deleted := v.PostForm(t, http.StatusOK, "/wp-admin/admin-ajax.php", url.Values{
		"action": {"delete-plugin"}, "plugin": {"galley/galley.php"}, "slug": {"galley"}, "_ajax_nonce": {nonce[1]},
	})
	if !strings.Contains(deleted.Body, `"success":true`) {
		t.Fatalf("delete: %s", deleted.Body)
	}
	if page := v.Get(t, http.StatusOK, "/wp-admin/plugins.php"); strings.Contains(page.Body, "galley/galley.php") {
		t.Error("the plugin is still listed")
	}
}

// uploadPlugin sends a zip with the files, as a person does in wp-admin, and returns the page that
// offers to activate the plugin, or to replace the one that is there.
func uploadPlugin(t *testing.T, v *site.Visitor, slug string, files map[string]string) site.Page {
	t.Helper()
	form := v.Get(t, http.StatusOK, "/wp-admin/plugin-install.php?tab=upload")
	nonce := regexp.MustCompile(`name="_wpnonce" value="([0-9a-f]+)"`).FindStringSubmatch(form.Body)
	if nonce == nil {
		t.Fatalf("no upload form:\n%s", site.Excerpt(form.Body))
	}
	return v.PostFile(t, http.StatusOK, "/wp-admin/update.php?action=upload-plugin",
		map[string]string{"_wpnonce": nonce[1], "_wp_http_referer": "/wp-admin/plugin-install.php", "install-plugin-submit": "Install Now"},
		"pluginzip", slug+".zip", zipped(t, slug, files))
}

// galley is a plugin that answers its version, which stands in a second file so that a stale
// OPcache shows.
func galley(version string) map[string]string {
	return map[string]string{
		"galley.php": "<?php\n/*\nPlugin Name: Galley\nVersion: " + version + "\n*/\n" +
			"add_action('rest_api_init', function () {\n" +
			"\tregister_rest_route('galley/v1', '/version', ['methods' => 'GET', 'permission_callback' => '__return_true',\n" +
			"\t\t'callback' => fn() => require __DIR__ . '/version.php']);\n});\n",
		"version.php": "<?php return '" + version + "';\n",
	}
}

// zipped packs files below one folder.
func zipped(t *testing.T, folder string, files map[string]string) []byte {
	t.Helper()
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	for name, body := range files {
		file, err := archive.Create(folder + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

// link returns the address in the admin that matches the pattern, as a path.
func link(t *testing.T, page site.Page, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindString(html.UnescapeString(page.Body))
	if found == "" {
		t.Fatalf("no link %s in\n%s", pattern, page.Body)
	}
	return "/wp-admin/" + found
}
