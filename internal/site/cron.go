package site

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type cronField struct {
	name        string
	least, most int
	names       []string // of least, least+1, …
}

var cronFields = []cronField{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{"weekday", 0, 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// cron checks an expression of five fields, in UTC.
func cron(s string) (fault, hint string) {
	const example = "minute hour day month weekday: 0 7 * * MON-FRI"
	fields := strings.Fields(s)
	if len(fields) != len(cronFields) {
		return fmt.Sprintf("%s has %d fields, want 5", clip(s), len(fields)), example
	}
	for i, f := range cronFields {
		for _, item := range strings.Split(fields[i], ",") {
			if !f.accepts(item) {
				return fmt.Sprintf("%s is no %s", clip(item), f.name), example
			}
		}
	}
	if fields[2] != "*" && fields[4] != "*" {
		return "a day of the month and a weekday are both given", "AWS takes one of them; write * for the other"
	}
	return "", ""
}

// accepts takes *, */n, a, a-b and a-b/n.
func (f cronField) accepts(item string) bool {
	span, step, stepped := strings.Cut(item, "/")
	if stepped {
		if n, err := strconv.Atoi(step); err != nil || n < 1 || n > f.most {
			return false
		}
	}
	if span == "*" {
		return true
	}
	low, high, ranged := strings.Cut(span, "-")
	a, ok := f.number(low)
	if !ok || (stepped && !ranged) {
		return false
	}
	if !ranged {
		return true
	}
	b, ok := f.number(high)
	return ok && a <= b
}

func (f cronField) number(s string) (int, bool) {
	if i := slices.Index(f.names, strings.ToUpper(s)); i >= 0 {
		return f.least + i, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= f.least && n <= f.most && s[0] != '+' && s[0] != '-'
}
