package e2e

import (
	"testing"
	"time"

	"platen/internal/debian/debiantest"
	"platen/tests/e2e/site"
)

// An archive that cannot be trusted, or that ends in the middle, builds nothing.
func TestArchiveThatCannotBeTrusted(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*debiantest.Archive)
		env   func(*debiantest.Archive) []string
		says  []string
	}{
		{
			name: "signed by a key that is not Debian's",
			env:  func(*debiantest.Archive) []string { return nil }, says: []string{"InRelease", "key"},
		},
		{
			name: "expired", spoil: func(a *debiantest.Archive) {
				a.SetDates(time.Now().Add(-9*24*time.Hour), time.Now().Add(-2*24*time.Hour))
			},
			says: []string{"InRelease", "was valid until"},
		},
		{
			name:  "its list of packages was changed",
			spoil: func(a *debiantest.Archive) { a.Fault(debiantest.Fault{Path: "binary-", Corrupt: true}) },
			says:  []string{"Packages", "SHA256"},
		},
		{
			name:  "its list of packages ends in the middle",
			spoil: func(a *debiantest.Archive) { a.Fault(debiantest.Fault{Path: "binary-", Keep: 40}) },
			says:  []string{"Packages"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			archive := debiantest.New(t, debiantest.Package{Name: "nginx", Version: "1.26.3-3"})
			if c.spoil != nil {
				c.spoil(archive)
			}
			keyring := func(a *debiantest.Archive) []string { return []string{"PLATEN_DEBIAN_KEYRING=" + a.KeyringFile} }
			if c.env != nil {
				keyring = c.env
			}
			s := site.New(t)
			s.Configure(t)
			s.Env = append(keyring(archive), "PLATEN_DEBIAN_MIRROR="+archive.URL+" "+archive.SecurityURL, "XDG_CACHE_HOME="+t.TempDir())
			refused(t, s, 1, c.says...)
			untouched(t, s)
		})
	}
}
