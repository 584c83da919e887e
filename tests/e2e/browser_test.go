package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// screenshots is where CI finds what the browser saw. It is not in the repository.
const screenshots = "../../out/screenshots"

// A person logs in, writes a post with a picture in the block editor, and a visitor reads it.
func TestAPersonWritesAPostWithAPicture(t *testing.T) {
	s := sharedSite(t)
	credentials := s.Credentials(t)
	file := filepath.Join(t.TempDir(), "platen.png")
	if err := os.WriteFile(file, picture(t, 800, 600), 0o644); err != nil {
		t.Fatal(err)
	}
	author := browser(t)

	author.do(t, "log in",
		chromedp.Navigate(s.URL()+"/wp-login.php"),
		// A fifth of a second after it is there the page selects what stands in its first field: what
		// is typed before that is replaced by what is typed after it. Set as a whole, it stays.
		chromedp.SetValue(chromedp.ID("user_login"), credentials.User),
		chromedp.SetValue(chromedp.ID("user_pass"), credentials.Password),
	)
	author.submit(t, press("#wp-submit"))
	author.do(t, "see the dashboard", chromedp.WaitVisible(chromedp.ID("wpadminbar")))
	author.screenshot(t, "1-dashboard")

	author.do(t, "upload a picture",
		chromedp.Navigate(s.URL()+"/wp-admin/media-new.php?browser-uploader"),
		chromedp.SetUploadFiles(chromedp.ID("async-upload"), []string{file}),
	)
	author.submit(t, press("#html-upload"))

	author.do(t, "open the editor",
		chromedp.Navigate(s.URL()+"/wp-admin/post-new.php"),
		chromedp.WaitVisible(chromedp.CSS(".editor-post-publish-button__button, .editor-post-publish-panel__toggle")),
	)
	// The canvas is an iframe whose inside changes with every release: what is typed there goes
	// through the editor's own data API. Publishing is done with the buttons.
	const write = `(async () => {
		const media = await wp.apiFetch({ path: '/wp/v2/media?per_page=1' });
		const { createBlock } = wp.blocks;
		wp.data.dispatch('core/preferences').set('core/edit-post', 'welcomeGuide', false);
		wp.data.dispatch('core/editor').editPost({ title: 'Printed by a browser' });
		await wp.data.dispatch('core/block-editor').insertBlocks([
			createBlock('core/paragraph', { content: 'Ink is dry.' }),
			createBlock('core/image', { id: media[0].id, url: media[0].source_url, sizeSlug: 'large' }),
		]);
		return wp.data.select('core/block-editor').getBlockCount();
	})()`
	blocks := run(t, author, "write", chromedp.Evaluate[int](write, chromedp.EvalAwaitPromise))
	if blocks < 2 {
		t.Fatalf("the editor holds %d blocks", blocks)
	}
	author.do(t, "open the publish panel", press(".editor-post-publish-panel__toggle"),
		chromedp.WaitVisible(chromedp.CSS(".editor-post-publish-panel .editor-post-publish-button")))
	author.do(t, "publish", press(".editor-post-publish-panel .editor-post-publish-button"),
		chromedp.WaitVisible(chromedp.CSS(".post-publish-panel__postpublish")))
	author.screenshot(t, "2-published")
	address := run(t, author, "find the post", chromedp.Evaluate[string](`wp.data.select('core/editor').getPermalink()`))
	if !strings.HasPrefix(address, s.URL()+"/") {
		t.Fatalf("the post is at %q", address)
	}

	reader := browser(t) // another profile: nobody is logged in there
	reader.do(t, "read the post", chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("main img, .wp-block-image img")))
	width := run(t, reader, "look at the picture", chromedp.Poll[int](`(() => {
		const img = document.querySelector('.wp-block-image img');
		return img && img.complete && img.naturalWidth;
	})()`))
	if width < 300 {
		t.Errorf("the picture is %d pixels wide", width)
	}
	if text := run(t, reader, "read the text", chromedp.Text(chromedp.CSS("body"))); !strings.Contains(text, "Ink is dry.") || !strings.Contains(text, "Printed by a browser") {
		t.Errorf("the visitor reads:\n%s", text)
	}
	if bar := run(t, reader, "look for the admin bar", chromedp.Evaluate[int](`document.querySelectorAll('#wpadminbar').length`)); bar != 0 {
		t.Error("the visitor is logged in")
	}
	reader.screenshot(t, "3-read-by-a-visitor")
}

// person is somebody with a browser window.
type person struct{ ctx context.Context }

// browser starts chromium with a profile of its own.
func browser(t *testing.T) person {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("force-prefers-reduced-motion", true))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // its sandbox refuses to work for root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeWindow := chromedp.NewContext(allocator)
	t.Cleanup(closeWindow)
	// The first run starts the browser, which lives as long as that context.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return person{ctx}
}

const patience = 90 * time.Second // two busy cores, a cold OPcache and the editor's megabytes

func (p person) do(t *testing.T, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	run(t, p, what, chromedp.Steps(steps...))
}

// press clicks on what a person could hit: it is there, enabled, stands still for three frames, and
// nothing lies over it. A click is sent to a place on the screen, and the editor moves its buttons,
// slides its panels in, and covers them with a guide.
func press(selector string) chromedp.Action[chromedp.Void] {
	hittable := fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		if (!e || e.disabled || e.getAttribute('aria-disabled') === 'true') { return false; }
		const r = e.getBoundingClientRect();
		const at = [r.x, r.y, r.width, r.height].join();
		const still = e.platenAt === at ? e.platenStill + 1 : 0;
		e.platenAt = at;
		e.platenStill = still;
		const top = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
		return still >= 3 && (top === null || e.contains(top));
	})()`, selector)
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		if _, err := chromedp.Poll[bool](hittable, chromedp.WithPollingTimeout(0))(ctx, target); err != nil {
			return chromedp.Void{}, fmt.Errorf("wait until %s can be hit: %w", selector, err)
		}
		return chromedp.Click(chromedp.CSS(selector))(ctx, target)
	}
}

// submit does what leads to another page, and waits until that has loaded.
func (p person) submit(t *testing.T, step chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, step)
	if err != nil {
		p.screenshot(t, "failed-submit")
		t.Fatalf("submit: %v", err)
	}
	if response.Status >= 400 {
		t.Fatalf("submit: status %v at %s", response.Status, response.URL)
	}
}

func run[T any](t *testing.T, p person, what string, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		p.screenshot(t, "failed-"+strings.ReplaceAll(what, " ", "-"))
		t.Fatalf("%s: %v", what, err)
	}
	return value
}

func (p person) screenshot(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	content, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.MkdirAll(screenshots, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(screenshots, name+".png"), content, 0o644)
	}
	if err != nil {
		t.Errorf("screenshot %s: %v", name, err)
	}
}
