package agent

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Pair is one entry of a PHP array that keeps its order.
type pair struct {
	key   string
	value any
}

// phpFile is a PHP file that returns value.
func phpFile(value any) ([]byte, error) {
	var b strings.Builder
	b.WriteString("<?php\n// Made by the agent at every start. Holds secrets.\nreturn ")
	if err := phpLiteral(&b, value, ""); err != nil {
		return nil, err
	}
	b.WriteString(";\n")
	return []byte(b.String()), nil
}

// phpLiteral writes value as a PHP expression. Whatever a string holds, nothing of it is ever
// read as code: single-quoted PHP knows two escapes, \\ and \', and takes every other byte as it
// is, "?>" included, since the lexer looks for the end tag outside of strings only.
func phpLiteral(b *strings.Builder, value any, indent string) error {
	switch v := value.(type) {
	case string:
		b.WriteByte('\'')
		for i := range len(v) {
			if v[i] == '\\' || v[i] == '\'' {
				b.WriteByte('\\')
			}
			b.WriteByte(v[i])
		}
		b.WriteByte('\'')
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case []string:
		b.WriteString("[")
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			if err := phpLiteral(b, item, indent); err != nil {
				return err
			}
		}
		b.WriteString("]")
	case map[string]any:
		pairs := make([]pair, 0, len(v))
		for key, value := range v {
			pairs = append(pairs, pair{key, value})
		}
		slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
		return phpLiteral(b, pairs, indent)
	case []pair:
		b.WriteString("[\n")
		for _, p := range v {
			b.WriteString(indent + "\t")
			if err := phpLiteral(b, p.key, ""); err != nil {
				return err
			}
			b.WriteString(" => ")
			if err := phpLiteral(b, p.value, indent+"\t"); err != nil {
				return err
			}
			b.WriteString(",\n")
		}
		b.WriteString(indent + "]")
	default:
		return fmt.Errorf("a %T has no PHP literal", value)
	}
	return nil
}

// phpConstant turns the text of a setting into the value that a person means by it: true and
// false become booleans, decimal integers numbers, everything else stays text ("256M", "007").
func phpConstant(text string) any {
	switch text {
	case "true":
		return true
	case "false":
		return false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text && n > -1<<63 {
		return n // -1<<63 itself is a float in PHP, which negates the positive number
	}
	return text
}

// iniValue quotes a value for php.ini. Double quotes would expand ${NAME}, and nothing can be
// escaped in single quotes: so text goes into single quotes, and a single quote is refused.
func iniValue(value string) (string, error) {
	if i := strings.IndexAny(value, "'\x00\r\n"); i >= 0 {
		return "", fmt.Errorf("%q holds %q, which php.ini cannot express", value, value[i])
	}
	return "'" + value + "'", nil
}
