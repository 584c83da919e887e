package topology

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"platen/internal/site"
)

// MaxAWSPrefix leaves eight characters for what follows it: load balancers and target groups
// allow 32.
const MaxAWSPrefix = 24

// maxBucketName is S3's.
const maxBucketName = 63

var hyphens = regexp.MustCompile(`-{2,}`)

// awsOwn are beginnings that AWS keeps: of capacity providers (AWS, "CreateCapacityProvider", name), of load
// balancers ("CreateLoadBalancer", Name) and of buckets ("Bucket naming rules").
var awsOwn = regexp.MustCompile(`^(aws|ecs|fargate|internal-|sthree-|amzn-)`)

// AWSPrefix begins the name of every AWS resource of the environment: SITE-ENV, at most
// MaxAWSPrefix characters. Two hyphens in a row become one, which RDS insists on, and what AWS
// keeps to itself stands behind a letter of ours.
func (t Topology) AWSPrefix() string {
	whole := t.Site + "-" + t.Env
	name := awsOwn.ReplaceAllString(hyphens.ReplaceAllString(whole, "-"), "p-$1")
	if name != whole {
		// Another site may have that name: the digest of the real one keeps them apart.
		name += "-" + Shorten(strings.Repeat("x", 32)+whole, 10)[2:]
	}
	return Shorten(name, MaxAWSPrefix)
}

// StateBucket is the site's bucket of state in an account and region: the states of all stacks
// and environments there, and Platen's own records.
func (t Topology) StateBucket() string {
	return Shorten("platen-"+t.Site+"-"+t.AWS.Account+"-"+t.AWS.Region, maxBucketName)
}

// StateTable is the DynamoDB table that locks the states when state.lock is dynamodb.
func (t Topology) StateTable() string { return t.StateBucket() }

// RecordPrefix begins the keys of the environment's records in the state bucket.
func (t Topology) RecordPrefix() string { return "platen/" + t.Env + "/" }

// stateKey is a stack's state in the default workspace; StateKey the environment's own.
func stateKey(stack string) string { return stack + "/terraform.tfstate" }

// StateKey is where the environment's state of a stack lies in the bucket.
func (t Topology) StateKey(stack string) string { return "env:/" + t.Env + "/" + stateKey(stack) }

// Backend is Terraform's configuration of a stack's backend "s3".
func (t Topology) Backend(stack string) map[string]any {
	b := map[string]any{
		"bucket": t.StateBucket(), "region": t.AWS.Region, "key": stateKey(stack), "encrypt": true,
		"allowed_account_ids": []string{t.AWS.Account},
	}
	if t.AWS.StateLock == "dynamodb" {
		b["dynamodb_table"] = t.StateTable()
	} else {
		b["use_lockfile"] = true
	}
	return b
}

// Pins are what is looked up once and then stays, so that plans do not drift when AWS
// publishes something: the record "aws.json" of the store.
type Pins struct {
	Zones []string `json:"zones"`             // three names, in the order of the subnets
	Image string   `json:"image"`             // of the hosts, ami-…
	For   string   `json:"for"`               // the architecture that Image is of
	Zone  string   `json:"zone_id,omitempty"` // the hosted zone of the domain
	// CopyTo is the second region that holds copies of backups. It stays when backups.copy_to goes:
	// the copies there age, and whoever looks for their vault elsewhere finds none.
	CopyTo string `json:"copy_to,omitempty"`
}

// ZonesWanted is how many availability zones an environment spans.
const ZonesWanted = 3

// Architecture is the processor of an instance type: arm64 for Graviton, whose family has a g
// after its generation (m7g, c7gn, t4g, x2gd; AWS, "Amazon EC2 instance type naming"), and a1.
func Architecture(instance string) string {
	family, _, _ := strings.Cut(instance, ".")
	if family == "a1" || graviton.MatchString(family) {
		return "arm64"
	}
	return "x86_64"
}

var graviton = regexp.MustCompile(`^[a-z]+[0-9]+g`)

// Trunks tells whether ECS gives instances of the type a trunk with many more task addresses:
// every current one of the C, M and R families that is not burstable (see capacity).
func Trunks(instance string) bool {
	family, size, _ := strings.Cut(instance, ".")
	return trunking.MatchString(family) && size != "metal"
}

