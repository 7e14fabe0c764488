package contents

import (
	"container/list"
	"sync"
)

// recent holds the contents that were used last, up to a number of bytes.
type recent struct {
	max int64

	mu    sync.Mutex
	size  int64
	order *list.List // of entry; the newest in front
	byKey map[string]*list.Element
}

type entry struct {
	digest  string
	content []byte
}

func newRecent(maxBytes int64) *recent {
	return &recent{max: maxBytes, order: list.New(), byKey: map[string]*list.Element{}}
}

func (r *recent) get(digest string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.byKey[digest]
	if !ok {
		return nil, false
	}
	r.order.MoveToFront(at)
	return at.Value.(entry).content, true
}

func (r *recent) add(digest string, content []byte) {
	if int64(len(content)) > r.max {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.byKey[digest]; ok {
		r.order.MoveToFront(at)
		return
	}
	r.byKey[digest] = r.order.PushFront(entry{digest, content})
	for r.size += int64(len(content)); r.size > r.max; {
		oldest := r.order.Back()
		e := r.order.Remove(oldest).(entry)
		delete(r.byKey, e.digest)
		r.size -= int64(len(e.content))
	}
}
