// Command configuration writes docs/configuration.md from the JSON Schema of platen.yaml, so that
// the page and the program cannot disagree.
//
//	go run ./tools/configuration > docs/configuration.md
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"platen/internal/site"
)

func main() {
	page, err := Page(site.Schema())
	if err != nil {
		fmt.Fprintln(os.Stderr, "configuration:", err)
		os.Exit(1)
	}
	fmt.Print(page)
}

const head = `<!-- Written by go run ./tools/configuration; a test compares. -->
# Configuration

` + "`platen.yaml`" + ` describes one site and the environments that it runs in. Every key is optional but
` + "`platen` and `name`" + `; without the file the defaults hold and the folder's name is the site's. The
file is strict: an unknown or repeated key, a wrong type or an impossible value is an error, and all
of them are reported at once with file, line and column, before anything is touched.

` + "`platen init`" + ` writes a short one. ` + "`platen schema`" + ` prints the JSON Schema from which an
editor completes it. Sizes are written 64M or 1G, a range 2..4, or 2 for both bounds.

What an environment says is merged over the rest: maps merge, scalars and lists replace.
Keys that only AWS uses are checked for every target, so that a mistake shows before prod is tried.
On one machine nothing acts on backups, and on replicas of database and caches, yet.
`

// sections are the order of the page: a person's, not the alphabet's.
var sections = []string{"platen", "name", "title", "admin", "wordpress", "image", "images", "web", "database", "sessions", "objects", "files", "backups", "mail", "environments"}

type schema struct {
	Ref                  string             `json:"$ref"`
	Defs                 map[string]*schema `json:"$defs"`
	Description          string             `json:"description"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties json.RawMessage    `json:"additionalProperties"`
	Items                *schema            `json:"items"`
}

// Page is the documentation of a schema as Markdown.
func Page(content []byte) (string, error) {
	var root schema
	if err := json.Unmarshal(content, &root); err != nil {
		return "", fmt.Errorf("read the schema: %w", err)
	}
	var page strings.Builder
	page.WriteString(head)
	for key := range root.Properties {
		if !slices.Contains(sections, key) {
			return "", fmt.Errorf("the schema has %q, and the page no place for it: add it to sections", key)
		}
	}
	page.WriteString("\n## The whole file\n\n| key | |\n| --- | --- |\n")
	for _, key := range sections {
		if one := root.at(root.Properties[key]); one != nil {
			fmt.Fprintf(&page, "| `%s` | %s |\n", key, cell(one.Description))
		}
	}
	for _, key := range sections {
		one := root.at(root.Properties[key])
		if one == nil || len(one.Properties) == 0 {
			continue
		}
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n| key | |\n| --- | --- |\n", key, one.Description)
		root.rows(&page, key, one)
	}
	environments := root.at(root.Properties["environments"])
	var each schema
	if environments != nil && len(environments.AdditionalProperties) > 0 {
		if err := json.Unmarshal(environments.AdditionalProperties, &each); err != nil {
			return "", fmt.Errorf("read the schema of an environment: %w", err)
		}
	}
	environment := root.at(&each)
	fmt.Fprintf(&page, "\n## environments.NAME\n\n%s\n\n| key | |\n| --- | --- |\n", environment.Description)
	own := &schema{Properties: map[string]*schema{}}
	for key, value := range environment.Properties {
		if _, everywhere := root.Properties[key]; !everywhere {
			own.Properties[key] = value
		}
	}
	root.rows(&page, "", own)
	return page.String(), nil
}

// rows writes a line for each key, those of maps below them.
func (root *schema) rows(page *strings.Builder, path string, of *schema) {
	keys := make([]string, 0, len(of.Properties))
	for key := range of.Properties {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		one := root.at(of.Properties[key])
		name := strings.TrimPrefix(path+"."+key, ".")
		fmt.Fprintf(page, "| `%s` | %s |\n", name, cell(one.Description))
		root.rows(page, name, one)
		if one.Items != nil {
			root.rows(page, name+"[]", root.at(one.Items))
		}
	}
}

// at follows a reference. What stands beside it, such as another description, wins.
func (root *schema) at(s *schema) *schema {
	if s == nil || s.Ref == "" {
		return s
	}
	target := *root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	if s.Description != "" {
		target.Description = s.Description
	}
	return root.at(&target)
}

func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n", " "), "|", "\\|")
}
