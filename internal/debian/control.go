package debian

import "strings"

// stanza is one paragraph of a Debian control file. Field names are lower case (they are
// case-insensitive); the lines of a folded value are joined by newlines, without their indent.
type stanza map[string]string

// parseStanzas reads the deb822 format of InRelease, control and *.sources files. Lines that are
// neither field nor continuation are passed over, as dpkg's front ends do.
func parseStanzas(text string) []stanza {
	var all []stanza
	var current stanza
	var field string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n\t ")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			current, field = nil, ""
		case line[0] == ' ' || line[0] == '\t':
			if field != "" {
				current[field] += "\n" + strings.TrimSpace(line)
			}
		default:
			key, value, ok := strings.Cut(line, ":")
			if !ok {
				field = ""
				continue
			}
			if current == nil {
				current = stanza{}
				all = append(all, current)
			}
			field = strings.ToLower(key)
			current[field] = strings.TrimSpace(value)
		}
	}
	return all
}