var trunking = regexp.MustCompile(`^(c5|c5a|c5ad|c5d|c5n|c6a|c6g|c6gd|c6gn|c6i|c6id|c6in|c7a|c7g|c7gd|c7gn|c7i|m5|m5a|m5ad|m5d|m5dn|m5n|m6a|m6g|m6gd|m6i|m6id|m7a|m7g|m7gd|m7i|m7i-flex|r5|r5a|r5b|r5d|r5n|r6a|r6g|r6gd|r6i|r7a|r7g|r7gd|r7i)$`)

// LogDays rounds up to what CloudWatch Logs can keep.
func LogDays(days int) int {
	all := []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
	i, _ := slices.BinarySearch(all, days)
	return all[min(i, len(all)-1)]
}

// BackupHours rounds the interval up to one that divides a day.
func BackupHours(every time.Duration) int {
	all := []int{1, 2, 3, 4, 6, 8, 12, 24}
	hours := int((every + time.Hour - 1) / time.Hour)
	i, _ := slices.BinarySearch(all, hours)
	return all[min(i, len(all)-1)]
}

// Serverless is the class of an Aurora that sizes itself.
const Serverless = "db.serverless"

// ServerlessMax is the largest size in ACUs that carries so many connections (AWS, "Maximum
// Aurora capacity units and max_connections", Aurora MySQL); ok is false above all of them.
func ServerlessMax(connections int) (acus float64, ok bool) {
	for _, c := range serverless {
		if connections <= c.connections {
			return c.acus, true
		}
	}
	return serverless[len(serverless)-1].acus, false
}

var serverless = []struct {
	acus        float64
	connections int
}{{1, 90}, {4, 135}, {8, 1000}, {16, 2000}, {32, 3000}, {64, 4000}, {128, 5000}, {256, 6000}}

type bounds struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

func boundsOf(r site.Range) bounds { return bounds(r) }

// commonVariables are those of every stack.
type commonVariables struct {
	Account     string            `json:"account"`
	Region      string            `json:"region"`
	Site        string            `json:"site"`
	Environment string            `json:"environment"`
	Name        string            `json:"name"`
	Tags        map[string]string `json:"tags"`
}

type remoteState struct {
	Bucket string `json:"bucket"`
	Region string `json:"region"`
}

type sharedVariables struct {
	commonVariables
	Network networkVariables `json:"network"`
	CDN     bool             `json:"cdn"`
	CopyTo  string           `json:"copy_to"`
	LogDays int              `json:"log_days"`
	// MailPort is what web tasks may reach outside beside HTTP; 0 = no mail server.
	MailPort int `json:"mail_port"`
}

type networkVariables struct {
	CIDR  string   `json:"cidr"`
	NAT   string   `json:"nat"`
	Zones []string `json:"zones"`
}

type clusterVariables struct {
	commonVariables
	State   remoteState     `json:"state"`
	Hosts   hostVariables   `json:"hosts"`
	Domain  domainVariables `json:"domain"`
	CDN     bool            `json:"cdn"`
	LogDays int             `json:"log_days"`
}

type hostVariables struct {
	Type         string `json:"type"`
	Architecture string `json:"architecture"`
	Image        string `json:"image"`
	Trunking     bool   `json:"trunking"`
	Count        bounds `json:"count"`
	Fill         int    `json:"fill"`
	Step         bounds `json:"step"`
}

type domainVariables struct {
	Name   string `json:"name"`
	ZoneID string `json:"zone_id"`
}

type dataVariables struct {
	commonVariables
	State    remoteState       `json:"state"`
	Database databaseVariables `json:"database"`
	Sessions sessionsVariables `json:"sessions"`
	Objects  objectsVariables  `json:"objects"`
	Media    string            `json:"media"`
	Backups  backupsVariables  `json:"backups"`
	LogDays  int               `json:"log_days"`
}

type databaseVariables struct {
	Class    string         `json:"class"`
	Capacity capacityLimits `json:"capacity"`
	Readers  bounds         `json:"readers"`
	Scale    scaleVariables `json:"scale"`
}

type capacityLimits struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

type scaleVariables struct {
	CPU         int `json:"cpu"`
	Connections int `json:"connections"`
}

type sessionsVariables struct {
	Engine   string `json:"engine"`
	Class    string `json:"class"`
	Replicas int    `json:"replicas"`
}

type objectsVariables struct {
	Engine   string `json:"engine"`
	Class    string `json:"class"`
	Replicas bounds `json:"replicas"`
}

type backupsVariables struct {
	Every  int           `json:"every"`
	Keep   keepVariables `json:"keep"`
	CopyTo string        `json:"copy_to"`
	Copy   bool          `json:"copy"` // still
}

