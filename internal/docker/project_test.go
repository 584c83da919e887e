package docker

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/compose"

	"platen/internal/release"
	"platen/internal/site"
	"platen/internal/topology"
)

var update = flag.Bool("write-golden", false, "write the golden files anew")

// blog is a topology that is the same on every machine.
func blog(t *testing.T) (topology.Topology, release.Release) {
	t.Helper()
	spec, err := site.Default("/srv/blog").Environment("local")
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]string{}
	for _, name := range topology.Images {
		images[name] = "platen/blog-" + name + ":0123456789ab"
	}
	top, err := topology.For(spec, topology.State{Port: 8080, Images: images})
	if err != nil {
		t.Fatal(err)
	}
	top.Folder = "/srv/blog"
	return top, release.New(images, top.Web.Config, "test@here", time.Unix(0, 0))
}

func TestComposeRendersGolden(t *testing.T) {
	top, r := blog(t)
	text, err := Compose(top, r)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "compose.yaml")
	if *update {
		if err := os.WriteFile(golden, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("the rendered compose file is not testdata/compose.yaml (go test -run Golden -write-golden writes it):\n%s", text)
	}
}

func TestEveryServiceIsHardened(t *testing.T) {
	top, r := blog(t)
	p, err := Project(top, &r, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		root := strings.HasPrefix(s.User, "0:")
		switch {
		case !s.ReadOnly:
			t.Errorf("%s can write its root", name)
		case strings.Join(s.CapDrop, " ") != "ALL":
			t.Errorf("%s drops only %v", name, s.CapDrop)
		case len(s.CapAdd) > 0 && name != topology.ServiceInit, root && name != topology.ServiceInit:
			t.Errorf("%s is root or has %v", name, s.CapAdd)
		case strings.Join(s.SecurityOpt, " ") != "no-new-privileges:true":
			t.Errorf("%s has %v", name, s.SecurityOpt)
		case s.MemLimit == 0 || s.PidsLimit == 0:
			t.Errorf("%s has no limit of memory or processes", name)
		case s.MemSwapLimit != s.MemLimit:
			t.Errorf("%s may swap: memory %d, with swap %d", name, s.MemLimit, s.MemSwapLimit)
		case s.NetworkMode != "" && name != topology.ServiceInit:
			t.Errorf("%s uses the network of %s, which may be gone when the engine starts both", name, s.NetworkMode)
		case s.Image == "":
			t.Errorf("%s has no image", name)
		case len(s.Ports) > 0 && (name != topology.ServiceEdge || len(s.Ports) != 1 || s.Ports[0].HostIP != "127.0.0.1"):
			t.Errorf("%s publishes %v", name, s.Ports)
		}
		for _, mount := range s.Volumes {
			if mount.Volume == nil || !mount.Volume.NoCopy {
				t.Errorf("%s lets Docker copy into the volume at %s", name, mount.Target)
			}
			if strings.HasPrefix(mount.Source, "secrets-") && !mount.ReadOnly && name != topology.ServiceInit {
				t.Errorf("%s can write secrets", name)
			}
		}
	}
}

// Only the endpoints stand between the site and its data, and only the edge before it.
func TestNetworksKeepTiersApart(t *testing.T) {
	top, r := blog(t)
	p, err := Project(top, &r, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"edge": "front", "endpoints": "back data", "db-1": "data", "sessions-1": "data", "objects-1": "data",
		"mail": "back", "web-1-php": "back front", "web-1-nginx": "front",
	} {
		s := p.Services[name]
		if got := strings.Join(sorted(s.Networks), " "); got != want {
			t.Errorf("%s is on %q, want %q", name, got, want)
		}
	}
	if !p.Networks["back"].Internal || !p.Networks["data"].Internal || p.Networks["front"].Internal {
		t.Errorf("back and data are internal, front is not: %v", p.Networks)
	}
}

// What a web task is must not change with the number of tasks, or scaling would replace them.
func TestTaskIsTheSameHoweverMany(t *testing.T) {
	top, r := blog(t)
	one, err := Project(top, &r, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	top.Web.Tasks.Min = 4
	four, err := Project(top, &r, []int{1, 2, 3, 4})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range one.Services {
		if a, b := mustHash(t, s), mustHash(t, four.Services[name]); a != b {
			t.Errorf("%s differs between one task and four", name)
		}
	}
}

// The rendered file is read by Compose's own loader, and means what the project means.
func TestComposeFileLoads(t *testing.T) {
	top, r := blog(t)
	top.Install.Title = "US$ and ${HOME}"
	top.Web.Config.PHP.Settings = map[string]string{"x": "$y"}
	r.Config = top.Web.Config
	text, err := Compose(top, r)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := loader.LoadWithContext(context.WithoutCancel(t.Context()), types.ConfigDetails{
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: text}},
		Environment: types.Mapping{},
	}, func(o *loader.Options) { o.SetProjectName(top.Project, true) })
	if err != nil {
		t.Fatal(err)
	}
	p, err := Project(top, &r, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		for variable, want := range s.Environment {
			if got := loaded.Services[name].Environment[variable]; got == nil || *got != *want {
				t.Errorf("%s of %s is not what it was: %v", variable, name, got)
			}
		}
	}
}

func mustHash(t *testing.T, s types.ServiceConfig) string {
	t.Helper()
	hash, err := compose.ServiceHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}
