package cli

import (
	"strings"
	"testing"

	"platen/internal/engine"
	"platen/internal/image"
)

func TestAnUpdateOfAnArchiveIsPrinted(t *testing.T) {
	print := func(u engine.ImageUpdate) string {
		var out strings.Builder
		a := &app{out: &out}
		a.printUpdate(u)
		return out.String()
	}
	if got := print(engine.ImageUpdate{}); !strings.Contains(got, "nothing is newer") {
		t.Errorf("printed %q", got)
	}
	got := print(engine.ImageUpdate{Archives: []image.ArchiveChange{
		{Name: "wordpress", From: &image.ArchivePin{Version: "6.8.3", SHA256: "aa"}, To: &image.ArchivePin{Version: "6.8.3", SHA256: "bb"}},
	}})
	if strings.Contains(got, "nothing is newer") || !strings.Contains(got, "wordpress 6.8.3 was replaced by its publisher: SHA-256 aa became bb") {
		t.Errorf("printed %q", got)
	}
}
