package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"platen/internal/site"
)

// Images that a site is made of, in the order in which they are built.
var Images = site.ImageNames

// Roles of secrets. RoleMaster holds all of them and the CA's key; only the init job mounts it.
const (
	RoleMaster   = "master"
	RoleWeb      = "web"
	RoleJobs     = "jobs"
	RoleDatabase = "db"
	RoleSessions = "sessions"
	RoleObjects  = "objects"
)

// Service names and network aliases of the tiers that have one member.
const (
	ServiceEdge      = "edge"
	ServiceEndpoints = "endpoints"
	ServiceMail      = "mail"
	ServiceInit      = "init"
	AliasWeb         = "web" // every task's, on the edge's network
)

// Networks of the local place. The edge reaches web tasks on front, web tasks reach
// their endpoints on back, and only the endpoints reach the data.
const (
	NetworkFront = "front"
	NetworkBack  = "back"
	NetworkData  = "data"
)

// project is unambiguous because an environment's name has no hyphen.
func project(site, env string) string { return "platen-" + site + "-" + env }

// Shorten returns name when it has at most limit characters, and else its beginning with
// eight hex digits of its SHA-256: the same name is always shortened the same way, and two
// long names that begin alike stay apart. limit must be 10 or more.
func Shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	suffix := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight(name[:limit-len(suffix)], "-") + suffix
}

// Image returns the reference that the target runs for an image's name; "" before Publish.
func (t Topology) Image(name string) string { return t.Images[name] }

// Repository is the local repository of an image: platen/SITE-IMAGE. Its tags are the first
// twelve hex digits of digests.
func (t Topology) Repository(image string) string { return "platen/" + t.Site + "-" + image }

// WebTask names the n-th web task, from 1. Its containers are WebPHP and WebNginx.
func (t Topology) WebTask(n int) string { return "web-" + strconv.Itoa(n) }

// WebPHP names the php service of the n-th web task.
func (t Topology) WebPHP(n int) string { return t.WebTask(n) + "-php" }

// WebNginx names the nginx service of the n-th web task.
func (t Topology) WebNginx(n int) string { return t.WebTask(n) + "-nginx" }

// TaskVolume names the memory-backed volume that the containers of the n-th web task share.
func (t Topology) TaskVolume(n int) string { return t.Project + "-task-" + strconv.Itoa(n) }

// Secrets names the volume that holds a role's secrets.
func (t Topology) Secrets(role string) string { return t.Project + "-secrets-" + role }

// Network names one of the networks front, back and data.
func (t Topology) Network(name string) string { return t.Project + "-" + name }

// dataVolume names a node's volume. The generation is in the name so that a restore fills
// new volumes beside the live ones and a switch is a change of names.
func (t Topology) dataVolume(node string, generation int) string {
	return t.Project + "-" + node + "-g" + strconv.Itoa(generation)
}
