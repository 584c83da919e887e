package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// What sock_diag(7) and unix_diag.h name; package syscall does not.
const (
	netlinkSockDiag  = 4
	sockDiagByFamily = 20
	diagShowName     = 1 << 0
	diagShowQueue    = 1 << 4
	diagName         = 0
	diagQueue        = 4
	stateListen      = 10 // TCP_LISTEN, which Unix sockets use too
)

// waiting is how many connections wait to be accepted at a Unix socket. The kernel alone knows:
// php-fpm's own "listen queue" is always 0 for a Unix socket (fpm_sockets.c reads TCP_INFO).
func waiting(path string) (int, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return 0, fmt.Errorf("ask the kernel for its sockets: %w", err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 2}); err != nil {
		return 0, fmt.Errorf("ask the kernel for its sockets: %w", err)
	}
	request := make([]byte, syscall.NLMSG_HDRLEN+24)
	order := binary.NativeEndian
	order.PutUint32(request[0:], uint32(len(request))) //nolint:gosec // 40
	order.PutUint16(request[4:], sockDiagByFamily)
	order.PutUint16(request[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	request[syscall.NLMSG_HDRLEN] = syscall.AF_UNIX
	order.PutUint32(request[syscall.NLMSG_HDRLEN+4:], 1<<stateListen)
	order.PutUint32(request[syscall.NLMSG_HDRLEN+12:], diagShowName|diagShowQueue)
	if err := syscall.Sendto(fd, request, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask the kernel for its sockets: %w", err)
	}
	buffer := make([]byte, 64<<10)
	for {
		n, _, err := syscall.Recvfrom(fd, buffer, 0)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("ask the kernel for its sockets: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return 0, fmt.Errorf("ask the kernel for its sockets: %w", err)
		}
		for _, m := range messages {
			switch m.Header.Type {
			case syscall.NLMSG_DONE:
				return 0, fmt.Errorf("no server listens at %s: %w", path, os.ErrNotExist)
			case syscall.NLMSG_ERROR:
				return 0, errors.New("the kernel does not tell the queues of its sockets")
			}
			if queue, ok := queueOf(m.Data, path); ok {
				return queue, nil
			}
		}
	}
}

// queueOf reads the queue out of a unix_diag_msg when it is of the socket at path.
func queueOf(data []byte, path string) (queue int, ok bool) {
	const header = 16
	if len(data) < header {
		return 0, false
	}
	named := false
	for rest := data[header:]; len(rest) >= 4; {
		length, kind := int(binary.NativeEndian.Uint16(rest)), binary.NativeEndian.Uint16(rest[2:])
		if length < 4 || length > len(rest) {
			return 0, false
		}
		value := rest[4:length]
		switch kind {
		case diagName:
			named = strings.TrimRight(string(value), "\x00") == path
		case diagQueue:
			if len(value) >= 4 {
				queue = int(binary.NativeEndian.Uint32(value))
			}
		}
		rest = rest[min(len(rest), (length+3)&^3):]
	}
	return queue, named
}
