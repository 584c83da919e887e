package report

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Plain says one line of a log in a person's words: of a JSON line of the agent's kind the
// message, with what else it tells behind it, and without what the person sees anyway (the time,
// who speaks). Any other line is returned as it is.
func Plain(line string) string {
	if !strings.HasPrefix(line, "{") {
		return line
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	var message string
	var fields []string
	if _, err := d.Token(); err != nil {
		return line
	}
	for d.More() { // in the order in which it was written
		key, err := d.Token()
		if err != nil {
			return line
		}
		var value any
		if d.Decode(&value) != nil {
			return line
		}
		switch key {
		case "time", "stream":
		case "level":
			if value == "warning" || value == "error" {
				message = fmt.Sprint(value) + ": " + message
			}
		case "message":
			message += fmt.Sprint(value)
		default:
			fields = append(fields, fmt.Sprintf("%v %v", key, value))
		}
	}
	if _, err := d.Token(); err != nil || message == "" {
		return line
	}
	if len(fields) > 0 {
		message += " (" + strings.Join(fields, ", ") + ")"
	}
	return message
}
