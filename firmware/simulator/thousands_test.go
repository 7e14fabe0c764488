package simulator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Ten thousand devices live in one process, over real connections; what one of
// them costs while it waits is printed.
func TestTenThousandDevices(t *testing.T) {
	const devices = 10_000
	s := newServer(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	http1 := &http.Server{Handler: s}
	go func() { _ = http1.Serve(listener) }()
	defer http1.Close()

	firmware := image(1, 40_000)
	fleet := make([]*Device, devices)
	for i := range fleet {
		p := s.enrol(fmt.Sprintf("bot_%05d", i))
		p.Server = "http://" + listener.Addr().String()
		s.want(p, 7, firmware)
		if fleet[i], err = New(p, &Memory{}, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	before := memory()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	began := time.Now()
	for _, d := range fleet {
		group.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	confirmed := func() (n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, r := range s.reports {
			if r.State == "confirmed" {
				n++
			}
		}
		return n
	}
	for end := began.Add(5 * time.Minute); confirmed() < devices; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("only %d confirmed", confirmed())
		}
	}
	took := time.Since(began)
	s.mu.Lock()
	s.reports, s.polls, s.images, s.nonces, s.tokens = nil, nil, nil, map[string]bool{}, map[string]offered{}
	s.mu.Unlock()
	clients.Range(func(_, c any) bool { c.(*http.Client).CloseIdleConnections(); return true })
	each := (memory() - before) / devices
	t.Logf("%d devices updated in %v (%.0f/s); while it waits each takes %d bytes", devices, took.Round(time.Millisecond), devices/took.Seconds(), each)
	if each > 32<<10 {
		t.Errorf("a device that waits takes %d bytes", each)
	}
	cancel()
	group.Wait()
}

// memory is what the process uses of its heap and stacks.
func memory() int64 {
	var m runtime.MemStats
	for range 4 { // stacks shrink by half each time
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
