package topology

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// auroraConnections is max_connections of Aurora MySQL 3 by the size of a class (AWS, "Maximum
// connections to an Aurora MySQL DB instance"); T classes are for dev and test.
var auroraConnections = map[string]int{
	"t.small": 45, "t.medium": 90, "t.large": 135,
	"r.large": 1000, "r.xlarge": 2000, "r.2xlarge": 3000, "r.4xlarge": 4000, "r.8xlarge": 5000,
	"r.12xlarge": 6000, "r.16xlarge": 6000, "r.24xlarge": 7000,
}

// auroraFamilies are those that Aurora MySQL 3 offers.
var auroraFamilies = map[string]string{
	"t3": "t", "t4g": "t", "r5": "r", "r6g": "r", "r6i": "r", "r7g": "r", "r7i": "r", "r8g": "r",
}

// AuroraConnections is max_connections of a class; ok is false for one that is not known.
func AuroraConnections(class string) (connections int, ok bool) {
	family, size, _ := strings.Cut(strings.TrimPrefix(class, "db."), ".")
	connections, ok = auroraConnections[auroraFamilies[family]+"."+size]
	return connections, ok
}

// cacheSizes are the sizes of ElastiCache's families (AWS, "Supported node types").
var cacheSizes = map[string]string{
	"t2": "micro small medium", "t3": "micro small medium", "t4g": "micro small medium",
	"m4": "large xlarge 2xlarge 4xlarge 10xlarge", "m5": "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge",
	"m6g": graviton2, "m7g": graviton2, "c7gn": graviton2,
	"r4": "large xlarge 2xlarge 4xlarge 8xlarge 16xlarge", "r5": "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge",
	"r6g": graviton2, "r7g": graviton2, "r6gd": "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge",
}

const graviton2 = "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"

// IsCache tells whether ElastiCache has a class.
func IsCache(class string) bool {
	family, size, _ := strings.Cut(strings.TrimPrefix(class, "cache."), ".")
	return size != "" && slices.Contains(strings.Fields(cacheSizes[family]), size)
}

// NearestCache is a class that ElastiCache has, of the size of one that it does not have.
func NearestCache(class string) string {
	_, size, _ := strings.Cut(strings.TrimPrefix(class, "cache."), ".")
	for _, family := range []string{"t4g", "r7g"} {
		if near := "cache." + family + "." + size; IsCache(near) {
			return near
		}
	}
	return "cache.r7g.large"
}

// SmallestAurora is the smallest class that carries so many connections, of the R6g family where
// T classes do not; "" when none does.
func SmallestAurora(connections int) string {
	for _, class := range []string{
		"db.t4g.medium", "db.t4g.large", "db.r6g.large", "db.r6g.xlarge", "db.r6g.2xlarge",
		"db.r6g.4xlarge", "db.r6g.8xlarge", "db.r6g.12xlarge",
	} {
		if n, _ := AuroraConnections(class); n >= connections {
			return class
		}
	}
	return ""
}

// DatabaseConnections is max_connections of the database that an environment on AWS has.
func (t Topology) DatabaseConnections() int {
	if t.Database.Class == Serverless {
		wanted := Connections(t.DeployingTasks(), t.Web.Config.PHP.Children)
		for _, c := range serverless {
			if wanted <= c.connections {
				return c.connections
			}
		}
		return serverless[len(serverless)-1].connections
	}
	n, ok := AuroraConnections(t.Database.Class)
	if !ok {
		return 1000
	}
	return n
}

// Subnet is one of the nine of an environment's network, as terraform/shared cuts it.
type Subnet struct {
	Tier   string // public, private, database
	Zone   int    // 0 to 2
	Prefix netip.Prefix
}

// Subnets cuts a network of /16 to /24 into nine, as terraform/shared/network.tf does: first the
// three private ones, which are the widest, since every task has an address of its own there,
// then the public ones and the database's.
func Subnets(cidr string) ([]Subnet, error) {
	network, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, fmt.Errorf("cut the network %q: %w", cidr, err)
	}
	if !network.Addr().Is4() || network.Bits() < 16 || network.Bits() > 24 {
		return nil, fmt.Errorf("cut the network %s: want an IPv4 network of /16 to /24", cidr)
	}
	network = network.Masked()
	bits := [3]int{2, 5, 5}
	switch network.Bits() {
	case 23:
		bits = [3]int{3, 4, 5}
	case 24:
		bits = [3]int{3, 3, 4}
	}
	a := network.Addr().As4()
	next := binary.BigEndian.Uint32(a[:])
	var out []Subnet
	for i, tier := range []string{"private", "public", "database"} {
		length := network.Bits() + bits[i]
		for zone := range ZonesWanted {
			out = append(out, Subnet{tier, zone, netip.PrefixFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, next))), length)})
			next += 1 << (32 - length)
		}
	}
	return out, nil
}

// reserved addresses of every subnet: the network's, the router's, the resolver's, one for
// later, the broadcast's (AWS, "Subnet CIDR blocks").
const reserved = 5

// Usable is how many addresses AWS leaves in a subnet.
func (s Subnet) Usable() int { return 1<<(32-s.Prefix.Bits()) - reserved }

// mailPort is the port of an SMTP server; 0 = none.
func mailPort(address string) int {
	_, port, found := strings.Cut(address, ":")
	if !found {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}
