package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"platen/tests/e2e/site"
)

// Core is the image's: nobody is offered to replace it, and the page says how it is done here.
func TestNobodyIsOfferedACoreUpdate(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	// Which there would be: as if wordpress.org had told of one.
	s.Run(t, 0, "exec", "--", "php", "-r", `require '/usr/share/wordpress/wp-load.php';
		set_site_transient('update_core', (object) ['updates' => [(object) ['response' => 'upgrade', 'current' => '99.0', 'version' => '99.0',
			'locale' => 'en_US', 'download' => 'http://127.0.0.1/', 'packages' => (object) ['full' => 'http://127.0.0.1/', 'no_content' => '', 'new_bundled' => '', 'partial' => '', 'rollback' => ''],
			'php_version' => '7.4', 'mysql_version' => '5.5', 'new_bundled' => '', 'partial_version' => '', 'dismissed' => false]],
			'last_checked' => time(), 'version_checked' => wp_get_wp_version()]);`)
	page := v.Get(t, http.StatusOK, "/wp-admin/update-core.php")
	if !strings.Contains(page.Body, "is part of this site") {
		t.Errorf("the page does not say how WordPress is updated here:\n%s", site.Excerpt(page.Body))
	}
	if strings.Contains(page.Body, "do-core-upgrade") {
		t.Error("the page offers to update WordPress itself")
	}
	for _, path := range []string{"/wp-admin/", "/wp-admin/plugins.php"} {
		if strings.Contains(v.Get(t, http.StatusOK, path).Body, "update-nag") {
			t.Errorf("%s nags for an update that is not made here", path)
		}
	}
}

// proof is a plugin whose events count how often they ran.
const proof = `<?php
/*
Plugin Name: Proof
Version: 1
*/
add_action('proof_tick', function ($n) {
	global $wpdb;
	$wpdb->insert($wpdb->prefix . 'platen_proof', ['n' => $n]);
});
add_action('rest_api_init', function () {
	$open = ['permission_callback' => '__return_true'];
	register_rest_route('proof/v1', '/begin', $open + ['methods' => 'POST', 'callback' => function () {
		global $wpdb;
		$wpdb->query("CREATE TABLE IF NOT EXISTS {$wpdb->prefix}platen_proof (n int)");
		foreach (range(1, 5) as $n) { wp_schedule_single_event(time() - 1, 'proof_tick', [$n]); }
		return 'scheduled';
	}]);
	register_rest_route('proof/v1', '/ran', $open + ['methods' => 'GET', 'callback' => function () {
		global $wpdb;
		return array_map('intval', $wpdb->get_col("SELECT n FROM {$wpdb->prefix}platen_proof ORDER BY n"));
	}]);
});
`

// Due events run without visitors, each once, though every task's agent asks every minute. And the
// plugin editor works: it asks the site by its own address whether the change broke it.
func TestCronAndThePluginEditor(t *testing.T) {
	s := sharedSite(t)
	v := s.Visitor(t)
	v.Login(t, s.Credentials(t))
	installed := uploadPlugin(t, v, "proof", map[string]string{"proof.php": proof})
	v.Get(t, http.StatusFound, link(t, installed, `plugins\.php\?action=activate&[^"']*`))
	v.REST(t, http.StatusOK, http.MethodPost, "/proof/v1/begin", nil, nil)

	edit := func(content string) string {
		t.Helper()
		page := v.Get(t, http.StatusOK, "/wp-admin/plugin-editor.php?plugin=proof%2Fproof.php")
		nonce := regexp.MustCompile(`name="nonce" value="([0-9a-f]+)"`).FindStringSubmatch(page.Body)
		if nonce == nil {
			t.Fatalf("no editor:\n%s", site.Excerpt(page.Body))
		}
		return v.PostForm(t, http.StatusOK, "/wp-admin/admin-ajax.php", url.Values{
			"action": {"edit-theme-plugin-file"}, "nonce": {nonce[1]}, "plugin": {"proof/proof.php"}, "file": {"proof/proof.php"},
			"newcontent": {content},
		}).Body
	}
	// What the editor and the request that it makes agree on lies in the object cache, which may be lost
	// at any time: the editor then takes the change back and says so, and one tries again.
	site.Eventually(t, time.Minute, "the editor takes a change", func() error {
		if said := edit(proof + "// edited\n"); !strings.Contains(said, `"success":true`) {
			return fmt.Errorf("the editor: %s", said)
		}
		return nil
	})
	if said := edit(proof + "this_function_does_not_exist();\n"); !strings.Contains(said, `"success":false`) || !strings.Contains(said, "this_function_does_not_exist") {
		t.Errorf("a change that breaks the site: %s", said)
	}
	v.Get(t, http.StatusOK, "/") // it was taken back

	var ran []int
	site.Eventually(t, 2*time.Minute, "due events run", func() error {
		v.REST(t, http.StatusOK, http.MethodGet, "/proof/v1/ran", nil, &ran)
		if len(ran) < 5 {
			return fmt.Errorf("events %v ran", ran)
		}
		return nil
	})
	if fmt.Sprint(ran) != "[1 2 3 4 5]" {
		t.Errorf("events %v ran, want each once", ran)
	}
}
