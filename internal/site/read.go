package site

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile is far above any real platen.yaml; it bounds what the YAML parser recurses into.
const maxFile = 64 << 10

type position struct{ line, col int } // from 1; zero = made by Platen

type kind string

const (
	null    kind = "nothing"
	text    kind = "text"
	integer kind = "a whole number"
	decimal kind = "a number"
	boolean kind = "true or false"
	list    kind = "a list"
	mapping kind = "a map"
)

// node is a YAML value with its place in the file.
type node struct {
	position
	kind    kind
	text    string // of a scalar, as written; unquoted for text
	entries []entry
	items   []*node
	value   any // what its rule made of a scalar; nil when it is wrong
}

type entry struct {
	position // of the key
	key      string
	value    *node
}

// get returns the value below the keys, or nil.
func (n *node) get(keys ...string) *node {
	for _, key := range keys {
		if n == nil || n.kind != mapping {
			return nil
		}
		var next *node
		for _, e := range n.entries {
			if e.key == key {
				next = e.value
			}
		}
		n = next
	}
	return n
}

// read turns YAML into nodes. It returns nil when the file is no YAML at all.
func read(data []byte, r *findings) *node {
	if len(data) > maxFile {
		r.add(position{1, 1}, "", "the file has %d bytes: want %d or less", len(data), maxFile)
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		line := 1
		for valid := data; len(valid) > 0; {
			c, size := utf8.DecodeRune(valid)
			if c == utf8.RuneError && size == 1 {
				break
			}
			if c == '\n' {
				line++
			}
			valid = valid[size:]
		}
		r.add(position{line, 1}, "save the file as UTF-8", "the line is not UTF-8")
		return nil
	}
	file, err := parse(data)
	if err != nil {
		syntax(err, r)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			if _, comment := doc.Body.(*ast.CommentGroupNode); !comment {
				bodies = append(bodies, doc.Body)
			}
		}
	}
	if len(bodies) == 0 {
		return &node{kind: mapping, position: position{1, 1}}
	}
	if len(bodies) > 1 {
		r.add(start(bodies[1]), "keep one", "the file holds %d YAML documents", len(bodies))
	}
	return convert(bodies[0], r)
}

// parse guards against a parser that panics on input that nobody thought of: a person
// with a broken file gets an error, not a stack trace.
func parse(data []byte) (file *ast.File, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the YAML parser gave up: %v", v)
		}
	}()
	// Duplicates are ours to report: the parser would stop at the first.
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func syntax(err error, r *findings) {
	var broken *yaml.SyntaxError
	if !errors.As(err, &broken) {
		r.add(position{1, 1}, "", "this is not YAML: %v", err)
		return
	}
	at := position{1, 1}
	if broken.Token != nil {
		at = place(broken.Token)
	}
	r.add(at, "", "this is not YAML: %s", broken.Message)
}

func place(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{1, 1}
	}
	return position{t.Position.Line, t.Position.Column}
}

// start is where a value begins: the token of a block map is its first colon.
func start(n ast.Node) position {
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return start(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return start(v.Key)
	}
	return place(n.GetToken())
}

func convert(n ast.Node, r *findings) *node {
	if n == nil {
		return &node{kind: null}
	}
	out := &node{position: start(n)}
	scalar := func(k kind) *node {
		out.kind, out.text = k, n.GetToken().Value
		return out
	}
	switch v := n.(type) {
	case *ast.NullNode:
		return scalar(null)
	case *ast.BoolNode:
		return scalar(boolean)
	case *ast.IntegerNode:
		return scalar(integer)
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return scalar(decimal)
	case *ast.StringNode:
		out.kind, out.text = text, v.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, v.Value.Value
	case *ast.SequenceNode:
		out.kind = list
		for _, item := range v.Values {
			out.items = append(out.items, convert(item, r))
		}
	case *ast.MappingValueNode:
		out.kind = mapping
		out.put(v, r)
	case *ast.MappingNode:
		out.kind = mapping
		for _, value := range v.Values {
			out.put(value, r)
		}
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.add(out.position, "write the value out; environments already merge over the rest of the file",
			"anchors, aliases and tags are not read")
		out.kind = null
		out.value = reported{}
	default:
		r.add(out.position, "", "this kind of YAML value is not read")
		out.kind = null
		out.value = reported{}
	}
	return out
}

// reported is the value of a node whose problem is in the findings already.
type reported struct{}

func (n *node) put(v *ast.MappingValueNode, r *findings) {
	at := start(v.Key)
	key := strings.TrimSpace(v.Key.GetToken().Value)
	if _, merge := v.Key.(*ast.MergeKeyNode); merge {
		r.add(at, "write the keys out; environments already merge over the rest of the file", "merge keys are not read")
		return
	}
	for _, e := range n.entries {
		if e.key == key {
			r.add(at, "keep one", "%q is given twice, first on line %d", key, e.line)
			return
		}
	}
	value := convert(v.Value, r)
	if value.line == 0 || value.kind == null {
		value.position = at
	}
	n.entries = append(n.entries, entry{position: at, key: key, value: value})
}

// merge lays over above base: maps merge, scalars and lists replace. Neither is changed.
func merge(base, over *node) *node {
	if base == nil || over == nil || base.kind != mapping || over.kind != mapping {
		if over == nil {
			return base
		}
		return over
	}
	out := &node{position: over.position, kind: mapping}
	for _, e := range base.entries {
		if o := over.entry(e.key); o != nil {
			e = entry{o.position, e.key, merge(e.value, o.value)}
		}
		out.entries = append(out.entries, e)
	}
	for _, e := range over.entries {
		if base.entry(e.key) == nil {
			out.entries = append(out.entries, e)
		}
	}
	return out
}

func (n *node) entry(key string) *entry {
	if n == nil {
		return nil
	}
	for i := range n.entries {
		if n.entries[i].key == key {
			return &n.entries[i]
		}
	}
	return nil
}
