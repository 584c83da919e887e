package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"platen/internal/task"
	"platen/tests/e2e/site"
)

// content: image builds plugins and themes in: they run on every task, wp-admin cannot change them,
// and another version of them is another release.
func TestPluginsThatAreBuiltIn(t *testing.T) {
	sharedSite(t)
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}", "wordpress: {content: image, plugins: [./galley]}")
	plugin := func(version string) {
		for name, content := range galley(version) {
			s.Write(t, "galley/"+name, content)
		}
	}
	plugin("1.0.0")
	before := s.Up(t).Done().Release
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))

	var plugins []struct{ Plugin, Status string }
	v.REST(t, http.StatusOK, http.MethodGet, "/wp/v2/plugins", nil, &plugins)
	if !slices.ContainsFunc(plugins, func(p struct{ Plugin, Status string }) bool { return p.Plugin == "galley/galley" }) {
		t.Fatalf("the site has the plugins %+v", plugins)
	}
	list := v.Get(t, http.StatusOK, "/wp-admin/plugins.php")
	v.Get(t, http.StatusFound, link(t, list, `plugins\.php\?action=activate&[^"']*galley[^"']*`))
	version := func() string { return strings.TrimSpace(v.Get(t, http.StatusOK, "/wp-json/galley/v1/version").Body) }
	if got := version(); got != `"1.0.0"` {
		t.Errorf("the plugin answers %s", got)
	}
	if page, err := v.Try(http.MethodGet, "/wp-admin/plugin-install.php", "", nil); err != nil || page.Status == http.StatusOK {
		t.Errorf("wp-admin offers to install plugins: %d, %v", page.Status, err)
	}
	// PHP itself could not write there either.
	wrote := s.Run(t, 0, "exec", "--", "php", "-r", "var_dump(@file_put_contents('"+task.Content+"/plugins/evil.php', '<?php'));").Stdout
	if !strings.Contains(wrote, "bool(false)") {
		t.Errorf("a job wrote among the plugins: %s", wrote)
	}
	// Pictures are the share's all the same.
	var media struct {
		URL string `json:"source_url"`
	}
	v.Upload(t, "built-in.png", "image/png", picture(t, 64, 64), &media)
	v.Get(t, http.StatusOK, media.URL)

	plugin("2.0.0")
	if after := s.Up(t).Done().Release; after == before {
		t.Errorf("another plugin left the release %s serving", after)
	}
	if got := version(); got != `"2.0.0"` {
		t.Errorf("after up the plugin answers %s", got)
	}
	v.Get(t, http.StatusOK, media.URL)
}
