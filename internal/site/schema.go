package site

import "encoding/json"

// Schema is the JSON Schema (draft 2020-12) of platen.yaml, for editors. It is made of the
// rules that Parse checks by; what lies between keys, or between a size's bounds, only
// Parse knows.
func Schema() []byte {
	root := grammar().describe()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "platen.yaml"
	named(root)
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps of strings and numbers always marshal
	}
	return append(data, '\n')
}

// named moves what stands both at the top and in an environment into $defs.
func named(root map[string]any) {
	defs := map[string]any{}
	top := root["properties"].(map[string]any)
	environment := top["environments"].(map[string]any)["additionalProperties"].(map[string]any)
	below := environment["properties"].(map[string]any)
	for key := range below {
		if described, both := top[key]; both {
			defs[key] = described
			ref := map[string]any{"$ref": "#/$defs/" + key}
			top[key], below[key] = ref, ref
		}
	}
	environment["if"] = map[string]any{
		"properties": map[string]any{"target": map[string]any{"const": AWS}},
		"required":   []string{"target"},
	}
	environment["then"] = map[string]any{"required": []string{"account", "region"}, "properties": forbid(localKeys)}
	environment["else"] = map[string]any{"properties": forbid(awsKeys)}
	defs["environment"] = environment
	environments := top["environments"].(map[string]any)
	environments["minProperties"] = 1
	environments["additionalProperties"] = map[string]any{"$ref": "#/$defs/environment"}
	root["$defs"] = defs
}

func forbid(keys []string) map[string]any {
	out := map[string]any{}
	for _, key := range keys {
		out[key] = false
	}
	return out
}