type keepVariables struct {
	Hourly  int `json:"hourly"`
	Daily   int `json:"daily"`
	Weekly  int `json:"weekly"`
	Monthly int `json:"monthly"`
}

type servicesVariables struct {
	commonVariables
	State  remoteState        `json:"state"`
	Web    webVariables       `json:"web"`
	Jobs   containerVariables `json:"jobs"`
	Task   map[string]any     `json:"task"`
	Domain domainVariables    `json:"domain"`
	CDN    bool               `json:"cdn"`
	Media  string             `json:"media"`
	Alarms []string           `json:"alarms"`
	// Connections is max_connections of the writer, for the alarm.
	Connections int `json:"database_connections"`
	LogDays     int `json:"log_days"`
}

type webVariables struct {
	Tasks    bounds              `json:"tasks"`
	Scale    webScale            `json:"scale"`
	Schedule []scheduleVariables `json:"schedule"`
	PHP      containerVariables  `json:"php"`
	Nginx    containerVariables  `json:"nginx"`
}

type webScale struct {
	CPU      int `json:"cpu"`
	Requests int `json:"requests"`
}

type scheduleVariables struct {
	Cron  string `json:"cron"`
	Tasks bounds `json:"tasks"`
}

type containerVariables struct {
	CPU    float64 `json:"cpu"`    // cores
	Memory int64   `json:"memory"` // bytes
}

// Variables are the stacks' variables, by stack: what terraform.ENV.tfvars.json holds. The
// names are those of terraform/STACK/variables.tf.
func (t Topology) Variables(p Pins) (map[string]any, error) {
	a := t.AWS
	common := commonVariables{
		Account: a.Account, Region: a.Region, Site: t.Site, Environment: t.Env, Name: t.AWSPrefix(), Tags: a.Tags,
	}
	if common.Tags == nil {
		common.Tags = map[string]string{}
	}
	state := remoteState{t.StateBucket(), a.Region}
	domain := domainVariables{a.Domain, p.Zone}
	days := LogDays(a.LogDays)
	copies := p.CopyTo
	if copies == "" {
		copies = a.Backups.CopyTo
	}
	web := webVariables{
		Tasks: boundsOf(t.AWSTasks()), Scale: webScale(t.Web.Scale), Schedule: []scheduleVariables{},
		PHP: containerVariables(t.Web.PHP), Nginx: containerVariables(t.Web.Nginx),
	}
	for _, s := range t.Web.Schedule {
		for _, cron := range AWSCron(s.Cron) {
			web.Schedule = append(web.Schedule, scheduleVariables{cron, boundsOf(s.Tasks)})
		}
	}
	most, _ := ServerlessMax(Connections(t.DeployingTasks(), t.Web.Config.PHP.Children))
	told, err := t.taskVariables()
	if err != nil {
		return nil, err
	}
	alarms := a.Alarms
	if alarms == nil {
		alarms = []string{}
	}
	return map[string]any{
		StackShared: sharedVariables{
			MailPort:        mailPort(t.Web.Config.Mail.Address),
			commonVariables: common, Network: networkVariables{a.CIDR, a.NAT, p.Zones}, CDN: a.CDN, CopyTo: copies, LogDays: days,
		},
		StackCluster: clusterVariables{
			commonVariables: common, State: state, Domain: domain, CDN: a.CDN, LogDays: days,
			Hosts: hostVariables{
				Type: a.Hosts.Type, Architecture: Architecture(a.Hosts.Type), Image: p.Image, Trunking: Trunks(a.Hosts.Type),
				Count: boundsOf(a.Hosts.Count), Fill: a.Hosts.Fill, Step: boundsOf(a.Hosts.Step),
			},
		},
		StackData: dataVariables{
			commonVariables: common, State: state, LogDays: days,
			Database: databaseVariables{
				Class: t.Database.Class, Capacity: capacityLimits{0.5, most}, Readers: boundsOf(a.Readers), Scale: scaleVariables(t.Database.Scale),
			},
			Sessions: sessionsVariables{t.Sessions.Engine, t.Sessions.Class, a.SessionReplicas.Min},
			Objects:  objectsVariables{t.Objects.Engine, t.Objects.Class, boundsOf(a.ObjectReplicas)},
			Media:    t.Files.Media,
			Backups:  backupsVariables{BackupHours(a.Backups.Every), keepVariables(a.Backups.Keep), copies, a.Backups.CopyTo != ""},
		},
		StackServices: servicesVariables{
			commonVariables: common, State: state, Web: web, Jobs: containerVariables(t.JobLimits), Task: told,
			Domain: domain, CDN: a.CDN, Media: t.Files.Media, Alarms: alarms, LogDays: days,
			Connections: t.DatabaseConnections(),
		},
	}, nil
}

