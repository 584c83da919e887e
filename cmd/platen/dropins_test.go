package main

import (
	"io/fs"
	"path"
	"slices"
	"testing"

	"platen/internal/image"
	"platen/rootfs"
)

// WordPress finds drop-ins only in wp-content. Where that is a share the agent writes locators;
// where it is the image's, the image itself must have them: without, the object cache was off.
func TestEveryDropInIsFoundWhereContentIsTheImages(t *testing.T) {
	data, err := fs.ReadFile(rootfs.FS, "wordpress/image.yaml")
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := image.ParseRecipe("wordpress", data)
	if err != nil {
		t.Fatal(err)
	}
	var links []image.Link
	for _, l := range recipe.Layers {
		if l.Content == "image" {
			links = append(links, l.Links...)
		}
	}
	dropins, err := fs.Glob(rootfs.FS, "wordpress/usr/share/platen/drop-ins/*.php")
	if err != nil || len(dropins) == 0 {
		t.Fatalf("no drop-ins: %v", err)
	}
	for _, name := range dropins {
		name = path.Base(name)
		want := image.Link{Path: "usr/share/wordpress/wp-content/" + name, To: "/usr/share/platen/drop-ins/" + name}
		if !slices.Contains(links, want) {
			t.Errorf("wordpress/image.yaml has no link %+v", want)
		}
	}
}
