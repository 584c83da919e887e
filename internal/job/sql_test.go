package job

import (
	"slices"
	"testing"
)

func TestOneArgumentWithABlankIsAStatement(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{nil, nil},
		{[]string{"select 1"}, []string{"-e", "select 1"}},
		{[]string{"mysql"}, []string{"mysql"}},
		{[]string{"-e select 1"}, []string{"-e select 1"}},
		{[]string{"-e", "select 1"}, []string{"-e", "select 1"}},
	} {
		if got := sqlArgs(c.args); !slices.Equal(got, c.want) {
			t.Errorf("%q became %q, want %q", c.args, got, c.want)
		}
	}
}
