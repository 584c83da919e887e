package topology

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"platen/internal/site"
	"platen/internal/task"
)

func spec(t *testing.T, env, extra string) site.Spec {
	t.Helper()
	s, err := site.Parse("platen.yaml", []byte("platen: 1\nname: blog\n"+extra))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := s.Environment(env)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func forSpec(t *testing.T, spec site.Spec, state State) Topology {
	t.Helper()
	topo, err := For(spec, state)
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func TestForTheSmallestFile(t *testing.T) {
	topo := forSpec(t, spec(t, "local", ""), State{})
	if topo.Project != "platen-blog-local" || topo.URL != "http://localhost:8080" || topo.Live != 1 || topo.AWS != nil {
		t.Errorf("topology %+v", topo)
	}
	if topo.Web.Tasks != (site.Range{Min: 2, Max: 2}) || topo.Edge.Slots != 16 || topo.Edge.Address != "127.0.0.1" {
		t.Errorf("web %+v, edge %+v", topo.Web.Tasks, topo.Edge)
	}
	wantConfig := task.Config{
		Site: "blog", Env: "local", URL: "http://localhost:8080", Content: "shared",
		PHP:      task.PHP{Children: 3, Memory: 384 * mib, Upload: 32 * mib, Timeout: 60},
		Nginx:    task.Nginx{Memory: 96 * mib, Cache: 32 * mib},
		Database: task.Endpoint{Writer: "db:3306", Reader: "db:3307", Name: "wordpress", User: "wordpress"},
		Sessions: task.Store{Address: "sessions:6379"},
		Objects:  task.Store{Address: "objects:6380"},
		Mail:     task.Mail{Address: "mail:2525", From: "wordpress@blog.localhost", TLS: "none"},
		Drain:    3,
		Trusted:  []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"},
	}
	if !reflect.DeepEqual(topo.Web.Config, wantConfig) {
		t.Errorf("config\n%+v\nwant\n%+v", topo.Web.Config, wantConfig)
	}
	if got, want := topo.Database.Volumes, []string{"platen-blog-local-db-1-g1"}; !slices.Equal(got, want) {
		t.Errorf("database volumes %v, want %v", got, want)
	}
	job, err := topo.Job("install")
	if err != nil {
		t.Fatal(err)
	}
	var install task.Install
	if err := json.Unmarshal(job.Input, &install); err != nil || install != topo.Install || install.Email != "admin@example.com" {
		t.Errorf("install %+v, %v", install, err)
	}
	if _, err := topo.Job("nothing"); err == nil {
		t.Error("a job that is not there is returned")
	}
}

// The machine that the project promises to run on has 4 GiB; a page cache, the engine and
// the person's editor want the rest.
func TestDefaultsFitFourGigabytes(t *testing.T) {
	topo := forSpec(t, spec(t, "local", ""), State{})
	if peak := topo.CalculateMemory() + topo.TaskMemory(); peak > 3<<30 {
		t.Errorf("the defaults may use %d MiB", peak/mib)
	}
}

func TestStateDecides(t *testing.T) {
	fixed := spec(t, "local", "environments: {local: {port: 9000}}\n")
	for _, c := range []struct {
		name  string
		state State
		port  int
		url   string
	}{
		{"nothing chosen", State{}, 9000, "http://localhost:9000"},
		{"another was free", State{Port: 9001, Wanted: 9000}, 9001, "http://localhost:9001"},
		{"not recorded what was wanted", State{Port: 9001}, 9001, "http://localhost:9001"},
		{"the file wants another now", State{Port: 8080, Wanted: 8080}, 9000, "http://localhost:9000"},
		{"the default port of http is not written", State{Port: 80}, 80, "http://localhost"},
	} {
		topo := forSpec(t, fixed, c.state)
		if topo.Edge.Port != c.port || topo.URL != c.url || topo.Web.Config.URL != c.url {
			t.Errorf("%s: port %d, %s: want %d, %s", c.name, topo.Edge.Port, topo.URL, c.port, c.url)
		}
	}
	for _, bad := range []State{{Port: -1}, {Port: 70000}, {Tasks: -1}, {Live: -1}, {Live: 2, Staged: 2}, {Staged: 1}} {
		if _, err := For(fixed, bad); err == nil {
			t.Errorf("state %+v is accepted", bad)
		}
	}
}

// `scale` must not restart what it does not concern.
func TestScaleLeavesEdgeAndDatabaseAlone(t *testing.T) {
	s := spec(t, "local", "")
	before := forSpec(t, s, State{Port: 8080})
	for _, tasks := range []int{1, 4, 8} {
		after := forSpec(t, s, State{Port: 8080, Tasks: tasks})
		if after.Web.Tasks.Min != tasks || after.Web.Tasks.Max < tasks {
			t.Errorf("scale %d: %+v", tasks, after.Web.Tasks)
		}
		if !reflect.DeepEqual(after.Edge, before.Edge) || !reflect.DeepEqual(after.Database, before.Database) ||
			!reflect.DeepEqual(after.Web.Config, before.Web.Config) {
			t.Errorf("scale %d changes more than the number of tasks", tasks)
		}
	}
	if wide := forSpec(t, s, State{Tasks: 20}); wide.Edge.Slots < 40 {
		t.Errorf("20 tasks have %d slots", wide.Edge.Slots)
	}
}

func TestGenerationIsInTheNamesOfData(t *testing.T) {
	topo := forSpec(t, spec(t, "local", ""), State{Live: 3})
	for _, v := range topo.Volumes() {
		switch v.Tier {
		case "secrets", "mail":
		default:
			if !strings.HasSuffix(v.Name, "-g3") {
				t.Errorf("%s %s has no generation", v.Tier, v.Name)
			}
		}
	}
}

func TestMail(t *testing.T) {
	for server, tls := range map[string]string{"smtp.example.com:465": "tls", "smtp.example.com:587": "starttls", "smtp.example.com:25": "starttls"} {
		topo := forSpec(t, spec(t, "local", `mail: {smtp: "`+server+`", from: blog@example.com, user: me}`+"\n"), State{})
		if got := topo.Web.Config.Mail; got != (task.Mail{Address: server, From: "blog@example.com", User: "me", TLS: tls}) || topo.Mail.Catch {
			t.Errorf("%s: %+v, caught %v", server, got, topo.Mail.Catch)
		}
	}
}

func TestInitGivesEachRoleWhatItReads(t *testing.T) {
	topo := forSpec(t, spec(t, "local", `mail: {smtp: "smtp.example.com:587", from: blog@example.com, user: me}`+"\n"), State{})
	init := topo.Init()
	if init.Master != "/volumes/platen-blog-local-secrets-master" {
		t.Errorf("master %s", init.Master)
	}
	web := []string{"db_password", "sessions_token", "objects_token", "salt", "site_token", "ca.pem", "mail_password"}
	want := map[string]task.Folder{
		"secrets-web":      {UID: 33, Mode: 0o500, Secrets: web},
		"secrets-jobs":     {UID: 33, Mode: 0o500, Secrets: append(slices.Clone(web), "admin_password")},
		"secrets-db":       {UID: 201, Mode: 0o500, Secrets: []string{"db_password", "ca.pem", "server.pem", "server.key"}, Hosts: []string{"db", "db-1"}},
		"secrets-sessions": {UID: 202, Mode: 0o500, Secrets: []string{"sessions_token", "ca.pem", "server.pem", "server.key"}, Hosts: []string{"sessions", "sessions-1"}},
		"secrets-objects":  {UID: 202, Mode: 0o500, Secrets: []string{"objects_token", "ca.pem", "server.pem", "server.key"}, Hosts: []string{"objects", "objects-1"}},
		"content-g1":       {UID: 33, Mode: 0o750},
		"db-1-g1":          {UID: 201, Mode: 0o700},
		"sessions-1-g1":    {UID: 202, Mode: 0o700},
		"objects-1-g1":     {UID: 202, Mode: 0o700},
	}
	if len(init.Folders) != len(want) {
		t.Errorf("%d folders, want %d", len(init.Folders), len(want))
	}
	for _, got := range init.Folders {
		name := strings.TrimPrefix(got.Path, "/volumes/platen-blog-local-")
		expected := want[name]
		expected.Path = got.Path
		if !reflect.DeepEqual(got, expected) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, got, expected)
		}
	}
	// Every volume but the master is a folder, and the master is one of the volumes.
	var paths []string
	for _, f := range init.Folders {
		paths = append(paths, f.Path)
	}
	for _, v := range topo.Volumes() {
		if path := InitPath(v.Name); path != init.Master && !slices.Contains(paths, path) {
			t.Errorf("the init job does not know %s", v.Name)
		}
	}
	if first, second := topo.Init(), topo.Init(); !reflect.DeepEqual(first, second) {
		t.Error("Init differs from call to call")
	}
}

