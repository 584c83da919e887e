package debian

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"platen/internal/report"
)

func TestFindMirror(t *testing.T) {
	now := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	tests := []struct {
		name        string
		option, env string
		files       map[string]string
		want        Mirror
	}{
		{
			name: "the option wins", option: "https://a.example/debian/", env: "https://b.example/debian",
			want: Mirror{"https://a.example/debian", "https://a.example/debian-security", "image.mirror"},
		},
		{
			name: "the variable comes next", env: "http://b.example/debian",
			files: map[string]string{"etc/apt/sources.list": "deb http://c.example/debian trixie main\n"},
			want:  Mirror{"http://b.example/debian", "http://b.example/debian-security", "PLATEN_DEBIAN_MIRROR"},
		},
		{
			name: "two URLs", option: "file:///srv/debian http://s.example/sec",
			want: Mirror{"file:///srv/debian", "http://s.example/sec", "image.mirror"},
		},
		{
			name: "a snapshot's security archive is beside it", option: "http://s.example/archive/debian/20261101T000000Z",
			want: Mirror{"http://s.example/archive/debian/20261101T000000Z", "http://s.example/archive/debian-security/20261101T000000Z", "image.mirror"},
		},
		{
			name: "one archive for both", option: "https://apt.example/private",
			want: Mirror{"https://apt.example/private", "https://apt.example/private", "image.mirror"},
		},
		{
			name: "deb822, another suite",
			files: map[string]string{"etc/apt/sources.list.d/debian.sources": `Types: deb deb-src
# a comment
URIs: http://m.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://s.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`},
			want: Mirror{"http://m.example/debian", "http://s.example/debian-security", "/etc/apt/sources.list.d/debian.sources"},
		},
		{
			name: "one line, with options, an old security suite, a CD",
			files: map[string]string{"etc/apt/sources.list": `deb cdrom:[Debian GNU/Linux 10 _Buster_]/ buster main
# deb http://no.example/debian buster main
deb-src http://no.example/debian buster main
deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] https://m.example/debian buster main # here
deb http://s.example/debian-security buster/updates main
`},
			want: Mirror{"https://m.example/debian", "http://s.example/debian-security", "/etc/apt/sources.list"},
		},
		{
			name: "third parties are not Debian",
			files: map[string]string{
				"etc/apt/sources.list.d/a.list": `deb [signed-by=/etc/apt/keyrings/docker.asc] https://docker.example/linux/debian bookworm stable
deb [signed-by=/etc/apt/keyrings/mariadb.gpg] https://mariadb.example/11.4/debian bookworm main
deb https://mongo.example/apt/debian bookworm/mongodb-org/7.0 main
deb https://cloud.example/apt cloud-sdk-bookworm main
deb https://old.example/10/debian bookworm main
`,
				"etc/apt/sources.list.d/b.sources": `Types: deb
URIs: https://node.example/node_20.x
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm-updates
Components: main
`,
				"etc/apt/sources.list.d/z.list": "deb http://m.example/debian bookworm main\ndeb http://m.example/debian bookworm-updates main\n",
			},
			want: Mirror{"http://m.example/debian", "http://m.example/debian-security", "/etc/apt/sources.list.d/z.list"},
		},
		{
			name: "a cloud image's list of mirrors",
			files: map[string]string{
				"etc/apt/sources.list.d/debian.sources": "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: trixie trixie-updates\nComponents: main\n",
				"etc/apt/mirrors/debian.list":           "https://cloud.example/debian\nhttps://second.example/debian\n",
			},
			want: Mirror{"https://cloud.example/debian", "https://cloud.example/debian-security", "/etc/apt/sources.list.d/debian.sources"},
		},
		{
			name:  "Ubuntu has none",
			files: map[string]string{"etc/apt/sources.list": "deb http://archive.example/ubuntu noble main\n"},
			want: Mirror{
				"https://snapshot.debian.org/archive/debian/20261122T000000Z",
				"https://snapshot.debian.org/archive/debian-security/20261122T000000Z",
				"Debian's snapshot service",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := findMirror(tt.option, tt.env, root, now)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestFindMirrorRefusesWhatIsNoURL(t *testing.T) {
	for _, option := range []string{"debian.example/debian", "ftp://h.example/debian", "https:///debian", "file://host/debian", "http://a/debian http://b/x http://c"} {
		_, err := findMirror(option, "", fstest.MapFS{}, time.Now())
		if err == nil || report.HintOf(err) == "" || !strings.Contains(err.Error(), "image.mirror") {
			t.Errorf("%q: got error %v with hint %q", option, err, report.HintOf(err))
		}
	}
}
