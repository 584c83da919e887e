package debian

import "testing"

func TestAtoms(t *testing.T) {
	tests := []struct {
		atom, version string
		want          bool
	}{
		{"a", "0", true},
		{"a:any", "1", true},
		{"a (>= 1.0)", "1.0", true},
		{"a (>> 1.0)", "1.0", false},
		{"a (>> 1.0)", "1.0-1", true},
		{"a(<<2)", "2~rc1", true},
		{"a:any (<= 2)", "2.0", false},
		{"a (= 1:1.2-3)", "1:1.2-3", true},
		{"a (= 1.2-3)", "1:1.2-3", false},
		{"a (>= 8.4.10)", "8.4.9", false},
		{"a (>= 1.0+dfsg)", "1.0+dfsg-1+deb13u1", true},
	}
	for _, tt := range tests {
		parsed, err := parseAtom(tt.atom)
		if err != nil {
			t.Errorf("%s: %v", tt.atom, err)
			continue
		}
		if got := parsed.allows(tt.version); parsed.name != "a" || got != tt.want {
			t.Errorf("%s allows %s: %v, want %v", tt.atom, tt.version, got, tt.want)
		}
	}
	for _, bad := range []string{"", "a b", "a (1.0)", "a (~ 1)", "a (>= 1", "(>= 1)"} {
		if _, err := parseAtom(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestNearNames(t *testing.T) {
	u := &universe{byName: map[string]*entry{}}
	for _, n := range []string{"nginx", "php8.4-soap", "php8.4-soapx", "php8.2-soap", "mariadb-server", "zip"} {
		u.byName[n] = &entry{name: n}
	}
	for name, want := range map[string]string{"ngnix": "nginx", "php-soap": "php8.2-soap", "maria-db-server": "mariadb-server"} {
		got := nearNames(name, u)
		if len(got) == 0 || got[0] != want {
			t.Errorf("%s: %v, want %s first", name, got, want)
		}
	}
	if got := nearNames("entirely-else", u); len(got) != 0 {
		t.Errorf("entirely-else: %v", got)
	}
}