func TestNames(t *testing.T) {
	topo := forSpec(t, spec(t, "local", ""), State{Images: map[string]string{"nginx": "platen/blog-nginx:0123456789ab"}})
	for got, want := range map[string]string{
		topo.WebTask(1): "web-1", topo.WebPHP(2): "web-2-php", topo.WebNginx(12): "web-12-nginx",
		topo.TaskVolume(2): "platen-blog-local-task-2", topo.Secrets(RoleWeb): "platen-blog-local-secrets-web",
		topo.Repository("nginx"): "platen/blog-nginx", topo.Image("nginx"): "platen/blog-nginx:0123456789ab",
		topo.Network(NetworkBack): "platen-blog-local-back",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestShorten(t *testing.T) {
	long := strings.Repeat("abcdefg-", 8)
	if got := Shorten("blog-prod-alb", 32); got != "blog-prod-alb" {
		t.Errorf("a short name becomes %s", got)
	}
	// The hash is part of resources that live for years: it must never change.
	if got, want := Shorten(long+"alb", 32), "abcdefg-abcdefg-abcdefg-"+"9f6a6fd5"; len(got) > 32 || got[:23] != want[:23] {
		t.Errorf("Shorten = %s", got)
	}
	if a, b := Shorten(long+"alb", 32), Shorten(long+"tg", 32); a == b || a != Shorten(long+"alb", 32) {
		t.Errorf("%s and %s", a, b)
	}
}

func TestChildrenAndConnections(t *testing.T) {
	for _, c := range []struct {
		memory, upload int64
		children       int
	}{
		{384 * mib, 32 * mib, 3}, {768 * mib, 64 * mib, 8}, {128 * mib, 32 * mib, 2}, {4096 * mib, 64 * mib, 60}, {256 * mib, 8192 * mib, 2},
	} {
		if got := Children(c.memory, c.upload); got != c.children {
			t.Errorf("Children(%d MiB, %d MiB) = %d, want %d", c.memory/mib, c.upload/mib, got, c.children)
		}
	}
	if RoomForChildren(MemoryForChild(64*mib), 64*mib) != 1 || RoomForChildren(MemoryForChild(64*mib)-1, 64*mib) != 0 {
		t.Error("MemoryForChild is not the smallest memory with room for a child")
	}
	for tasks := 1; tasks < 300; tasks += 7 {
		for children := 2; children < 60; children += 5 {
			if m := Connections(tasks, children); 10*ConnectionsWanted(tasks, children) > 8*(m-adminConnections) {
				t.Fatalf("%d tasks of %d: %d connections", tasks, children, m)
			}
		}
	}
}

// What only AWS uses must work out too, though nothing is made of it yet.
func TestDesignExampleOnAWS(t *testing.T) {
	data, err := os.ReadFile("../site/testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.Parse("platen.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range s.Environments() {
		spec, err := s.Environment(env)
		if err != nil {
			t.Fatal(err)
		}
		topo := forSpec(t, spec, State{})
		if env == "prod" && (topo.URL != "https://www.example.com" || topo.AWS == nil || topo.Mail.Catch || topo.Edge.Port != 0 ||
			!slices.Equal(topo.Web.Config.Trusted, []string{"10.30.0.0/16"})) {
			t.Errorf("prod %+v", topo)
		}
	}
}
