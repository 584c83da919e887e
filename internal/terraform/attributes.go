package terraform

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"platen/internal/report"
)

// longest is how much of a value a person reads in a line.
const longest = 60

// attributes are the values that an update or a replacement alters, sorted by name. A value that
// may not be shown is never read. What AWS works out after every change is left out: it would be
// listed with each of them.
func attributes(c *tfjson.Change) []report.Attribute {
	if c == nil || c.Actions.NoOp() || c.Actions.Create() || c.Actions.Delete() || c.Actions.Read() {
		return nil
	}
	before, after := map[string]string{}, map[string]string{}
	flatten(before, "", c.Before, c.BeforeSensitive)
	flatten(after, "", c.After, c.AfterSensitive)
	replaces := map[string]bool{}
	for _, path := range c.ReplacePaths {
		replaces[pathName(path)] = true
	}
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	var out []report.Attribute
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, now := before[name], after[name]
		if old == now && old != report.Secret || name == "tags_all" || strings.HasPrefix(name, "tags_all.") {
			continue
		}
		if unknown(c.AfterUnknown, strings.Split(name, ".")) {
			if !replaces[name] {
				continue
			}
			now = report.Unknown
		}
		if old == report.Secret && now == report.Secret && !differ(c.Before, c.After, strings.Split(name, ".")) {
			continue
		}
		out = append(out, report.Attribute{Name: name, Old: short(old), New: short(now)})
	}
	return out
}

// flatten writes the leaves of a value under their paths. Of a list of things with names the names
// are the path, so that one more in front does not change all; JSON in a string is a value too.
func flatten(into map[string]string, path string, value, sensitive any) {
	if sensitive == true {
		if value != nil {
			into[path] = report.Secret
		}
		return
	}
	under := func(key string) string {
		if path == "" {
			return key
		}
		return path + "." + key
	}
	switch v := value.(type) {
	case nil:
	case map[string]any:
		hidden, _ := sensitive.(map[string]any)
		for key, inner := range v {
			flatten(into, under(key), inner, hidden[key])
		}
	case []any:
		hidden, _ := sensitive.([]any)
		if scalars(v) && len(hidden) == 0 {
			if len(v) > 0 {
				into[path] = list(v)
			}
			return
		}
		for i, inner := range v {
			var hide any
			if i < len(hidden) {
				hide = hidden[i]
			}
			key := strconv.Itoa(i)
			if named, ok := inner.(map[string]any); ok && hide != true {
				if name, ok := named["name"].(string); ok && name != "" {
					key = name
				}
			}
			if len(v) == 1 && key == "0" { // a block
				flatten(into, path, inner, hide)
				continue
			}
			flatten(into, under(key), inner, hide)
		}
	case string:
		if trimmed := strings.TrimSpace(v); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
			var inner any
			if json.Unmarshal([]byte(trimmed), &inner) == nil {
				flatten(into, path, inner, nil)
				return
			}
		}
		if v != "" {
			into[path] = v
		}
	default:
		into[path] = scalar(v)
	}
}

func scalars(v []any) bool {
	return !slices.ContainsFunc(v, func(inner any) bool {
		switch inner.(type) {
		case map[string]any, []any:
			return true
		}
		return false
	})
}

func list(v []any) string {
	parts := make([]string, len(v))
	for i, inner := range v {
		parts[i] = scalar(inner)
	}
	return strings.Join(parts, ", ")
}

func scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// walk finds what lies at a path of flatten's; ok is false when it is not there.
func walk(value any, path []string) (found any, ok bool) {
	if len(path) == 0 {
		return value, true
	}
	switch v := value.(type) {
	case map[string]any:
		// A key may hold dots itself, as tags do.
		for n := len(path); n > 0; n-- {
			if inner, ok := v[strings.Join(path[:n], ".")]; ok {
				return walk(inner, path[n:])
			}
		}
	case []any:
		if i, err := strconv.Atoi(path[0]); err == nil && i < len(v) {
			return walk(v[i], path[1:])
		}
		for _, inner := range v {
			if named, ok := inner.(map[string]any); ok && named["name"] == path[0] {
				return walk(inner, path[1:])
			}
		}
		if len(v) == 1 {
			return walk(v[0], path)
		}
	case bool:
		return v, true // of all that is below
	}
	return nil, false
}

// unknown tells whether a value, or what it is a part of, is known only afterwards.
func unknown(after any, path []string) bool {
	found, ok := walk(after, path)
	return ok && found == true
}

// differ compares two values that may not be shown.
func differ(before, after any, path []string) bool {
	old, okOld := walk(before, path)
	now, okNow := walk(after, path)
	a, errA := json.Marshal(old)
	b, errB := json.Marshal(now)
	return okOld != okNow || errA != nil || errB != nil || string(a) != string(b)
}

// pathName is a path of Terraform's as flatten writes it.
func pathName(path any) string {
	parts, _ := path.([]any)
	names := make([]string, 0, len(parts))
	for _, part := range parts {
		names = append(names, scalar(part))
	}
	return strings.Join(names, ".")
}

// short cuts what is too long for a line: the names of it are what a person looks for.
func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return text
}
