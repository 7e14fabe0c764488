package artifact_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
)

func TestUploads(t *testing.T) {
	links, uploads, blobs, _ := newLinks(t)
	grant := artifact.Grant{Workspace: "w1", Build: "b1", Attempt: 1}
	store := func(sha256, content string, size int64) error {
		return uploads.Store(t.Context(), grant, sha256, strings.NewReader(content), size)
	}
	for range 2 { // the second time changes nothing
		if err := store(digest("one"), "one", 3); err != nil {
			t.Fatal(err)
		}
	}
	o, err := links.Catalog.Get(t.Context(), "w1", digest("one"))
	if err != nil || o.Build != "b1" || o.Attempt != 1 || o.Facts.Size != 3 || o.Facts.MD5 != "f97c5d29941bfb1b2fdab0874906ab82" {
		t.Errorf("%+v, %v", o, err)
	}
	// The same bytes of another build belong to the first in this workspace, and to
	// the other one in another.
	if err := upload(t, uploads, artifact.Grant{Workspace: "w1", Build: "b2", Attempt: 9}, "one"); err != nil {
		t.Fatal(err)
	}
	if err := upload(t, uploads, artifact.Grant{Workspace: "w2", Build: "b3", Attempt: 1}, "one"); err != nil {
		t.Fatal(err)
	}
	if o, _ := links.Catalog.Get(t.Context(), "w1", digest("one")); o.Build != "b1" {
		t.Errorf("%+v", o)
	}
	if o, _ := links.Catalog.Get(t.Context(), "w2", digest("one")); o.Build != "b3" {
		t.Errorf("%+v", o)
	}

	for what, test := range map[string]struct {
		sha256, content string
		size            int64
		code            fault.Code
		field           string
	}{
		"another digest":  {digest("other"), "two", 3, fault.Invalid, "sha256"},
		"no digest":       {"abc", "two", 3, fault.Invalid, "sha256"},
		"fewer bytes":     {digest("two"), "two", 4, fault.Invalid, "size"},
		"more bytes":      {digest("two"), "two", 2, fault.Invalid, "size"},
		"size not given":  {digest("two"), "two", -1, fault.Invalid, "size"},
		"larger than all": {digest("two"), "two", artifact.MaxOutput + 1, fault.TooLarge, ""},
	} {
		err := store(test.sha256, test.content, test.size)
		if fault.CodeOf(err) != test.code || fault.As(err).Field != test.field {
			t.Errorf("%s: %v", what, err)
		}
	}
	if blobs.Has(digest("two")) || blobs.Has(digest("other")) {
		t.Error("a refused upload was stored")
	}
	if _, err := links.Catalog.Get(t.Context(), "w1", digest("two")); !fault.Is(err, fault.NotFound) {
		t.Errorf("a refused upload was recorded: %v", err)
	}
	blobs.Down.Store(true)
	if err := store(digest("two"), "two", 3); !fault.Is(err, fault.Unavailable) {
		t.Errorf("store down: %v", err)
	}
}

func TestUploadLimitsOfAnAttempt(t *testing.T) {
	_, uploads, _, _ := newLinks(t)
	grant := artifact.Grant{Workspace: "w1", Build: "b1", Attempt: 1}

	// Four uploads of the largest size at the same time fill the attempt.
	wait, entered := make(chan struct{}), make(chan struct{})
	done := make(chan error, 4)
	for range 4 {
		go func() {
			done <- uploads.Store(t.Context(), grant, digest("x"), blockingReader{wait, entered}, artifact.MaxOutput)
		}()
		<-entered
	}
	if err := upload(t, uploads, grant, "y"); !fault.Is(err, fault.TooLarge) {
		t.Errorf("a fifth: %v", err)
	}
	if err := upload(t, uploads, artifact.Grant{Workspace: "w1", Build: "b1", Attempt: 2}, "y"); err != nil {
		t.Errorf("another attempt: %v", err)
	}
	close(wait)
	for range 4 {
		if err := <-done; err == nil {
			t.Error("a broken upload was stored")
		}
	}

	for i := range artifact.MaxAttemptOutputs {
		if err := upload(t, uploads, grant, fmt.Sprint(i)); err != nil {
			t.Fatalf("output %d: %v", i, err)
		}
	}
	if err := upload(t, uploads, grant, "one more"); !fault.Is(err, fault.TooLarge) {
		t.Errorf("one output too many: %v", err)
	}
}

type blockingReader struct{ wait, entered chan struct{} }

func (b blockingReader) Read([]byte) (int, error) {
	b.entered <- struct{}{}
	<-b.wait
	return 0, errors.Join(io.ErrUnexpectedEOF)
}
