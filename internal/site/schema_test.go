package site

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON is how an editor sees the file.
func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSchemaTakesGoodFiles(t *testing.T) {
	schema := compiledSchema(t)
	for name, data := range map[string][]byte{
		"design": design(t), "template": Template("blog"), "least": []byte("platen: 1\nname: blog\n"),
	} {
		if err := schema.Validate(asJSON(t, data)); err != nil {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestSchemaRefusesBadFiles(t *testing.T) {
	schema := compiledSchema(t)
	for _, name := range []string{"types", "values", "aws", "overlay", "images", "list", "scalar", "empty", "tasks-zero", "no-environment"} {
		data, err := os.ReadFile(filepath.Join("testdata/bad", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(asJSON(t, data)); err == nil {
			t.Errorf("%s.yaml is valid by the schema", name)
		}
	}
	for _, text := range []string{
		"platen: 1\nname: blog\ntilte: x\n",
		"platen: 1\nname: blog\nport: 80\n",
		"platen: 1\nname: blog\nmail: {password: x}\n",
		"platen: 1\nname: blog\nenvironments: {dev: {target: aws}}\n",
		"platen: 1\nname: blog\nenvironments: {local: {account: '123456789012'}}\n",
		"platen: 1\nname: blog\nweb: {php: {memory: 768}}\n",
		"platen: 1\nname: blog\nweb: {php: {env: {lower: 1}}}\n",
	} {
		if err := schema.Validate(asJSON(t, []byte(text))); err == nil {
			t.Errorf("valid by the schema:\n%s", text)
		}
	}
}

// Every key is described: a person reads the schema in their editor before any page of ours.
func TestSchemaDescribesEveryKey(t *testing.T) {
	var walk func(path string, r *rule)
	walk = func(path string, r *rule) {
		if r.doc == "" {
			t.Errorf("%s has no description", path)
		}
		for _, f := range r.fields {
			walk(join(path, f.key), f.rule)
		}
		if r.item != nil {
			walk(path+"[]", r.item)
		}
	}
	walk("platen.yaml", grammar())
	for _, key := range slices.Concat(localKeys, awsKeys) {
		if grammar().field("environments").item.field(key) == nil {
			t.Errorf("%s is no key of an environment", key)
		}
	}
}
