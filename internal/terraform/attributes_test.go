package terraform

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"

	"platen/internal/report"
)

// Changes as `terraform show -json` writes them.
func TestAttributesOfAChange(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		want   []string
	}{
		"a number": {`{"actions":["update"],"before":{"max_capacity":10,"min_capacity":2},"after":{"max_capacity":12,"min_capacity":2},"after_unknown":{}}`,
			[]string{"max_capacity: 10 → 12"}},
		"one added, one taken away": {`{"actions":["update"],"before":{"a":"x","b":null},"after":{"a":null,"b":true}}`,
			[]string{"a: x → ", "b:  → true"}},
		"a block": {`{"actions":["update"],"before":{"instance_refresh":[{"preferences":[{"skip_matching":false,"alarms":["x"]}]}]},"after":{"instance_refresh":[{"preferences":[{"skip_matching":true,"alarms":["x"]}]}]}}`,
			[]string{"instance_refresh.preferences.skip_matching: false → true"}},
		"a container in JSON": {`{"actions":["delete","create"],"before":{"container_definitions":"[{\"name\":\"php\",\"memory\":768},{\"name\":\"nginx\",\"memory\":128}]"},"after":{"container_definitions":"[{\"name\":\"php\",\"memory\":1024},{\"name\":\"nginx\",\"memory\":128}]"}}`,
			[]string{"container_definitions.php.memory: 768 → 1024"}},
		"what AWS works out": {`{"actions":["update"],"before":{"latest_version":3,"image_id":"ami-1","tags_all":{"A":"1"}},"after":{"image_id":"ami-2","tags_all":{"A":"2"}},"after_unknown":{"latest_version":true}}`,
			[]string{"image_id: ami-1 → ami-2"}},
		"unknown, and the reason of a replacement": {`{"actions":["delete","create"],"before":{"subnet":"s-1","arn":"x"},"after":{},"after_unknown":{"subnet":true,"arn":true},"replace_paths":[["subnet"]]}`,
			[]string{"subnet: s-1 → (known afterwards)"}},
		"a secret": {`{"actions":["update"],"before":{"password":"hunter2","user":"a"},"after":{"password":"hunter3","user":"b"},"before_sensitive":{"password":true},"after_sensitive":{"password":true}}`,
			[]string{"password: (secret) → (secret)", "user: a → b"}},
		"a secret that stays": {`{"actions":["update"],"before":{"password":"hunter2","user":"a"},"after":{"password":"hunter2","user":"b"},"before_sensitive":{"password":true},"after_sensitive":{"password":true}}`,
			[]string{"user: a → b"}},
		"a secret below": {`{"actions":["update"],"before":{"env":[{"name":"x","value":"hunter2"}]},"after":{"env":[{"name":"x","value":"hunter3"}]},"before_sensitive":{"env":[{"value":true}]},"after_sensitive":{"env":[{"value":true}]}}`,
			[]string{"env.x.value: (secret) → (secret)"}},
		"tags": {`{"actions":["update"],"before":{"tags":{"aws.x":"1"}},"after":{"tags":{"aws.x":"2"}},"after_unknown":{"tags":{}}}`,
			[]string{"tags.aws.x: 1 → 2"}},
		"lists": {`{"actions":["update"],"before":{"zones":["a","b"]},"after":{"zones":["a","b","c"]}}`, []string{"zones: a, b → a, b, c"}},
		"new":   {`{"actions":["create"],"before":null,"after":{"a":1}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var change tfjson.Change
			if err := json.Unmarshal([]byte(c.change), &change); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range attributes(&change) {
				got = append(got, fmt.Sprintf("%s: %s → %s", a.Name, a.Old, a.New))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if strings.Contains(strings.Join(got, ""), "hunter") {
				t.Error("a secret is shown")
			}
		})
	}
	long := strings.Repeat("ä", 100)
	if got := short(long); len([]rune(got)) != longest {
		t.Errorf("%d characters", len([]rune(got)))
	}
}

// Only what a plan takes back was somebody else's doing: 14 → 5 in the file, while AWS filled in a tag,
// is an edit.
func TestDriftIsWhatThePlanTakesBack(t *testing.T) {
	edit := []report.Attribute{{Name: "retention", Old: "14", New: "5"}}
	for name, c := range map[string]struct {
		strayed []report.Attribute
		want    bool
	}{
		"nothing strayed":  {nil, false},
		"something else":   {[]report.Attribute{{Name: "tags", Old: "", New: "x"}}, false},
		"changed by hand":  {[]report.Attribute{{Name: "retention", Old: "5", New: "14"}}, true},
		"another of these": {[]report.Attribute{{Name: "retention", Old: "5", New: "30"}}, false},
	} {
		if got := takesBack(edit, c.strayed); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
