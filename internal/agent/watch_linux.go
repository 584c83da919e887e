package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// folderWatch tells what happens in one folder (inotify(7)).
type folderWatch struct {
	file *os.File
}

// watchFolder begins to watch: what happens from now on is told by run.
func watchFolder(folder string) (*folderWatch, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", folder, err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	if _, err := syscall.InotifyAddWatch(fd, folder, syscall.IN_MOVED_TO|syscall.IN_DELETE|syscall.IN_ONLYDIR); err != nil {
		return nil, errors.Join(fmt.Errorf("watch %s: %w", folder, err), file.Close())
	}
	return &folderWatch{file: file}, nil
}

// run tells of each name that was moved in or deleted, in order, and of events that were lost,
// until the context ends.
func (w *folderWatch) run(ctx context.Context, moved, deleted func(name string), lost func()) error {
	stop := context.AfterFunc(ctx, func() { _ = w.file.Close() })
	defer stop()
	buffer := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buffer)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return errors.Join(fmt.Errorf("read what happened in a folder: %w", err), w.file.Close())
		}
		for rest := buffer[:n]; len(rest) >= syscall.SizeofInotifyEvent; {
			mask, length := binary.NativeEndian.Uint32(rest[4:]), int(binary.NativeEndian.Uint32(rest[12:]))
			end := min(syscall.SizeofInotifyEvent+length, len(rest))
			name := strings.TrimRight(string(rest[syscall.SizeofInotifyEvent:end]), "\x00")
			rest = rest[end:]
			switch {
			case mask&syscall.IN_Q_OVERFLOW != 0:
				lost()
			case mask&syscall.IN_IGNORED != 0:
				return errors.Join(errors.New("the watched folder is gone"), w.file.Close())
			case mask&syscall.IN_MOVED_TO != 0:
				moved(name)
			case mask&syscall.IN_DELETE != 0:
				deleted(name)
			}
		}
	}
}
