package debian

import (
	"cmp"
	"slices"
	"strings"
)

// nearNames lists up to five packages whose names look like name, the nearest first.
func nearNames(name string, u *universe) []string {
	type near struct {
		name     string
		distance int
	}
	const most = 3
	var found []near
	for other := range u.byName {
		d := most + 1
		if abs(len(other)-len(name)) <= most {
			d = editDistance(name, other)
		}
		// php-soap stands for php8.4-soap better than any small change of letters.
		if len(name) >= 4 && d > 1 && sharesWords(name, other) {
			d = 1
		}
		if d <= most && d < len(name)/2+1 {
			found = append(found, near{other, d})
		}
	}
	slices.SortFunc(found, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(len(a.name), len(b.name)), strings.Compare(a.name, b.name))
	})
	var names []string
	for _, f := range found[:min(len(found), 5)] {
		names = append(names, f.name)
	}
	return names
}

// sharesWords tells whether the names have the same words but for version numbers.
func sharesWords(a, b string) bool {
	words := func(s string) []string {
		parts := strings.Split(strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r == '.' {
				return -1
			}
			return r
		}, s), "-")
		slices.Sort(parts)
		return parts
	}
	if !strings.Contains(a, "-") || !strings.Contains(b, "-") || a[0] != b[0] {
		return false
	}
	return slices.Equal(words(a), words(b))
}

// editDistance counts the letters to insert, delete or replace to make a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}

func abs(n int) int { return max(n, -n) }
