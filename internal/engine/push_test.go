package engine

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"platen/internal/image"
	"platen/internal/report"
)

func TestImagePush(t *testing.T) {
	var got PushRequest
	e := &Engine{
		Build: func(_ context.Context, r BuildRequest, _ report.Sink) ([]image.Image, error) {
			var images []image.Image
			for _, p := range r.Platforms {
				for _, n := range r.Names {
					images = append(images, image.Image{Name: n, Platform: p})
				}
			}
			return images, nil
		},
		Push: func(_ context.Context, r PushRequest, images []image.Image, _ report.Sink) (map[string]string, error) {
			got = r
			references := map[string]string{}
			for _, img := range images {
				references[img.Name] = r.Repository(img.Name) + "@sha256:" + img.Name
			}
			return references, nil
		},
	}
	o := ImagePushOptions{To: "registry.example.com:5000/team/", Tag: "v1"}
	o.Folder = t.TempDir() + "/blog"
	o.Names, o.Platforms = []string{"nginx", "jobs"}, []string{"linux/amd64", "linux/arm64"}
	list, err := e.ImagePush(context.Background(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Pushed{
		{"nginx", "registry.example.com:5000/team/blog-nginx@sha256:nginx", "sha256:nginx", o.Platforms},
		{"jobs", "registry.example.com:5000/team/blog-jobs@sha256:jobs", "sha256:jobs", o.Platforms},
	}
	if !reflect.DeepEqual(list, want) || got.Tag != "v1" {
		t.Errorf("pushed %+v under %q, want %+v", list, got.Tag, want)
	}
}

func TestImagePushWantsARegistry(t *testing.T) {
	for to, good := range map[string]bool{
		"registry.example.com/team": true, "registry.example.com": true, "localhost/x": true, "localhost:5000": true, "docker.io/me": true,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web/": true,
		"team": false, "team/x": false, "": false, "https://registry.example.com/x": false, "registry.example.com/x:v1": false, "registry.example.com/x@sha256:a": false,
	} {
		_, err := pushPrefix(to)
		var usage *UsageError
		if (err == nil) != good || err != nil && !errors.As(err, &usage) {
			t.Errorf("%q: %v, want good = %t", to, err, good)
		}
	}
}
