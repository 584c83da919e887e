package site

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// rule says what a value may be. Parse checks by it and Schema describes it, so that the
// two cannot disagree. One of fields, keys, item and scalar is set.
type rule struct {
	doc    string
	fields []field // a map with these keys
	others map[string]misplaced
	keys   *keyRule // a map whose keys people choose; item is its values' rule
	item   *rule    // a list, when keys is nil
	most   int      // entries of a list, or of a map with chosen keys
	scalar *scalar
	long   *rule // of a scalar: the map that may be written instead
}

type field struct {
	key      string
	rule     *rule
	required bool
}

// misplaced answers a key that people write in a place where it does not belong.
type misplaced struct{ message, hint string }

type keyRule struct {
	pattern  string
	want     string                  // "a constant's name such as WP_DEBUG"
	reserved func(key string) string // why Platen keeps the key to itself; "" = free
}

// scalar reads one value. parse returns a fault's words when the value is impossible.
type scalar struct {
	want   string // "a size such as 256M"
	kinds  []kind // what YAML may hold
	schema map[string]any
	parse  func(text string) (value any, fault string, hint string)
}

func (r *rule) field(key string) *rule {
	for _, f := range r.fields {
		if f.key == key {
			return f.rule
		}
	}
	return nil
}

// check reports all that is wrong with n and leaves the values of its scalars in it.
func (r *rule) check(path string, n *node, out *findings) {
	if n.value == (reported{}) {
		return
	}
	switch {
	case r.long != nil && n.kind == mapping:
		r.long.check(path, n, out)
	case r.scalar != nil:
		r.scalar.check(path, n, out)
	case r.keys != nil:
		r.checkKeys(path, n, out)
	case r.item != nil:
		r.checkItems(path, n, out)
	default:
		r.checkFields(path, n, out)
	}
}

func (s *scalar) check(path string, n *node, out *findings) {
	if !slices.Contains(s.kinds, n.kind) {
		hint := ""
		if (n.kind == integer || n.kind == decimal || n.kind == boolean) && slices.Contains(s.kinds, text) {
			hint = fmt.Sprintf("quote it: %q", n.text)
		}
		out.add(n.position, hint, "%s: want %s, found %s", path, s.want, n.kind)
		return
	}
	value, fault, hint := s.parse(n.text)
	if fault != "" {
		out.add(n.position, hint, "%s: %s", path, fault)
		return
	}
	n.value = value
}

func (r *rule) checkFields(path string, n *node, out *findings) {
	if n.kind != mapping {
		out.add(n.position, r.knownKeys(), "%swant a map, found %s", prefix(path), n.kind)
		return
	}
	for _, e := range n.entries {
		if next := r.field(e.key); next != nil {
			next.check(join(path, e.key), e.value, out)
			continue
		}
		if m, ok := r.others[e.key]; ok {
			out.add(e.position, m.hint, "%s: %s", join(path, e.key), m.message)
			continue
		}
		hint := r.knownKeys()
		if near := nearest(e.key, r.names()); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		out.add(e.position, hint, "%sunknown key %q", prefix(path), e.key)
	}
	for _, f := range r.fields {
		if f.required && n.entry(f.key) == nil {
			out.add(n.position, f.rule.doc, "%s%q is missing", prefix(path), f.key)
		}
	}
}

func (r *rule) checkKeys(path string, n *node, out *findings) {
	if n.kind != mapping {
		out.add(n.position, "", "%swant a map, found %s", prefix(path), n.kind)
		return
	}
	if r.most > 0 && len(n.entries) > r.most {
		out.add(n.position, "", "%s: %d entries, want at most %d", path, len(n.entries), r.most)
	}
	for _, e := range n.entries {
		if !compile(r.keys.pattern).MatchString(e.key) {
			out.add(e.position, "", "%s: %q is not %s", path, e.key, r.keys.want)
		} else if r.keys.reserved != nil {
			if why := r.keys.reserved(e.key); why != "" {
				out.add(e.position, why, "%s: %s is set by Platen", path, e.key)
			}
		}
		r.item.check(join(path, e.key), e.value, out)
	}
}

func (r *rule) checkItems(path string, n *node, out *findings) {
	if n.kind != list {
		out.add(n.position, "write [a, b]", "%s: want a list, found %s", path, n.kind)
		return
	}
	if len(n.items) > r.most {
		out.add(n.position, "", "%s: %d entries, want at most %d", path, len(n.items), r.most)
	}
	for i, item := range n.items {
		at := path + "[" + strconv.Itoa(i) + "]"
		if item.line == 0 || item.kind == null {
			item.position = n.position
		}
		r.item.check(at, item, out)
		for _, before := range n.items[:i] {
			if item.value != nil && item.value == before.value && item.value != (reported{}) {
				out.add(item.position, "keep one", "%s: %v is listed twice", at, item.text)
				break
			}
		}
	}
}

func (r *rule) names() []string {
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = f.key
	}
	return names
}

func (r *rule) knownKeys() string { return "keys here: " + strings.Join(r.names(), ", ") }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func prefix(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// describe is the rule as JSON Schema.
func (r *rule) describe() map[string]any {
	out := map[string]any{}
	switch {
	case r.long != nil:
		out["anyOf"] = []any{r.scalar.schema, r.long.describe()}
	case r.scalar != nil:
		maps.Copy(out, r.scalar.schema)
	case r.keys != nil:
		out["type"] = "object"
		out["propertyNames"] = map[string]any{"pattern": r.keys.pattern}
		out["additionalProperties"] = r.item.describe()
		if r.most > 0 {
			out["maxProperties"] = r.most
		}
	case r.item != nil:
		out["type"] = "array"
		out["items"] = r.item.describe()
		out["maxItems"] = r.most
	default:
		properties := map[string]any{}
		var required []string
		for _, f := range r.fields {
			properties[f.key] = f.rule.describe()
			if f.required {
				required = append(required, f.key)
			}
		}
		out["type"] = "object"
		out["properties"] = properties
		out["additionalProperties"] = false
		if required != nil {
			out["required"] = required
		}
	}
	out["description"] = r.doc
	return out
}

// nearest finds the name that a person may have meant: at most two slips, and never more
// than a third of the word.
func nearest(word string, names []string) string {
	best, slips := "", min(2, max(1, len(word)/3))
	for _, name := range names {
		if d := distance(word, name); d <= slips && (best == "" || d < distance(word, best)) {
			best = name
		}
	}
	return best
}

// distance counts the slips between two words: a character too many, missing, wrong, or two
// swapped (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(x)][len(y)]
}
