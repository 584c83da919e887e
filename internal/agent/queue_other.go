//go:build !linux

package agent

import "errors"

// waiting is known on Linux alone, where containers run.
func waiting(string) (int, error) {
	return 0, errors.New("this system does not tell the queues of its sockets")
}
