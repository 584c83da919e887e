package capacity

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"platen/internal/site"
	"platen/internal/topology"
)

func awsTopology(t interface {
	Helper()
	Fatal(...any)
}, tasks, count int, class, cidr, more string) topology.Topology {
	t.Helper()
	text := fmt.Sprintf(`platen: 1
name: blog
admin: {email: ops@example.com}
environments:
  prod:
    target: aws
    account: "123456789012"
    region: eu-west-1
    hosts: {type: m7g.large, count: 1..%d}
    network: {cidr: %s}
    web: {tasks: 1..%d}
    database: {class: %s}
%s`, count, cidr, tasks, class, more)
	s, err := site.Parse("platen.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := s.Environment("prod")
	if err != nil {
		t.Fatal(err)
	}
	topo, err := topology.For(spec, topology.State{})
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// m7gLarge is what EC2 says of an m7g.large.
var m7gLarge = Host{Type: "m7g.large", CPU: 2, Memory: 8 << 30, Interfaces: 3}

func TestSlots(t *testing.T) {
	for _, c := range []struct {
		host  Host
		slots int
		trunk bool
	}{
		{Host{Type: "t3.micro", Interfaces: 2}, 1, false},
		{Host{Type: "t4g.medium", Interfaces: 3}, 2, false},
		{Host{Type: "t4g.xlarge", Interfaces: 4}, 3, false},
		{Host{Type: "m7g.medium", Interfaces: 2}, 4, true},
		{Host{Type: "m7g.large", Interfaces: 3}, 10, true},
		{Host{Type: "c6g.xlarge", Interfaces: 4}, 20, true},
		{Host{Type: "m6g.2xlarge", Interfaces: 4}, 40, true},
		{Host{Type: "c7g.4xlarge", Interfaces: 8}, 60, true},
		{Host{Type: "m7i-flex.large", Interfaces: 3}, 3, true},
		{Host{Type: "m5.large", Interfaces: 3}, 9, true},
		{Host{Type: "z1d.large", Interfaces: 3}, 2, false},
	} {
		if slots, trunk := c.host.Slots(); slots != c.slots || trunk != c.trunk {
			t.Errorf("%s: %d, trunk %v; want %d, %v", c.host.Type, slots, trunk, c.slots, c.trunk)
		}
	}
}

func TestCheckAWS(t *testing.T) {
	for _, c := range []struct {
		name         string
		tasks, count int
		class, cidr  string
		more         string
		host         Host
		says         []string // parts of the one reason; none: it fits
	}{
		{name: "fits", tasks: 4, count: 4, host: m7gLarge},
		{name: "a T type holds two tasks", tasks: 4, count: 3, host: Host{Type: "t4g.large", CPU: 2, Memory: 8 << 30, Interfaces: 3},
			says: []string{"4 web tasks, which are 8 while they are replaced (200 % of those wanted)", "hosts.count 3 × t4g.large hold 4 of them beside cron and a job",
				"a host holds 2 (its 3 interfaces − 1, since it has no trunk)", "cron and a job 384M and 1.00 cores each", "nearest: hosts.count up to 5, or web.tasks at most 2"}},
		{name: "CPU and memory before interfaces", tasks: 2, count: 5, host: Host{Type: "m7g.medium", CPU: 1, Memory: 2 << 30, Interfaces: 2},
			says: []string{"2 web tasks, which are 4", "5 × m7g.medium hold 3 of them", "a host holds 1 (with 1.8G and 1 cores for tasks)", "definition parameters", "nearest: hosts.count up to 6, or web.tasks at most 1"}},
		{name: "a task that no host holds", tasks: 1, count: 9, more: "    web: {tasks: 1, php: {memory: 8G}}", host: m7gLarge,
			says: []string{"a web task takes", "8G", "(AWS, \"Reserving Amazon ECS", "nearest: hosts.type with", "or less web.php.memory"}},
		{name: "cores that no host has", tasks: 1, count: 9, more: "    web: {tasks: 1, php: {cpu: 4}}", host: m7gLarge, says: []string{"4.10 cores", "(AWS, \"Amazon ECS task definition", "nearest: hosts.type with 5 vCPUs"}},
		{name: "no interface", tasks: 1, count: 9, host: Host{Type: "x1.large", CPU: 2, Memory: 8 << 30, Interfaces: 1}, says: []string{"1 network interface", "nearest: hosts.type t4g.medium"}},
		{name: "connections", tasks: 20, count: 20, class: "db.t3.small", host: m7gLarge,
			says: []string{"which are 40 while", "= 240 database connections, more than 0.8 × 45", "max_connections of db.t3.small (AWS,", "nearest: web.tasks at most 3, or database.class db.r6g.large"}},
		{name: "connections of the largest serverless", tasks: 200, count: 100, class: "db.serverless", host: Host{Type: "m7g.16xlarge", CPU: 64, Memory: 256 << 30, Interfaces: 15},
			more: "    web: {tasks: 1..200, php: {memory: 1200M}}", says: []string{"database connections, more than 0.8 × 6000", "(AWS, \"Maximum connections", "nearest: web.tasks at most"}},
		{name: "a class that Aurora does not have", tasks: 2, count: 4, class: "db.m5.large", host: m7gLarge, says: []string{"db.m5.large is none that Aurora MySQL 3 has", "nearest: db.t4g.medium"}},
		{name: "a class that ElastiCache does not have", tasks: 2, count: 4, more: "    objects: {class: cache.z9.large}", host: m7gLarge,
			says: []string{"objects.class cache.z9.large is none that ElastiCache has (AWS, \"Supported node types\")", "nearest: cache.r7g.large"}},
		{name: "a size that the family does not have", tasks: 2, count: 4, more: "    sessions: {class: cache.r7g.micro}", host: m7gLarge, says: []string{"sessions.class cache.r7g.micro", "nearest: cache.t4g.micro"}},
		{name: "a narrow network", tasks: 60, count: 45, class: "db.r6g.large", cidr: "10.0.0.0/24", host: m7gLarge,
			says: []string{"+ 2 of cron and jobs + 45 hosts + 24 endpoints = 191 addresses", "network.cidr 10.0.0.0/24 leaves 81", "(AWS, \"Subnet CIDR blocks\")", "nearest: a wider network.cidr such as 10.0.0.0/22, or web.tasks at most 5"}},
		{name: "a schedule above the bounds", tasks: 4, count: 4, more: "    web: {tasks: 1..4, schedule: [{cron: \"0 7 * * *\", tasks: 4..6}]}", host: m7gLarge, says: []string{"6 web tasks, which are 12"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			class, cidr := c.class, c.cidr
			if class == "" {
				class = "db.r6g.large"
			}
			if cidr == "" {
				cidr = "10.20.0.0/16"
			}
			topo := awsTopologyWith(t, c.tasks, c.count, class, cidr, c.more)
			v := Check(topo, Limits{Host: &c.host})
			if len(c.says) == 0 {
				if !v.Fits {
					t.Errorf("does not fit: %q", v.Reasons)
				}
				return
			}
			if len(v.Reasons) != 1 {
				t.Fatalf("reasons %q, want one", v.Reasons)
			}
			for _, part := range c.says {
				if !strings.Contains(v.Reasons[0], part) {
					t.Errorf("it does not say %q: %s", part, v.Reasons[0])
				}
			}
		})
	}
}

// awsTopologyWith takes a web: of its own in more in the place of the one with tasks alone.
func awsTopologyWith(t *testing.T, tasks, count int, class, cidr, more string) topology.Topology {
	t.Helper()
	if !strings.Contains(more, "web:") {
		return awsTopology(t, tasks, count, class, cidr, more)
	}
	s, err := site.Parse("platen.yaml", []byte(strings.Replace(fmt.Sprintf(`platen: 1
name: blog
admin: {email: ops@example.com}
environments:
  prod:
    target: aws
    account: "123456789012"
    region: eu-west-1
    hosts: {type: m7g.large, count: 1..%d}
    network: {cidr: 10.20.0.0/16}
    database: {class: %s}
MORE
`, count, class), "MORE", more, 1)))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := s.Environment("prod")
	if err != nil {
		t.Fatal(err)
	}
	topo, err := topology.For(spec, topology.State{})
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

var offer = regexp.MustCompile(`nearest: hosts\.count up to (\d+)(?:, or web\.tasks at most (\d+))?`)

// What a refusal offers fits, and less than it does not: the offer is the nearest.
func TestTheOfferOnAWSFits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tasks := rapid.IntRange(1, 80).Draw(rt, "tasks")
		count := rapid.IntRange(1, 12).Draw(rt, "count")
		host := Host{
			Type: rapid.SampledFrom([]string{"t4g.large", "m7g.medium", "m7g.large", "c6g.xlarge"}).Draw(rt, "type"),
			CPU:  rapid.IntRange(1, 16).Draw(rt, "cpu"), Memory: int64(rapid.IntRange(2, 64).Draw(rt, "GiB")) << 30, Interfaces: rapid.IntRange(2, 8).Draw(rt, "interfaces"),
		}
		limits := Limits{Host: &host}
		check := func(tasks, count int) Verdict {
			return Check(awsTopology(t, tasks, count, "db.r6g.12xlarge", "10.20.0.0/16", ""), limits)
		}
		v := check(tasks, count)
		if v.Fits {
			return
		}
		m := offer.FindStringSubmatch(strings.Join(v.Reasons, "\n"))
		if m == nil {
			return // no number of hosts helps
		}
		hosts, _ := strconv.Atoi(m[1])
		if hosts <= 100 { // as platen.yaml allows
			if again := check(tasks, hosts); !again.Fits {
				rt.Errorf("%d hosts were offered for %d tasks and do not fit: %q", hosts, tasks, again.Reasons)
			}
			if hosts > 1 && check(tasks, hosts-1).Fits {
				rt.Errorf("%d hosts were offered for %d tasks, and one less fits", hosts, tasks)
			}
		}
		if m[2] != "" {
			fit, _ := strconv.Atoi(m[2])
			if again := check(fit, count); !again.Fits {
				rt.Errorf("%d tasks were offered for %d hosts and do not fit: %q", fit, count, again.Reasons)
			}
			if check(fit+1, count).Fits {
				rt.Errorf("%d tasks were offered for %d hosts, and one more fits", fit, count)
			}
		}
	})
}

