package e2e

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/task"
	"platen/tests/e2e/site"
)

func TestFrontPageShowsTheSite(t *testing.T) {
	s := sharedSite(t)
	page := s.Visitor(t).Get(t, http.StatusOK, "/")
	if !strings.Contains(page.Body, "<title>"+html.EscapeString(sharedTitle)) {
		t.Errorf("no title %q in\n%s", sharedTitle, site.Excerpt(page.Body))
	}
	if strings.Contains(page.Body, "Fatal error") || strings.Contains(page.Body, "Warning: ") {
		t.Errorf("PHP complains on the page:\n%s", page.Body)
	}
}

func TestPermalinkLeadsToAPost(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	var posts []struct{ Link string }
	v.REST(t, http.StatusOK, http.MethodGet, "/wp/v2/posts?per_page=1", nil, &posts)
	if len(posts) != 1 {
		t.Fatalf("a new site has %d posts, want WordPress' first", len(posts))
	}
	if strings.Contains(posts[0].Link, "?p=") {
		t.Errorf("permalinks are off: %s", posts[0].Link)
	}
	if page := v.Get(t, http.StatusOK, posts[0].Link); !strings.Contains(page.Body, html.EscapeString(sharedTitle)+"</title>") {
		t.Errorf("the post's page is not of %q:\n%s", sharedTitle, site.Excerpt(page.Body))
	}
}

var assetLink = regexp.MustCompile(`(?:href|src)=["']([^"']+\.(css|js|png|svg|woff2)(?:\?[^"']*)?)["']`)

func TestAssetsHaveTheirTypes(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	want := map[string][]string{
		"css": {"text/css"}, "js": {"text/javascript", "application/javascript"}, "png": {"image/png"},
		"svg": {"image/svg+xml"}, "woff2": {"font/woff2"},
	}
	links := [][]string{
		{"", "/wp-includes/css/dashicons.min.css", "css"},
		{"", "/wp-includes/js/jquery/jquery.min.js", "js"},
		{"", "/wp-admin/images/wordpress-logo.svg", "svg"},
		{"", "/wp-includes/images/media/default.png", "png"},
	}
	for _, page := range []string{"/", "/wp-login.php"} {
		links = append(links, assetLink.FindAllStringSubmatch(v.Get(t, http.StatusOK, page).Body, -1)...)
	}
	for _, link := range links {
		asset := v.Get(t, http.StatusOK, html.UnescapeString(link[1]))
		kind, _, _ := strings.Cut(asset.Header.Get("Content-Type"), ";")
		if !slices.Contains(want[link[2]], kind) {
			t.Errorf("%s is %q, want one of %q", link[1], kind, want[link[2]])
		}
		if len(asset.Body) == 0 {
			t.Errorf("%s is empty", link[1])
		}
	}
}

func TestLoginOpensTheAdmin(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	page := v.Get(t, http.StatusOK, "/wp-admin/")
	if !strings.Contains(page.Body, "wpadminbar") {
		t.Errorf("wp-admin does not look like it:\n%s", site.Excerpt(page.Body))
	}
	// The session lives outside of the tasks: each of them knows it.
	for _, one := range s.Tasks(t) {
		v.As(t, one).Get(t, http.StatusOK, "/wp-admin/profile.php")
	}
}

