package debian_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"platen/internal/debian/debiantest"
	"platen/internal/report"
)

type pkg = debiantest.Package

func TestResolve(t *testing.T) {
	const sec, upd = debiantest.Security, debiantest.Updates
	tests := []struct {
		name     string
		packages []pkg
		roots    string
		exclude  string
		want     string // name=version(archive) …
	}{
		{
			name: "closure without recommends, in order of names",
			packages: []pkg{{Name: "web", Depends: "libb (>= 1), liba:any"}, {Name: "liba", PreDepends: "libc"},
				{Name: "libb"}, {Name: "libc"}, {Name: "other"}},
			roots: "web", want: "liba=1.0-1(main) libb=1.0-1(main) libc=1.0-1(main) web=1.0-1(main)",
		},
		{
			name: "the highest version of the three archives",
			packages: []pkg{{Name: "a", Version: "1.9-1"}, {Name: "a", Version: "1.10-1", Archive: sec},
				{Name: "b", Version: "2"}, {Name: "b", Version: "2.1", Archive: upd}, {Name: "b", Version: "1:0", Archive: sec},
				{Name: "c", Version: "3"}, {Name: "c", Version: "3~sec1", Archive: sec}},
			roots: "a b c", want: "a=1.10-1(security) b=1:0(security) c=3(main)",
		},
		{
			name:     "the first alternative",
			packages: []pkg{{Name: "web", Depends: "x | y"}, {Name: "x"}, {Name: "y"}},
			roots:    "web", want: "web=1.0-1(main) x=1.0-1(main)",
		},
		{
			name:     "the first alternative that exists in a good version",
			packages: []pkg{{Name: "web", Depends: "none | x (>= 2) | y"}, {Name: "x"}, {Name: "y"}},
			roots:    "web", want: "web=1.0-1(main) y=1.0-1(main)",
		},
		{
			name:     "what is chosen anyway, whatever the order of the roots",
			packages: []pkg{{Name: "web", Depends: "x | y"}, {Name: "aaa", Depends: "y"}, {Name: "x"}, {Name: "y"}},
			roots:    "web aaa", want: "aaa=1.0-1(main) web=1.0-1(main) y=1.0-1(main)",
		},
		{
			name: "a virtual package: the one with the higher priority",
			packages: []pkg{{Name: "web", PreDepends: "awk"}, {Name: "gawk", Provides: "awk", Priority: "optional"},
				{Name: "mawk", Provides: "awk", Priority: "required"}},
			roots: "web", want: "mawk=1.0-1(main) web=1.0-1(main)",
		},
		{
			name: "a versioned provide",
			packages: []pkg{{Name: "web", Depends: "api (= 20)"}, {Name: "old", Provides: "api (= 19)"},
				{Name: "vague", Provides: "api"}, {Name: "zoo", Provides: "api (= 20), more"}},
			roots: "web", want: "web=1.0-1(main) zoo=1.0-1(main)",
		},
		{
			name:     "a provide of an outdated version does not count",
			packages: []pkg{{Name: "web", Depends: "api"}, {Name: "a", Provides: "api"}, {Name: "a", Version: "2", Archive: sec}, {Name: "b", Provides: "api"}},
			roots:    "web", want: "b=1.0-1(main) web=1.0-1(main)",
		},
		{
			name: "excluded packages count as installed, with what they provide",
			packages: []pkg{{Name: "web", Depends: "debconf (>= 0.5) | debconf-2.0, perl:any, liba"},
				{Name: "debconf", Provides: "debconf-2.0", Depends: "deep"}, {Name: "cdebconf", Provides: "debconf-2.0"},
				{Name: "liba", Depends: "debconf-2.0"}, {Name: "perl"}, {Name: "deep"}},
			roots: "web", exclude: "debconf perl", want: "liba=1.0-1(main) web=1.0-1(main)",
		},
		{
			name:     "a circle",
			packages: []pkg{{Name: "a", Depends: "b"}, {Name: "b", Depends: "a"}},
			roots:    "b a b", want: "a=1.0-1(main) b=1.0-1(main)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := open(t, debiantest.New(t, tt.packages...))
			got, err := a.Resolve(context.Background(), "amd64", strings.Fields(tt.roots), strings.Fields(tt.exclude), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			var text []string
			for _, p := range got {
				text = append(text, p.Name+"="+p.Version+"("+p.Archive+")")
			}
			if s := strings.Join(text, " "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestResolveByArchitecture(t *testing.T) {
	from := debiantest.New(t,
		pkg{Name: "web", Architecture: "amd64", Source: "web-src (1.0)", Depends: "data"},
		pkg{Name: "web", Architecture: "arm64", Version: "1.0-1+b1"},
		pkg{Name: "data"})
	a := open(t, from)
	amd, err := a.Resolve(context.Background(), "amd64", []string{"web"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	arm, err := a.Resolve(context.Background(), "arm64", []string{"web"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(amd) != 2 || amd[0].Architecture != "all" || amd[1].Architecture != "amd64" || amd[1].Source != "web-src (1.0)" {
		t.Errorf("amd64: %+v", amd)
	}
	if len(arm) != 1 || arm[0].Version != "1.0-1+b1" || arm[0].Filename != "pool/main/w/web/web_1.0-1+b1_arm64.deb" {
		t.Errorf("arm64: %+v", arm)
	}
}

func TestUnresolvable(t *testing.T) {
	a := open(t, debiantest.New(t,
		pkg{Name: "php8.4-soap"}, pkg{Name: "mawk", Provides: "awk"},
		pkg{Name: "web", Depends: "lib"}, pkg{Name: "lib", Depends: "libc (>= 2.41) | musl"}, pkg{Name: "libc", Version: "2.36-9"}))
	for root, want := range map[string][]string{
		"php-soap": {`"php-soap"`, "trixie", "amd64", "did you mean php8.4-soap"},
		"awk":      {`"awk"`, "virtual package", "mawk"},
		"!":        {`"!"`, "check the name"},
		"web":      {"web → lib needs libc (>= 2.41) | musl", "there is libc 2.36-9"},
	} {
		_, err := a.Resolve(context.Background(), "amd64", []string{root}, nil, nil, nil)
		mustSay(t, err, want...)
	}
	// All the missing ones at once.
	_, err := a.Resolve(context.Background(), "amd64", []string{"x1", "libc", "x2"}, nil, nil, nil)
	mustSay(t, err, `"x1"`, `"x2"`)
}

func TestResolveSaysWhatItDoes(t *testing.T) {
	var states []string
	sink := report.Sink(func(e report.Event) { states = append(states, e.Step+" "+e.State) })
	a := open(t, debiantest.New(t, pkg{Name: "a"}))
	for range 2 { // from memory the second time
		if _, err := a.Resolve(context.Background(), "amd64", []string{"a"}, nil, nil, sink); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"packages/index running", "packages/index done"}; !slices.Equal(states, want) {
		t.Errorf("got %v, want %v", states, want)
	}
}
