package site

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

func TestBadFilesAreReportedAllAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("bad files: %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse("platen.yaml", data)
			var all *Errors
			if s != nil || !errors.As(err, &all) {
				t.Fatalf("Parse = %v, %v: want *Errors", s, err)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func design(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDesignExample(t *testing.T) {
	s, err := Parse("platen.yaml", design(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Environments(), []string{"local", "dev", "prod"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("environments %v, want %v", got, want)
	}
	local := environment(t, s, "local")
	want := Spec{
		Name: "blog", Environment: "local", Target: Local, Title: "The Blog",
		Admin:     Admin{User: "editor", Email: "ops@example.com"},
		WordPress: WordPress{Source: "debian", Content: "shared", Plugins: []Addon{{Path: "./plugins/newsletter"}}},
		Image:     Image{Packages: []string{"php8.4-soap"}},
		Web: Web{
			Tasks: Range{2, 4}, Scale: WebScale{CPU: 60, Requests: 800},
			PHP: PHP{
				Container: Container{CPU: 0.4, Memory: 768 * mib}, Upload: 64 * mib,
				Env: map[string]string{"WP_MEMORY_LIMIT": "256M"},
			},
			Nginx: Container{CPU: 0.1, Memory: 128 * mib},
		},
		Database: Database{Readers: Range{2, 2}, Class: "db.t4g.medium"},
		Sessions: Cache{Replicas: Range{2, 2}, Class: "cache.t4g.micro", Engine: "valkey", Memory: 128 * mib},
		Objects:  Cache{Replicas: Range{1, 1}, Class: "cache.t4g.micro", Engine: "valkey", Memory: 256 * mib},
		Files:    Files{Media: "shared"},
		Backups:  Backups{Every: time.Hour, Keep: Keep{24, 7, 4, 12}},
		Mail:     Mail{SMTP: "smtp.example.com:587", From: "blog@example.com"},
		Port:     8080, Size: "ha",
	}
	if !reflect.DeepEqual(local, want) {
		t.Errorf("local:\n%+v\nwant:\n%+v", local, want)
	}

	dev := environment(t, s, "dev")
	if dev.Web.Tasks != (Range{1, 2}) || dev.Web.PHP.Memory != 768*mib {
		t.Errorf("maps do not merge: %+v", dev.Web)
	}
	if dev.AWS == nil || dev.AWS.Tags["Creator"] != "web-team" || dev.AWS.Hosts != (Hosts{"t4g.medium", Range{1, 3}, 90, Range{1, 2}}) || dev.AWS.LogDays != 3 {
		t.Errorf("dev: %+v", dev.AWS)
	}
	prod := environment(t, s, "prod")
	wantAWS := &AWSSpec{
		Account: "210987654321", Region: "eu-west-1", StateLock: "s3", CIDR: "10.30.0.0/16", NAT: "per-zone",
		Domain: "www.example.com", CDN: true, Hosts: Hosts{"m7g.large", Range{3, 8}, 100, Range{1, 2}},
		LogDays: 14, Alarms: []string{"mailto:oncall@example.com"},
	}
	if !reflect.DeepEqual(prod.AWS, wantAWS) {
		t.Errorf("prod:\n%+v\nwant:\n%+v", prod.AWS, wantAWS)
	}
	if prod.Files.Media != "s3" || prod.Backups.CopyTo != "eu-central-1" || prod.Backups.Every != time.Hour ||
		len(prod.Web.Schedule) != 1 || prod.Web.Schedule[0] != (Schedule{"0 7 * * MON-FRI", Range{6, 12}}) {
		t.Errorf("prod: %+v", prod)
	}
}

func environment(t *testing.T, s *Site, name string) Spec {
	t.Helper()
	spec, err := s.Environment(name)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func parsed(t *testing.T, text string) *Site {
	t.Helper()
	s, err := Parse("platen.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSmallIsOneOfEachUnlessTheEnvironmentSaysMore(t *testing.T) {
	s := parsed(t, `
platen: 1
name: blog
web: {tasks: 3, php: {memory: 512M}}
sessions: {replicas: 2}
environments:
  local: {size: small}
  more: {target: local, size: small, web: {tasks: 2}}
`)
	local := environment(t, s, "local")
	if local.Web.Tasks != (Range{1, 1}) || local.Sessions.Replicas != (Range{}) || local.Database.Readers != (Range{}) {
		t.Errorf("small is not one of each: %+v", local)
	}
	if local.Web.PHP.Memory != 512*mib {
		t.Errorf("small lost php.memory: %+v", local.Web.PHP)
	}
	if more := environment(t, s, "more"); more.Web.Tasks != (Range{2, 2}) {
		t.Errorf("the environment's own tasks: %+v", more.Web.Tasks)
	}
}

func TestListsReplace(t *testing.T) {
	s := parsed(t, `
platen: 1
name: blog
wordpress: {plugins: [./a, ./b]}
environments:
  local: {wordpress: {plugins: [./c]}}
`)
	if got := environment(t, s, "local").WordPress.Plugins; !reflect.DeepEqual(got, []Addon{{Path: "./c"}}) {
		t.Errorf("plugins %v", got)
	}
}

func TestNoEnvironmentsIsLocal(t *testing.T) {
	s := parsed(t, "platen: 1\nname: blog\n")
	if got := s.Environments(); !reflect.DeepEqual(got, []string{"local"}) {
		t.Fatalf("environments %v", got)
	}
	spec := environment(t, s, "local")
	if spec.Port != 8080 || spec.Size != "ha" || spec.Web.Tasks != (Range{2, 2}) || spec.Web.PHP.Memory != 384*mib || spec.Admin.User != "admin" {
		t.Errorf("defaults: %+v", spec)
	}
}

func TestPortZeroIsAnyFreeOne(t *testing.T) {
	s := parsed(t, "platen: 1\nname: blog\nenvironments: {local: {port: 0}}\n")
	if spec := environment(t, s, "local"); spec.Port != 0 {
		t.Errorf("port %d", spec.Port)
	}
}

func TestUnknownEnvironmentListsThoseThereAre(t *testing.T) {
	s, err := Parse("platen.yaml", design(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Environment("prd")
	if !errors.Is(err, ErrNoEnvironment) || !strings.Contains(err.Error(), "local, dev, prod") {
		t.Errorf("error %v", err)
	}
}

func TestDefaultNamesTheSiteByItsFolder(t *testing.T) {
	for folder, want := range map[string]string{
		"/home/me/my-blog":                    "my-blog",
		"/srv/The Blog (new)":                 "the-blog-new",
		"/":                                   "wordpress",
		"/srv/42nd street":                    "nd-street",
		`C:\sites\Éclair`:                     "clair",
		"/x/" + strings.Repeat("abcdefg-", 9): "abcdefg-abcdefg-abcdefg-abcdefg",
	} {
		s := Default(folder)
		if s.Name != want || s.File != "" {
			t.Errorf("Default(%q) = %q from %q, want %q", folder, s.Name, s.File, want)
		}
		// A default is what the same file would be.
		fromFile := environment(t, parsed(t, "platen: 1\nname: "+want+"\n"), "local")
		if spec := environment(t, s, "local"); !reflect.DeepEqual(spec, fromFile) {
			t.Errorf("Default(%q) = %+v, a file gives %+v", folder, spec, fromFile)
		}
	}
}

func TestTemplateParses(t *testing.T) {
	data := Template("My Blog")
	first, _, _ := strings.Cut(string(data), "\n")
	if first != "# yaml-language-server: $schema=.platen/schema.json" {
		t.Errorf("first line %q", first)
	}
	s, err := Parse("platen.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "my-blog" {
		t.Errorf("name %q", s.Name)
	}
	// The commented keys must be right too.
	uncommented := compile(`(?m)^(\s*)# ([a-z]+: )`).ReplaceAllString(string(data), "$1$2")
	uncommented = strings.Replace(uncommented, first, "", 1)
	if _, err := Parse("platen.yaml", []byte(uncommented)); err != nil {
		t.Errorf("with its comments taken away:\n%v\n%s", err, uncommented)
	}
}

func TestMailPasswordNamesTheSecret(t *testing.T) {
	_, err := Parse("platen.yaml", []byte("platen: 1\nname: blog\nmail: {password: hunter2}\n"))
	if err == nil || !strings.Contains(err.Error(), "PLATEN_MAIL_PASSWORD") {
		t.Errorf("error %v", err)
	}
}

func TestCron(t *testing.T) {
	for s, good := range map[string]bool{
		"0 7 * * MON-FRI": true, "*/5 * * * *": true, "0,30 8-18/2 * JAN,jul *": true, "0 0 1 * *": true, "0 0 * * 7": true,
		"60 * * * *": false, "* * 0 * *": false, "*/0 * * * *": false, "5/2 * * * *": false, "FRI-MON * * * *": false,
		"* * * * FRI-MON": false, "* * * 13 *": false, "-1 * * * *": false, "* * ? * *": false, "@daily": false, ",, * * * *": false,
	} {
		if fault, _ := cron(s); (fault == "") != good {
			t.Errorf("cron(%q) = %q, want good %v", s, fault, good)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"title", "web", "wordpress", "mail"}
	for word, want := range map[string]string{"tilte": "title", "wbe": "web", "wordpres": "wordpress", "x": "", "colour": "", "mial": "mail"} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(strings.Repeat("[", 2000)))
	f.Add([]byte(strings.Repeat("{a: ", 2000)))
	f.Add([]byte("a: &a [*a]\n? b\n: |\n\t- \xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("platen.yaml", data)
		if (s == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", s, err)
		}
		if err != nil {
			var all *Errors
			if !errors.As(err, &all) || len(all.Problems) == 0 || err.Error() == "" {
				t.Fatalf("error %v", err)
			}
			return
		}
		for _, name := range s.Environments() {
			if spec, err := s.Environment(name); err != nil || spec.Name == "" || spec.Web.Tasks.Min < 1 {
				t.Fatalf("%s: %+v, %v", name, spec, err)
			}
		}
	})
}

// 7.1 is a decimal to YAML, and 7.10 the same one: the version is the text in the file.
func TestVersionsOfWordPressNeedNoQuotes(t *testing.T) {
	schema := compiledSchema(t)
	for written, want := range map[string]string{
		"7.1": "7.1", "7.10": "7.10", "6.8.3": "6.8.3", "7.0": "7.0", `"7.10"`: "7.10", "'7.1'": "7.1", "10.2": "10.2",
	} {
		file := "platen: 1\nname: blog\nwordpress:\n  source: " + written + " # the newest\n"
		s, err := Parse("platen.yaml", []byte(file))
		if err != nil {
			t.Errorf("source: %s: %v", written, err)
			continue
		}
		if got := environment(t, s, "local").WordPress.Source; got != want {
			t.Errorf("source: %s is %q, want %q", written, got, want)
		}
		if err := schema.Validate(asJSON(t, []byte(file))); err != nil {
			t.Errorf("source: %s by the schema: %v", written, err)
		}
	}
	for _, written := range []string{"7", "7.1e1", "-7.1", "+7.1", "0x7.1", ".5", "7.", "7_0.1", ".inf", ".nan", "true", "7.1.2.3", "1000.1"} {
		_, err := Parse("platen.yaml", []byte("platen: 1\nname: blog\nwordpress:\n  source: "+written+"\n"))
		if err == nil || !strings.Contains(err.Error(), "platen.yaml:4:11: wordpress.source: ") {
			t.Errorf("source: %s: %v", written, err)
		}
	}
}

func TestMirrorsAreWrittenAsTheArchiveTakesThem(t *testing.T) {
	for written, good := range map[string]bool{
		"https://mirror.example.com/debian": true, "http://mirror.example.com:3142/debian/": true,
		"file:///srv/mirror/debian": true, "file:///srv/debian file:///srv/debian-security": true,
		"https://a.example.com/debian  https://b.example.com/security": true,
		"file://srv/debian": false, "https://a.example.com/d https://b.example.com/d https://c.example.com/d": false,
		"https://user@a.example.com/debian": false, "https://a.example.com/debian ftp://b.example.com/": false,
		"/srv/debian": false, "https://a.example.com/debian?x=1": false,
	} {
		s, err := Parse("platen.yaml", []byte("platen: 1\nname: blog\nimage: {mirror: \""+written+"\"}\n"))
		if (err == nil) != good {
			t.Errorf("%s: %v, want good = %t", written, err, good)
		}
		if err == nil && environment(t, s, "local").Image.Mirror != written {
			t.Errorf("%s became %s", written, environment(t, s, "local").Image.Mirror)
		}
	}
}

func TestImagesAreNamedByDigest(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	wordpress, nginx := "registry.example.com/team/blog-wordpress"+digest, "localhost:5000/blog-nginx:v1"+digest
	file := "platen: 1\nname: blog\nimages: {wordpress: \"" + wordpress + "\"}\nenvironments:\n  local: {images: {nginx: \"" + nginx + "\"}}\n  dev: {target: local}\n"
	s, err := Parse("platen.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := environment(t, s, "local").Images, map[string]string{"wordpress": wordpress, "nginx": nginx}; !reflect.DeepEqual(got, want) {
		t.Errorf("local runs %v, want %v", got, want)
	}
	if got, want := environment(t, s, "dev").Images, map[string]string{"wordpress": wordpress}; !reflect.DeepEqual(got, want) {
		t.Errorf("dev runs %v, want %v", got, want)
	}
	if err := compiledSchema(t).Validate(asJSON(t, []byte(file))); err != nil {
		t.Errorf("by the schema: %v", err)
	}
}