// AWSTasks are the bounds of the web tasks on AWS: what `scale` asked for is the Fleet's, and
// no reason to change the infrastructure.
func (t Topology) AWSTasks() site.Range {
	if t.AWS.Tasks != (site.Range{}) {
		return t.AWS.Tasks
	}
	return t.Web.Tasks
}

// FewestTasks is the lowest bound of the web tasks on AWS, schedules included.
func (t Topology) FewestTasks() int {
	fewest := t.AWSTasks().Min
	for _, s := range t.Web.Schedule {
		fewest = min(fewest, s.Tasks.Min)
	}
	return fewest
}

// MostTasks is the highest bound of the web tasks on AWS, schedules included.
func (t Topology) MostTasks() int {
	most := t.AWSTasks().Max
	for _, s := range t.Web.Schedule {
		most = max(most, s.Tasks.Max)
	}
	return most
}

// DeploymentPercent is deployment_maximum_percent of terraform/services/web.tf: the smallest that
// lets the fewest tasks have one more. No task of theirs may be missing, so with less a deployment
// at the lower bound would stand still.
func DeploymentPercent(fewest int) int {
	fewest = max(fewest, 1)
	return 100 + (100+fewest-1)/fewest
}

// Deploying is how many of so many web tasks stand at most while they are replaced: ECS takes its
// percentage of the number wanted at that time, rounded down (AWS, "DeploymentConfiguration",
// maximumPercent), and so at the upper bound more than one is added.
func Deploying(tasks, fewest int) int { return tasks * DeploymentPercent(fewest) / 100 }

// DeployingTasks is Deploying at the highest bound.
func (t Topology) DeployingTasks() int { return Deploying(t.MostTasks(), t.FewestTasks()) }

// taskVariables is what the containers are told, without what the stacks know better: the
// endpoints, which are their own outputs.
func (t Topology) taskVariables() (map[string]any, error) {
	data, err := json.Marshal(t.Web.Config)
	if err != nil {
		return nil, fmt.Errorf("write what a task is told: %w", err)
	}
	told := map[string]any{}
	if err := json.Unmarshal(data, &told); err != nil {
		return nil, fmt.Errorf("write what a task is told: %w", err)
	}
	for _, key := range []string{"site", "env", "release", "sessions", "objects", "media"} {
		delete(told, key)
	}
	c := t.Web.Config
	told["php"] = map[string]any{
		"children": c.PHP.Children, "memory": c.PHP.Memory, "upload": c.PHP.Upload, "timeout": c.PHP.Timeout,
		"env": notNil(c.PHP.Env), "settings": notNil(c.PHP.Settings),
	}
	told["database"] = map[string]any{"name": c.Database.Name, "user": c.Database.User}
	told["mail"] = map[string]any{"address": c.Mail.Address, "from": c.Mail.From, "user": c.Mail.User, "tls": c.Mail.TLS}
	told["trusted"] = append([]string{}, c.Trusted...)
	return told, nil
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

var weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"}

var weekdayNumber = regexp.MustCompile(`(^|[,-])([0-7])`)

// AWSCron writes a crontab's five fields as Application Auto Scaling's six. AWS wants a "?" in
// one of the two fields of days; where a crontab names both it means either, and that is two
// schedules.
func AWSCron(five string) []string {
	f := strings.Fields(five)
	if len(f) != 5 {
		return nil
	}
	minute, hour, day, month, weekday := f[0], f[1], f[2], f[3], strings.ToUpper(f[4])
	weekday = weekdayNumber.ReplaceAllStringFunc(weekday, func(m string) string {
		n, _ := strconv.Atoi(m[len(m)-1:])
		return m[:len(m)-1] + weekdays[n]
	})
	line := func(day, weekday string) string {
		return "cron(" + strings.Join([]string{minute, hour, day, strings.ToUpper(month), weekday, "*"}, " ") + ")"
	}
	switch {
	case weekday == "*":
		return []string{line(day, "?")}
	case day == "*":
		return []string{line("?", weekday)}
	default:
		return []string{line(day, "?"), line("?", weekday)}
	}
}
