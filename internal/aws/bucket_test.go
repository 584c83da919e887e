package aws

import (
	"errors"
	"strings"
	"testing"
)

// Regression: each environment's up gave the bucket, which all share, the tags of its own; and in
// us-east-1, where making a bucket again succeeds, took one of the account that is not the site's.
func TestTheBucketKeepsTheTagsThatItWasMadeWith(t *testing.T) {
	for name, c := range map[string]struct {
		there  bool
		tags   string // none: NoSuchTagSet
		asked  []string
		refuse bool
	}{
		"made now":           {asked: []string{"PUT bucket", "PUT tagging"}},
		"the site's":         {there: true, tags: "<Tag><Key>Site</Key><Value>blog</Value></Tag><Tag><Key>Creator</Key><Value>ann</Value></Tag>"},
		"left by a kill":     {there: true, asked: []string{"PUT tagging"}},
		"somebody else's":    {there: true, tags: "<Tag><Key>Owner</Key><Value>accounting</Value></Tag>", refuse: true},
		"another site's own": {there: true, tags: "<Tag><Key>Site</Key><Value>shop</Value></Tag>", refuse: true},
	} {
		t.Run(name, func(t *testing.T) {
			var changed []string
			p, _ := placeOn(t, func(r request) (int, string, string) {
				method, _, _ := strings.Cut(r.Action, " ")
				switch {
				case method == "HEAD" && !c.there:
					return 404, "", ""
				case method == "GET" && r.Query == "tagging" && c.tags == "":
					return 404, "<Error><Code>NoSuchTagSet</Code></Error>", ""
				case method == "GET" && r.Query == "tagging":
					return 200, "<Tagging><TagSet>" + c.tags + "</TagSet></Tagging>", ""
				case method == "GET":
					return 200, "<ListBucketResult></ListBucketResult>", ""
				case method == "PUT" && r.Query == "":
					changed = append(changed, "PUT bucket")
				case method == "PUT" && r.Query == "tagging":
					changed = append(changed, "PUT tagging")
				}
				return 200, "", ""
			})
			p.topology.AWS.Region = "us-east-1"
			p.topology.AWS.Tags = map[string]string{"Creator": "web-team"}
			err := p.ensureBucket(t.Context())
			var foreign *ForeignBucketError
			if c.refuse != errors.As(err, &foreign) || !c.refuse && err != nil {
				t.Errorf("err = %v", err)
			}
			if strings.Join(changed, ", ") != strings.Join(c.asked, ", ") {
				t.Errorf("changed %q, want %q", changed, c.asked)
			}
		})
	}
}
