package site

import (
	"fmt"
	"math"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	kib = int64(1) << 10
	mib = kib << 10
	gib = mib << 10
	tib = gib << 10
)

var compiled sync.Map // pattern → *regexp.Regexp: rules are values, patterns are compiled once

func compile(pattern string) *regexp.Regexp {
	if re, ok := compiled.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re, _ := compiled.LoadOrStore(pattern, regexp.MustCompile(pattern))
	return re.(*regexp.Regexp)
}

// words is free text of one line.
func words(doc string, most int) *rule {
	return &rule{doc: doc, scalar: &scalar{
		want: "text", kinds: []kind{text},
		schema: map[string]any{"type": "string", "minLength": 1, "maxLength": most},
		parse: func(s string) (any, string, string) {
			switch {
			case strings.TrimSpace(s) == "":
				return nil, "is empty", "leave the key out for the default"
			case utf8.RuneCountInString(s) > most:
				return nil, fmt.Sprintf("has %d characters, want at most %d", utf8.RuneCountInString(s), most), ""
			case strings.ContainsFunc(s, unicode.IsControl):
				return nil, "has a line break or another control character", ""
			}
			return s, "", ""
		},
	}}
}

// anyScalar is text, a number or a truth value, taken as text.
func anyScalar(doc string, most int) *rule {
	r := words(doc, most)
	r.scalar.want = "one value"
	r.scalar.kinds = []kind{text, integer, decimal, boolean}
	r.scalar.schema = map[string]any{"type": []string{"string", "number", "boolean"}, "maxLength": most}
	parse := r.scalar.parse
	r.scalar.parse = func(s string) (any, string, string) {
		if s == "" {
			return s, "", ""
		}
		return parse(s)
	}
	return r
}

// shaped is text of one pattern.
func shaped(doc, pattern, want string, most int) *rule {
	return &rule{doc: doc, scalar: &scalar{
		want: want, kinds: []kind{text},
		schema: map[string]any{"type": "string", "pattern": pattern, "maxLength": most},
		parse: func(s string) (any, string, string) {
			if len(s) > most {
				return nil, fmt.Sprintf("has %d characters, want at most %d", len(s), most), ""
			}
			if !compile(pattern).MatchString(s) {
				return nil, fmt.Sprintf("%q is not %s", s, want), ""
			}
			return s, "", ""
		},
	}}
}

// then adds a check that no pattern can make.
func (r *rule) then(check func(string) (fault, hint string)) *rule {
	parse := r.scalar.parse
	r.scalar.parse = func(s string) (any, string, string) {
		v, fault, hint := parse(s)
		if fault == "" {
			fault, hint = check(s)
		}
		return v, fault, hint
	}
	return r
}

func oneOf(doc string, values ...string) *rule {
	want := strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
	return &rule{doc: doc, scalar: &scalar{
		want: want, kinds: []kind{text},
		schema: map[string]any{"enum": values},
		parse: func(s string) (any, string, string) {
			if !slices.Contains(values, s) {
				hint := ""
				if near := nearest(s, values); near != "" {
					hint = fmt.Sprintf("did you mean %s?", near)
				}
				return nil, fmt.Sprintf("%q is not %s", s, want), hint
			}
			return s, "", ""
		},
	}}
}

func truth(doc string) *rule {
	return &rule{doc: doc, scalar: &scalar{
		want: "true or false", kinds: []kind{boolean}, schema: map[string]any{"type": "boolean"},
		parse: func(s string) (any, string, string) { return strings.EqualFold(s, "true"), "", "" },
	}}
}

func whole(doc string, least, most int) *rule {
	return &rule{doc: doc, scalar: &scalar{
		want: "a whole number", kinds: []kind{integer},
		schema: map[string]any{"type": "integer", "minimum": least, "maximum": most},
		parse: func(s string) (any, string, string) {
			n, fault := within(s, least, most)
			return n, fault, ""
		},
	}}
}

func within(s string, least, most int) (int, string) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Sprintf("%s is not a plain whole number", clip(s))
	}
	if n < least || n > most {
		return 0, fmt.Sprintf("%d is out of bounds: want %d to %d", n, least, most)
	}
	return n, ""
}

// oneOfNumbers is a whole number out of a list.
func oneOfNumbers(doc string, values ...int) *rule {
	r := whole(doc, values[0], values[len(values)-1])
	r.scalar.schema = map[string]any{"enum": values}
	return r.then(func(s string) (string, string) {
		n, _ := strconv.Atoi(s)
		if slices.Contains(values, n) {
			return "", ""
		}
		return fmt.Sprintf("%d is not one of %v", n, values), ""
	})
}

func number(doc string, least, most float64) *rule {
	return &rule{doc: doc, scalar: &scalar{
		want: "a number", kinds: []kind{integer, decimal},
		schema: map[string]any{"type": "number", "minimum": least, "maximum": most},
		parse: func(s string) (any, string, string) {
			f, err := strconv.ParseFloat(s, 64)
			if err != nil || math.IsNaN(f) {
				return nil, clip(s) + " is not a plain number", ""
			}
			if f < least || f > most {
				return nil, fmt.Sprintf("%s is out of bounds: want %g to %g", s, least, most), ""
			}
			return f, "", ""
		},
	}}
}

