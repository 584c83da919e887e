package job

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"strings"
	"sync"
	"testing"

	"platen/internal/agent"
)

// catcher serves a mailbox until the test ends, and returns the address to send to.
func catcher(t *testing.T, box *mailbox) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serveMail(ctx, listener, box, agent.NewLog(&bytes.Buffer{})) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the catcher ended with %v", err)
		}
	})
	return listener.Addr().String()
}

func TestCatchListShow(t *testing.T) {
	box := &mailbox{folder: t.TempDir(), messages: 10, bytes: 1 << 20}
	address := catcher(t, box)
	first := "From: \"Blög\" <blog@example.com>\r\nTo: a@example.com\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\n.dots\r\nbody\r\n"
	if err := smtp.SendMail(address, nil, "bounce@example.com", []string{"a@example.com", "blind@example.com"}, []byte(first)); err != nil {
		t.Fatal(err)
	}
	if err := smtp.SendMail(address, nil, "x@example.com", []string{"y@example.com"}, []byte("no head at all")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := listMail(box, &out, true); err != nil {
		t.Fatal(err)
	}
	var messages []Message
	if err := json.Unmarshal(out.Bytes(), &messages); err != nil {
		t.Fatal(err)
	}
	if len(messages) != 2 {
		t.Fatalf("%d messages: want 2", len(messages))
	}
	m := messages[1] // newest first
	if m.From != "blog@example.com" || m.Subject != "Grüße" || strings.Join(m.To, " ") != "a@example.com blind@example.com" {
		t.Errorf("listed %+v", m)
	}
	out.Reset()
	if err := box.show(m.ID, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != first {
		t.Errorf("shown %q, sent %q", out.String(), first)
	}
	for _, id := range []string{"../../etc/passwd", "", "20260101T000000.000000000-AAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		if err := box.show(id, &out); err == nil {
			t.Errorf("%q was shown", id)
		}
	}
}

func TestManySendAtOnceAndTheOldestAreForgotten(t *testing.T) {
	box := &mailbox{folder: t.TempDir(), messages: 20, bytes: 1 << 20}
	address := catcher(t, box)
	var senders sync.WaitGroup
	for i := range 40 {
		senders.Go(func() {
			body := fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("x", 1000))
			if err := smtp.SendMail(address, nil, "a@example.com", []string{"b@example.com"}, []byte(body)); err != nil {
				t.Error(err)
			}
		})
	}
	senders.Wait()
	messages, err := box.list()
	if err != nil || len(messages) != 20 {
		t.Errorf("%d messages, %v: want 20", len(messages), err)
	}
	if entries, err := os.ReadDir(box.folder); err != nil || len(entries) != 20 {
		t.Errorf("%d files, %v: want 20", len(entries), err)
	}
}

func TestMailboxIsBoundedInBytes(t *testing.T) {
	box := &mailbox{folder: t.TempDir(), messages: 100, bytes: 3000}
	for range 5 {
		if _, err := box.store("a", []string{"b"}, strings.NewReader(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	messages, err := box.list()
	if err != nil || len(messages) != 2 {
		t.Errorf("%d messages, %v: want the 2 that fit", len(messages), err)
	}
	// The last one stays whatever its size: it was promised to its sender.
	if _, err := box.store("a", []string{"b"}, strings.NewReader(strings.Repeat("x", 9000))); err != nil {
		t.Fatal(err)
	}
	if messages, err = box.list(); err != nil || len(messages) != 1 {
		t.Errorf("%d messages, %v: want 1", len(messages), err)
	}
}

func TestAnEmptyBoxListsNothing(t *testing.T) {
	var out bytes.Buffer
	if err := listMail(&mailbox{folder: t.TempDir() + "/none"}, &out, true); err != nil || out.String() != "[]\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
