package aws

import (
	"strings"
	"testing"

	"platen/internal/report"
	"platen/internal/topology"
)

// Regression: another backups.copy_to, or none, had Terraform look for vault and key of the copies
// in a region in which they are not, and forget them.
func TestCopiesKeepTheirRegion(t *testing.T) {
	for _, c := range []struct {
		name     string
		recorded string // copy_to in aws.json
		state    string // of the stack shared
		wanted   string // in platen.yaml
		pinned   string // "": refused
		refused  bool
	}{
		{name: "the first", wanted: "eu-central-1", pinned: "eu-central-1"},
		{name: "the same", recorded: "eu-central-1", state: "copies", wanted: "eu-central-1", pinned: "eu-central-1"},
		{name: "another", recorded: "eu-central-1", state: "copies", wanted: "us-east-1", pinned: "eu-central-1", refused: true},
		{name: "none any more", recorded: "eu-central-1", state: "copies", pinned: "eu-central-1"},
		{name: "another before anything is there", recorded: "eu-central-1", state: "this", wanted: "us-east-1", pinned: "us-east-1"},
		{name: "none before anything is there", recorded: "eu-central-1", state: "this"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _ := placeOn(t, func(r request) (int, string, string) {
				switch {
				case strings.HasSuffix(r.Action, "/platen/dev/aws.json"):
					return 200, `{"zones":["a","b","c"],"image":"ami-1","for":"x86_64","copy_to":"` + c.recorded + `"}`, ""
				case strings.HasSuffix(r.Action, "/shared/terraform.tfstate"):
					return 200, `{"resources":[{"mode":"managed","type":"aws_kms_key","name":"` + c.state + `","instances":[{}]}]}`, ""
				case strings.HasSuffix(r.Action, "/data/terraform.tfstate"):
					return 404, `<Error><Code>NoSuchKey</Code></Error>`, ""
				}
				return unexpected(r)
			})
			topo := p.topology
			topo.AWS.Backups.CopyTo = c.wanted
			pins, _, changed, err := p.pins(t.Context(), topo)
			if err != nil {
				t.Fatal(err)
			}
			if pins.CopyTo != c.pinned || changed != (c.pinned != c.recorded) {
				t.Errorf("pinned %q, changed %v", pins.CopyTo, changed)
			}
			err = movesCopies(topo, pins)
			if c.refused != (err != nil) {
				t.Errorf("refused: %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), "eu-central-1") || !strings.Contains(report.HintOf(err), "copy_to: eu-central-1 again; or take it out")) {
				t.Errorf("%v; hint: %s", err, report.HintOf(err))
			}
			all, err := topo.Variables(pins)
			if err != nil {
				t.Fatal(err)
			}
			text := rendered(t, all[topology.StackData])
			if want := `"copy_to":"` + c.pinned + `","copy":`; !strings.Contains(text, want) || strings.Contains(text, `"copy":true`) != (c.wanted != "") {
				t.Errorf("the stack data is told %s", text)
			}
		})
	}
}
