package agent

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPHPFile(t *testing.T) {
	got, err := phpFile([]pair{
		{"text", "it's \\ a ?> <?php \"$x\" {$y}\n\x00"}, {"'key'\\", true}, {"n", -3}, {"big", int64(1) << 40},
		{"list", []string{"a", "b'"}}, {"none", []string(nil)}, {"map", map[string]any{"b": false, "a": "1"}}, {"empty", []pair{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "<?php\n// Made by the agent at every start. Holds secrets.\nreturn [\n" +
		"\t'text' => 'it\\'s \\\\ a ?> <?php \"$x\" {$y}\n\x00',\n" +
		"\t'\\'key\\'\\\\' => true,\n\t'n' => -3,\n\t'big' => 1099511627776,\n" +
		"\t'list' => ['a', 'b\\''],\n\t'none' => [],\n" +
		"\t'map' => [\n\t\t'a' => '1',\n\t\t'b' => false,\n\t],\n\t'empty' => [\n\t],\n];\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := phpFile(3.5); err == nil {
		t.Error("a float has no literal here: want an error")
	}
}

// lexString reads one single-quoted string as PHP's lexer does, and returns what follows it.
func lexString(code string) (value, rest string, ok bool) {
	if !strings.HasPrefix(code, "'") {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(code); i++ {
		switch {
		case code[i] == '\\' && i+1 < len(code) && (code[i+1] == '\\' || code[i+1] == '\''):
			i++
			b.WriteByte(code[i])
		case code[i] == '\'':
			return b.String(), code[i+1:], true
		default:
			b.WriteByte(code[i])
		}
	}
	return "", "", false
}

func TestNoStringBreaksOutOfItsLiteral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.OneOf(
			rapid.Byte(), rapid.SampledFrom([]byte("'\\$\"\n\x00?><")),
		)).Draw(t, "text"))
		var b strings.Builder
		if err := phpLiteral(&b, text, ""); err != nil {
			t.Fatal(err)
		}
		if got, rest, ok := lexString(b.String()); !ok || rest != "" || got != text {
			t.Fatalf("%q became %s: read back as %q, then %q", text, b.String(), got, rest)
		}
	})
}

func TestPHPConstant(t *testing.T) {
	for text, want := range map[string]any{
		"true": true, "false": false, "5": int64(5), "-1": int64(-1), "007": "007", "256M": "256M", "": "",
		"1e3": "1e3", "+5": "+5", "-9223372036854775808": "-9223372036854775808", "TRUE": "TRUE",
	} {
		if got := phpConstant(text); got != want {
			t.Errorf("%q became %#v: want %#v", text, got, want)
		}
	}
}