// What DESIGN.md and the documentation show as examples fits.
func TestTheExamplesFit(t *testing.T) {
	data, err := os.ReadFile("../site/testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.Parse("platen.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	for env, host := range map[string]Host{"dev": {Type: "t4g.medium", CPU: 2, Memory: 4 << 30, Interfaces: 3}, "prod": m7gLarge} {
		spec, err := s.Environment(env)
		if err != nil {
			t.Fatal(err)
		}
		topo, err := topology.For(spec, topology.State{})
		if err != nil {
			t.Fatal(err)
		}
		if host.Type != topo.AWS.Hosts.Type {
			t.Errorf("%s has %s", env, topo.AWS.Hosts.Type)
		}
		if v := Check(topo, Limits{Host: &host}); !v.Fits {
			t.Errorf("%s: %q", env, v.Reasons)
		}
	}
}

// Regression: cron and job counted with the CPU of a web task, and ask for a core each.
func TestCronAndJobAskTheirOwn(t *testing.T) {
	job, web := asks{1024, 384 * mib}, asks{512, 512 * mib}
	host := Host{Type: "m7g.large", CPU: 2, Memory: 8 << 30, Interfaces: 3}
	for count, want := range map[int]int{1: 0, 2: 4, 3: 8, 8: 28} {
		if got := host.room(count, job, web); got != want {
			t.Errorf("%d hosts: room for %d web tasks, want %d", count, got, want)
		}
	}
	if got := (Host{Type: "t4g.nano", CPU: 1, Memory: 8 << 30, Interfaces: 2}).room(1, job, web); got >= 0 {
		t.Errorf("one core holds cron, a job and %d web tasks", got)
	}
}

func TestAJobThatNoHostHolds(t *testing.T) {
	topo := awsTopologyWith(t, 2, 4, "db.r6g.large", "10.20.0.0/16", "")
	topo.JobLimits.Memory = 9 << 30
	reasons := hosts(topo, m7gLarge)
	if len(reasons) != 1 || !strings.Contains(reasons[0], "a job takes 9G of memory") || !strings.Contains(reasons[0], "nearest: hosts.type with 9.9G") {
		t.Errorf("%q", reasons)
	}
}

// Every host in turn is filled as ECS would, by trying: what room says is what fits at best.
func TestRoomIsTheBestPacking(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		job := asks{rapid.IntRange(1, 2048).Draw(rt, "job units"), 384 * mib}
		web := asks{rapid.IntRange(1, 1024).Draw(rt, "web units"), int64(rapid.IntRange(64, 2048).Draw(rt, "web MiB")) * mib}
		host := Host{Type: "t4g.x", CPU: rapid.IntRange(1, 4).Draw(rt, "cpu"), Memory: int64(rapid.IntRange(1, 8).Draw(rt, "GiB")) << 30, Interfaces: rapid.IntRange(2, 6).Draw(rt, "interfaces")}
		count := rapid.IntRange(1, 4).Draw(rt, "count")
		best := -1
		for first := range count {
			for second := range count {
				sum, possible := 0, true
				for h := range count {
					jobs := 0
					if h == first {
						jobs++
					}
					if h == second {
						jobs++
					}
					fits := host.beside(jobs, job, web)
					possible = possible && fits >= 0
					sum += fits
				}
				if possible {
					best = max(best, sum)
				}
			}
		}
		if got := host.room(count, job, web); got != best {
			rt.Errorf("room for %d, the best of all placements is %d", got, best)
		}
	})
}
