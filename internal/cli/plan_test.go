package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"platen/internal/capacity"
	"platen/internal/engine"
	"platen/internal/report"
)

func printed(p engine.Planned, color bool) string {
	var out strings.Builder
	a := &app{out: &out, style: style{color}}
	a.printPlan(p)
	return out.String()
}

func stackChange(stack, tier, action, says string) report.Change {
	return report.Change{Stack: stack, Tier: tier, Action: action, Says: says, Address: "aws_x." + strings.ReplaceAll(says, " ", "_")}
}

func onAWS() engine.Planned {
	lost := stackChange("data", "files", "replace", "the share is made anew")
	lost.LosesData, lost.Reason = true, "up does not do it"
	template := stackChange("services", "web", "replace", "the template of web tasks has a new revision")
	template.Harmless = true
	p := engine.Planned{Verdict: capacity.Verdict{Fits: true, Reasons: []string{}, Sums: []string{"4 of 6 task slots: 1 web task + …", "24 of 72 database connections"}}}
	p.Changes = []report.Change{
		stackChange("services", "web", "update", "tasks scale to 12 instead of 10"), template,
		stackChange("data", "database", "create", "a third reader is added"),
		stackChange("services", "web", "create", "the alarm x is added"),
		stackChange("shared", "network", "delete", "a gateway out is removed"),
		lost,
	}
	return p
}

// The loss of data is in front, then what goes, and the rest stands under its tier.
func TestPlanGroupsByTierWithTheLossOfDataInFront(t *testing.T) {
	text := printed(onAWS(), false)
	var got []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), "  (")
		got = append(got, line)
	}
	want := []string{
		"loses data: up does not do it",
		"  ± the share is made anew",
		"replaced or removed",
		"  - a gateway out is removed",
		"web",
		"  ~ tasks scale to 12 instead of 10",
		"  ± the template of web tasks has a new revision",
		"  + the alarm x is added",
		"database",
		"  + a third reader is added",
		"fits: 4 of 6 task slots: 1 web task + …",
		"      24 of 72 database connections",
		"6 changes.",
	}
	if !slices.Equal(got, want) {
		t.Errorf("printed\n%s\nwant\n%s", text, strings.Join(want, "\n"))
	}
}

// On a terminal what loses data or goes is red, heading and line, and nothing else of the plan is.
func TestPlanIsRedWhereItIsDangerous(t *testing.T) {
	red := style{true}.bad("x")
	red, _, _ = strings.Cut(red, "x")
	for line := range strings.Lines(printed(onAWS(), true)) {
		dangerous := slices.ContainsFunc([]string{"loses data", "share", "replaced or removed", "gateway"}, func(s string) bool { return strings.Contains(line, s) })
		if strings.Contains(line, red) != dangerous {
			t.Errorf("red %v, want %v: %q", strings.Contains(line, red), dangerous, line)
		}
	}
}

func TestFirstPlanSaysWhereItIsFrom(t *testing.T) {
	p := onAWS()
	for i := range p.Changes {
		p.Changes[i].FromTopology, p.Changes[i].Action = true, "create"
	}
	text := printed(p, false)
	if !strings.HasPrefix(text, "Nothing is there yet, so Terraform cannot be asked: this is from the topology.\n") || strings.Count(text, "(from the topology)") != 6 {
		t.Errorf("printed\n%s", text)
	}
	p.Changes[0].FromTopology = false
	if text := printed(p, false); strings.Contains(text, "Nothing is there yet") {
		t.Errorf("of a half made environment it says\n%s", text)
	}
}

func TestPlanSaysWhyItDoesNotFitAndTerraformsOwnText(t *testing.T) {
	p := onAWS()
	p.Verdict = capacity.Verdict{Reasons: []string{"20 web tasks, and 6 slots"}}
	p.Details = []report.StackDetail{{Stack: "data", Text: "\n# aws_x.y will be created\n"}}
	text := printed(p, false)
	for _, part := range []string{"does not fit: 20 web tasks, and 6 slots\n", "Terraform on the stack data\n# aws_x.y will be created\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
	if strings.Contains(text, "fits: 4") {
		t.Error("and says that it fits")
	}
}

// A local plan is as it was, with the sums below.
func TestLocalPlan(t *testing.T) {
	p := engine.Planned{Verdict: capacity.Verdict{Fits: true, Sums: []string{"3G of 15G memory"}}}
	p.Changes = []report.Change{{Stack: "docker", Address: "service/edge", Action: "create", Tier: "edge", Reason: "new"}}
	if text := printed(p, false); text != "create   service/edge                 new\nfits: 3G of 15G memory\n1 change.\n" {
		t.Errorf("printed\n%s", text)
	}
}

// What --json has said since the beginning it still says (docs/json.md), and new keys are left out
// where there is nothing to say.
func TestPlanJSONIsAdditive(t *testing.T) {
	p := engine.Planned{Verdict: capacity.Verdict{Fits: true, Reasons: []string{}}}
	p.Changes = []report.Change{{Stack: "docker", Address: "service/db-1", Action: "create", Tier: "database", Reason: "new"}}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"changes":[{"stack":"docker","address":"service/db-1","action":"create","tier":"database","reason":"new"}],"verdict":{"fits":true,"reasons":[]}}`; string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	p.Changes[0].Says, p.Changes[0].LosesData = "a reader is added", true
	p.Changes[0].Attributes = []report.Attribute{{Name: "max_capacity", Old: "10", New: "12"}}
	p.Verdict.Sums = []string{"1 of 2"}
	if data, err = json.Marshal(p); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"says":"a reader is added"`, `"loses_data":true`, `"attributes":[{"name":"max_capacity","old":"10","new":"12"}]`, `"sums":["1 of 2"]`} {
		if !strings.Contains(string(data), part) {
			t.Errorf("%s is not in %s", part, data)
		}
	}
}