var sizePattern = `^[0-9]{1,9}[KMGT]$`

// size is bytes, written 768M or 2G (powers of 1024).
func size(doc string, least, most int64) *rule {
	return &rule{doc: fmt.Sprintf("%s From %s to %s.", doc, bytesText(least), bytesText(most)), scalar: &scalar{
		want: "a size such as 256M", kinds: []kind{text, integer},
		schema: map[string]any{"type": "string", "pattern": sizePattern, "examples": []string{"256M", "1G"}},
		parse: func(s string) (any, string, string) {
			if !compile(sizePattern).MatchString(s) {
				return nil, fmt.Sprintf("%s is not a size such as 256M", clip(s)), "a whole number with K, M, G or T"
			}
			n, err := strconv.ParseInt(s[:len(s)-1], 10, 64)
			if err != nil {
				return nil, fmt.Sprintf("%s is not a size such as 256M", clip(s)), ""
			}
			n *= map[byte]int64{'K': kib, 'M': mib, 'G': gib, 'T': tib}[s[len(s)-1]]
			if n < least || n > most {
				return nil, fmt.Sprintf("%s is out of bounds: want %s to %s", s, bytesText(least), bytesText(most)), ""
			}
			return n, "", ""
		},
	}}
}

func bytesText(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{tib, "T"}, {gib, "G"}, {mib, "M"}, {kib, "K"}} {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

var spanPattern = `^[0-9]{1,6}(\.\.[0-9]{1,6})?$`

// span is a Range: 2 or 2..4.
func span(doc string, least, most int) *rule {
	want := "a number or a range such as 2..4"
	return &rule{doc: fmt.Sprintf("%s A number or a range such as 2..4, from %d to %d.", doc, least, most), scalar: &scalar{
		want: want, kinds: []kind{text, integer},
		schema: map[string]any{"anyOf": []any{
			map[string]any{"type": "integer", "minimum": least, "maximum": most},
			map[string]any{"type": "string", "pattern": spanPattern, "examples": []string{"2..4"}},
		}},
		parse: func(s string) (any, string, string) {
			if !compile(spanPattern).MatchString(s) {
				return nil, fmt.Sprintf("%s is not %s", clip(s), want), ""
			}
			low, high, isRange := strings.Cut(s, "..")
			if !isRange {
				high = low
			}
			r := Range{}
			for _, bound := range []struct {
				text string
				to   *int
			}{{low, &r.Min}, {high, &r.Max}} {
				n, fault := within(bound.text, least, most)
				if fault != "" {
					return nil, fault, ""
				}
				*bound.to = n
			}
			if r.Min > r.Max {
				return nil, s + " has its bounds the wrong way round", fmt.Sprintf("write %d..%d", r.Max, r.Min)
			}
			return r, "", ""
		},
	}}
}

// every is a duration of whole minutes, hours or days.
func every(doc string, least, most time.Duration) *rule {
	pattern := `^[0-9]{1,4}[mhd]$`
	return &rule{doc: doc, scalar: &scalar{
		want: "a duration such as 30m, 1h or 1d", kinds: []kind{text},
		schema: map[string]any{"type": "string", "pattern": pattern},
		parse: func(s string) (any, string, string) {
			if !compile(pattern).MatchString(s) {
				return nil, fmt.Sprintf("%s is not a duration such as 30m, 1h or 1d", clip(s)), ""
			}
			n, _ := strconv.Atoi(s[:len(s)-1])
			d := time.Duration(n) * map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]
			if d < least || d > most {
				return nil, fmt.Sprintf("%s is out of bounds: want %s to %s", s, durationText(least), durationText(most)), ""
			}
			return d, "", ""
		},
	}}
}

func durationText(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}

// folderPath is a path below the folder of platen.yaml, written with ./ so that it is never
// taken for a name in a plugin directory.
func folderPath(s string) (fault, hint string) {
	clean := path.Clean(s)
	switch {
	case path.IsAbs(s), clean == "..", strings.HasPrefix(clean, "../"):
		return fmt.Sprintf("%q leaves the folder of platen.yaml", s), "copy or mount it below the folder"
	case !strings.HasPrefix(s, "./"):
		return fmt.Sprintf("%q is not a path below the folder", s), "write ./" + strings.TrimLeft(s, "./~")
	case clean == ".":
		return fmt.Sprintf("%q is the folder itself", s), ""
	case strings.ContainsAny(s, "\\\x00\n\r"):
		return fmt.Sprintf("%q is not a path", s), ""
	}
	return "", ""
}

