package e2e

import (
	"net/http"
	"strings"
	"testing"

	"platen/tests/e2e/site"
)

// The live tree has the terminal in raw mode, where Ctrl-C is a key and no signal.
func TestCtrlCOnTheLiveTree(t *testing.T) {
	sharedSite(t)
	s := site.New(t)
	s.Configure(t, "web: {tasks: 1}")
	up := s.Terminal(t, "up", "--yes")
	up.Until(t, "images")
	up.Type(t, "\x03")
	if exit := up.Wait(t); exit != 130 {
		t.Errorf("exit %d, want 130:\n%s", exit, up.Screen())
	}
	for _, want := range []string{"stopping cleanly", "platen up"} {
		if !strings.Contains(up.Screen(), want) {
			t.Errorf("no %q on the screen:\n%s", want, up.Screen())
		}
	}

	// Again, to its end: the tree is drawn, and the address stands below it.
	whole := s.Terminal(t, "up", "--yes")
	whole.Until(t, "http://localhost:")
	if exit := whole.Wait(t); exit != 0 {
		t.Fatalf("exit %d:\n%s", exit, whole.Screen())
	}
	s.At(s.Status(t).URL)
	s.Visitor(t).Get(t, http.StatusOK, "/")
}