// Nobody who finds the site first may take it over, and nobody may start an upgrade from outside.
func TestInstallerIsNotReachable(t *testing.T) {
	s := sharedSite(t)
	for _, path := range []string{
		"/wp-admin/install.php", "/wp-admin/install.php?step=1", "/wp-admin/upgrade.php?step=1",
		"/wp-admin/setup-config.php", "/wp-config.php", "/wp-admin//install.php", "/wp-admin/install.php/x",
	} {
		page, err := s.Visitor(t).Try(http.MethodGet, path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if page.Status == http.StatusOK && page.Body != "" {
			t.Errorf("%s answers 200:\n%s", path, site.Excerpt(page.Body))
		}
	}
}

func TestPHPInUploadsNeverRuns(t *testing.T) {
	s := sharedSite(t)
	s.Run(t, 0, "exec", "--", "php", "-r",
		"$d = '"+task.Content+"/uploads'; @mkdir($d); file_put_contents(\"$d/evil.php\", '<?php echo 6 * 7000;'); file_put_contents(\"$d/good.txt\", 'good');")
	s.Visitor(t).Get(t, http.StatusOK, "/wp-content/uploads/good.txt") // it is the folder that visitors see
	page, err := s.Visitor(t).Try(http.MethodGet, "/wp-content/uploads/evil.php", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status == http.StatusOK || strings.Contains(page.Body, "42000") {
		t.Errorf("status %d: %s", page.Status, page.Body)
	}
}

func TestHealthEndpoints(t *testing.T) {
	s := sharedSite(t)
	for _, one := range s.Tasks(t) {
		s.VisitTask(t, one).Get(t, http.StatusOK, task.HealthURL)
	}
	page, err := s.Visitor(t).Try(http.MethodGet, task.SiteURL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status == http.StatusOK {
		t.Errorf("%s answers without its token", task.SiteURL)
	}
}

func TestStatusShowsEveryTier(t *testing.T) {
	s := sharedSite(t)
	status := s.Status(t)
	if !status.Healthy || status.URL != s.URL() || status.Environment != "local" || status.Release == "" {
		t.Errorf("status: %+v", status)
	}
	tiers := map[string]report.Tier{}
	for _, tier := range status.Tiers {
		tiers[tier.Name] = tier
		for _, member := range tier.Members {
			if !member.Healthy {
				t.Errorf("%s/%s is not healthy: %s", tier.Name, member.Name, member.Detail)
			}
		}
	}
	for name, members := range map[string]int{"edge": 1, "web": 2, "database": 1, "sessions": 1, "objects": 1} {
		if got := len(tiers[name].Members); got < members {
			t.Errorf("tier %s has %d members, want %d", name, got, members)
		}
	}
}

func TestUpAgainChangesNothing(t *testing.T) {
	s := sharedSite(t)
	before := s.Containers(t)
	done := s.Up(t).Done()
	if done.Changed == nil || *done.Changed {
		t.Errorf("the second up says changed: %+v", done)
	}
	after := s.Containers(t)
	if len(before) != len(after) {
		t.Fatalf("%d containers became %d", len(before), len(after))
	}
	for i := range before {
		if before[i].ID != after[i].ID || before[i].Started != after[i].Started {
			t.Errorf("%s was touched", before[i].Service)
		}
	}
}

func TestEventsEndWithDone(t *testing.T) {
	s := sharedSite(t)
	done := shared.up.Done()
	if done.OK == nil || !*done.OK || done.URL != s.URL() || done.Release == "" || done.Changed == nil || !*done.Changed {
		t.Errorf("the last event of the first up: %+v", done)
	}
	for _, e := range shared.up {
		if e.Time.IsZero() {
			t.Errorf("an event without its time: %+v", e)
		}
	}
}

func TestContainersAreHardened(t *testing.T) {
	s := sharedSite(t)
	for _, c := range s.Containers(t) {
		host := c.Inspect.HostConfig
		if !host.ReadonlyRootfs {
			t.Errorf("%s: its root file system can be written", c.Service)
		}
		if !slices.Contains(host.CapDrop, "ALL") && !slices.Contains(host.CapDrop, "all") {
			t.Errorf("%s keeps capabilities: dropped %v", c.Service, host.CapDrop)
		}
		if !slices.Contains(host.SecurityOpt, "no-new-privileges") && !slices.Contains(host.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges: %v", c.Service, host.SecurityOpt)
		}
		if user := c.Inspect.Config.User; c.State == "running" && (user == "" || user == "root" || strings.HasPrefix(user, "0")) {
			t.Errorf("%s runs as %q", c.Service, user)
		}
		if host.Memory == 0 {
			t.Errorf("%s has no memory limit", c.Service)
		}
		for port, bindings := range host.PortBindings {
			for _, binding := range bindings {
				if c.Tier != "edge" || !binding.HostIP.IsLoopback() {
					t.Errorf("%s publishes %s on %s", c.Service, port, binding.HostIP)
				}
			}
		}
	}
}

// Whoever may read `docker inspect` or the logs learns no secret.
func TestSecretsStayOutOfInspectAndLogs(t *testing.T) {
	s := sharedSite(t)
	secrets := map[string]string{"the administrator's password": s.Credentials(t).Password}
	read := s.Run(t, 0, "exec", "--", "php", "-r",
		"$s = []; foreach (glob('"+task.Secrets+"/*') as $f) { is_file($f) && $s[basename($f)] = trim(file_get_contents($f)); } echo json_encode($s);")
	kept := map[string]string{}
	if err := json.Unmarshal([]byte(read.Stdout), &kept); err != nil {
		t.Fatalf("%v\n%s", err, read.Stdout)
	}
	for _, name := range []string{task.SecretDatabase, task.SecretSessions, task.SecretObjects, task.SecretSalt, task.SecretSiteToken} {
		secrets[name] = kept[name]
	}
	for name, secret := range secrets {
		if len(secret) < 16 {
			t.Fatalf("%s has %d characters", name, len(secret))
		}
	}
	logs := s.Run(t, 0, "logs").Stdout
	for _, c := range s.Containers(t) {
		content, err := json.Marshal(c.Inspect)
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range secrets {
			if strings.Contains(string(content), secret) {
				t.Errorf("docker inspect %s shows %s", c.Service, name)
			}
		}
		for _, variable := range c.Inspect.Config.Env {
			name, value, _ := strings.Cut(variable, "=")
			if (strings.Contains(name, "PASSWORD") || strings.Contains(name, "TOKEN")) && value != "" {
				t.Errorf("%s carries %s in its environment", c.Service, name)
			}
		}
	}
	for name, secret := range secrets {
		if strings.Contains(logs, secret) {
			t.Errorf("the logs show %s", name)
		}
	}
}

// Site Health's loopback, the plugin editor and cron ask the site by its own address.
func TestAContainerReachesItsOwnSite(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	var answer struct{ Status, Label, Description string }
	v.REST(t, http.StatusOK, http.MethodGet, "/wp-site-health/v1/tests/loopback-requests", nil, &answer)
	if answer.Status != "good" {
		t.Errorf("Site Health: %+v", answer)
	}
}