const (
	repositoryPattern = `([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?|[A-Za-z0-9-]+:[0-9]{1,5}|localhost)(/[a-z0-9]+([._-]+[a-z0-9]+)*)+`
	tagPattern        = `:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
)

// imageReference is an image by its digest: a tag may name something else tomorrow.
func imageReference(doc string) *rule {
	r := shaped(doc, `^`+repositoryPattern+`(`+tagPattern+`)?@sha256:[0-9a-f]{64}$`, "an image by its digest: registry.example.com/team/blog-nginx@sha256:…", 500)
	parse := r.scalar.parse
	r.scalar.parse = func(s string) (any, string, string) {
		v, fault, hint := parse(s)
		if fault != "" && compile(`^`+repositoryPattern+`(`+tagPattern+`)?$`).MatchString(s) {
			fault = fmt.Sprintf("%q is a tag, which may name another image tomorrow: want it by its digest", s)
			hint = "platen image push prints it: " + compile(`^`+repositoryPattern).FindString(s) + "@sha256:…"
		}
		return v, fault, hint
	}
	return r
}

// addonList is plugins or themes.
func addonList(doc string) *rule {
	r := words("A directory or a zip below the folder (./plugins/newsletter), or {url: …, sha256: …} of a zip.", 200)
	r.scalar.want = "a path, or a map of url and sha256"
	r.scalar.schema = map[string]any{"type": "string", "pattern": `^\./`, "maxLength": 200}
	r.then(folderPath)
	sum := shaped("What sha256sum prints of it.", `^[0-9a-f]{64}$`, "64 hexadecimal digits in small letters: what sha256sum prints", 64)
	sum.scalar.kinds = []kind{text, integer, decimal} // one of digits alone is a number to YAML
	r.long = &rule{doc: "A zip by its address; nothing but the file with this SHA-256 is used.", fields: []field{
		{key: "url", required: true, rule: shaped("Where it is fetched, once.", `^https?://[^\s/?#@]+/[^\s#]*$`, "an address, http or https and without a user", 1000)},
		{key: "sha256", required: true, rule: sum},
	}}
	return &rule{doc: doc, most: 100, item: r}
}

// imageFolders are where image.files may put something.
var imageFolders = []string{"/usr/share/wordpress/", "/usr/local/", "/opt/", "/srv/"}

// imageFiles maps paths in the image to paths below the folder.
func imageFiles() *rule {
	item := words("A file or a directory below the folder of platen.yaml.", 200)
	item.scalar.schema = map[string]any{"type": "string", "pattern": `^\./`, "maxLength": 200}
	return &rule{
		doc: "Further files in the wordpress image and, below /usr/share/wordpress, in nginx' too: {/usr/share/wordpress/robots.txt: ./robots.txt}. " +
			"Also below " + strings.Join(imageFolders[1:], ", ") + ". What is in the image already is never replaced.",
		most: 100,
		keys: &keyRule{
			pattern: `^/(usr/share/wordpress|usr/local|opt|srv)/[^\s\\]+$`, want: "a path below " + strings.Join(imageFolders, ", "),
			reserved: func(key string) string {
				switch {
				case path.Clean(key) != key:
					return "write " + path.Clean(key)
				case strings.HasPrefix(key+"/", "/usr/share/wordpress/wp-content/"):
					return "use wordpress.plugins and wordpress.themes"
				}
				return ""
			},
		},
		item: item.then(folderPath),
	}
}

// subnets is the number of subnets in a network: public, private and data in three zones.
const subnets = 9

func cidr(s string) (fault, hint string) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || !p.Addr().Is4():
		return fmt.Sprintf("%s is not an IPv4 network such as 10.20.0.0/16", clip(s)), ""
	case p.Masked() != p:
		return s + " has bits set beyond its prefix", "write " + p.Masked().String()
	case p.Bits() > 24:
		// Nine subnets take four bits, and AWS has no subnet below /28.
		return fmt.Sprintf("%s is too small for %d subnets", s, subnets), "want /16 to /24"
	case p.Bits() < 16:
		return s + " is larger than a VPC may be", "want /16 to /24"
	case !p.Addr().IsPrivate():
		return s + " is not a private network", "take one out of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
	}
	return "", ""
}

const hostPattern = `([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]`

// emailPattern is what mail servers take in practice; WordPress' is_email wants the dot.
const emailPattern = `^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$`

func email(doc string) *rule {
	return shaped(doc, emailPattern, "an e-mail address", 254)
}

func smtp(s string) (fault, hint string) {
	host, port, found := cutLast(s, ":")
	if !found || host == "" || strings.Contains(s, "/") {
		return fmt.Sprintf("%s is not host:port", clip(s)), "for example smtp.example.com:587"
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		if _, err := netip.ParseAddr(host[1 : len(host)-1]); err != nil {
			return fmt.Sprintf("%s is not an address", clip(host)), ""
		}
	} else if !compile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`).MatchString(host) {
		return fmt.Sprintf("%s is not a host's name", clip(host)), "for example smtp.example.com:587"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Sprintf("%s is not a port", clip(port)), "587 (STARTTLS) or 465 (TLS)"
	}
	return "", ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// clip quotes what a person wrote, shortened: an error line stays a line.
func clip(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		s = string([]rune(s)[:40]) + "…"
	}
	return strconv.Quote(s)
}
