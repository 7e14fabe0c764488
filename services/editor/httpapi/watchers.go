package httpapi

import "sync"

// maxWatching is how many event streams somebody may have open: a browser has
// one, each costs readers on the bus, and who holds one product's password must
// not use up those of all.
const maxWatching = 32

// watchers counts the event streams that are open, by who reads them. The zero
// value is ready.
type watchers struct {
	mu   sync.Mutex
	open map[string]int
}

// enter counts one more, until leave is called, and reports false where that
// would be too many.
func (w *watchers) enter(subject string) (leave func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open[subject] >= maxWatching {
		return nil, false
	}
	if w.open == nil {
		w.open = map[string]int{}
	}
	w.open[subject]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.open[subject]--; w.open[subject] == 0 {
			delete(w.open, subject)
		}
	}, true
}
