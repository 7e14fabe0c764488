package contents_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
	"github.com/flota/flota/services/editor/contents"
	"github.com/flota/flota/services/editor/contents/contentstest"
)

func TestWhatWasJustSavedIsNotReadBack(t *testing.T) {
	var blobs contentstest.Blobs
	c := contents.New(&blobs, 100, 1000)
	digest, err := c.Put(t.Context(), []byte("hello"))
	if err != nil || digest != editor.Digest([]byte("hello")) {
		t.Fatalf("%s, %v", digest, err)
	}
	if got, err := c.Get(t.Context(), digest); err != nil || string(got) != "hello" || blobs.Reads() != 0 {
		t.Errorf("%q, %v, %d reads", got, err, blobs.Reads())
	}
	// Another replica reads it once.
	other := contents.New(&blobs, 100, 1000)
	for range 3 {
		if got, err := other.Get(t.Context(), digest); err != nil || string(got) != "hello" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if blobs.Reads() != 1 {
		t.Errorf("%d reads", blobs.Reads())
	}
	if _, err := c.Get(t.Context(), editor.Digest([]byte("other"))); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing one: %v", err)
	}
}

// Memory is bounded by bytes, and the least recently used goes first.
func TestMemoryIsBounded(t *testing.T) {
	var blobs contentstest.Blobs
	c := contents.New(&blobs, 1000, 300)
	digests := make([]string, 4)
	put := func(i, size int) {
		t.Helper()
		var err error
		if digests[i], err = c.Put(t.Context(), bytes.Repeat([]byte{byte(i)}, size)); err != nil {
			t.Fatal(err)
		}
	}
	reads := func(i int) int {
		t.Helper()
		before := blobs.Reads()
		if _, err := c.Get(t.Context(), digests[i]); err != nil {
			t.Fatal(err)
		}
		return blobs.Reads() - before
	}
	put(0, 100)
	put(1, 100)
	put(2, 100)
	if reads(0) != 0 {
		t.Error("three fit, and one is gone")
	}
	put(3, 100) // 1 was used least recently
	if reads(0) != 0 || reads(2) != 0 || reads(3) != 0 || reads(1) != 1 {
		t.Error("the wrong one was dropped")
	}
	put(0, 400)
	for range 2 {
		if reads(0) != 1 {
			t.Error("what is larger than the memory was kept")
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	var blobs contentstest.Blobs
	c := contents.New(&blobs, 1000, 50)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				content := []byte{byte(i), byte(j % 10), 1, 2, 3, 4, 5, 6}
				digest, err := c.Put(t.Context(), content)
				if err != nil {
					t.Error(err)
				}
				if got, err := c.Get(t.Context(), digest); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}
