package chiptest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flota/flota/firmware/provision"
	"github.com/flota/flota/pkg/deviceproto"
)

// Port is the board's serial port from now on.
func (b *Bench) Port() io.ReadWriteCloser {
	ctx, cancel := context.WithCancel(context.Background())
	return &benchPort{b: b, mark: b.Mark(), ctx: ctx, cancel: cancel}
}

type benchPort struct {
	b      *Bench
	mark   int
	ctx    context.Context
	cancel func()
}

func (p *benchPort) Write(data []byte) (int, error) {
	if err := p.b.WriteSerial(p.ctx, data); err != nil {
		return 0, err
	}
	return len(data), nil
}

func (p *benchPort) Read(data []byte) (int, error) {
	for {
		p.b.mu.Lock()
		n := copy(data, p.b.output[p.mark:])
		moved := p.b.moved
		p.b.mu.Unlock()
		p.mark += n
		if n > 0 {
			return n, nil
		}
		select {
		case <-moved:
		case <-p.ctx.Done():
			return 0, io.EOF
		}
	}
}

func (p *benchPort) Close() error {
	p.cancel()
	return nil
}

// Provision gives the board what it needs, over the cable.
func (b *Bench) Provision(p deviceproto.Provision) {
	b.t.Helper()
	port := b.Port()
	defer port.Close()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	dialogue := provision.New(port, provision.Options{Pace: time.Millisecond, Hello: 100 * time.Millisecond})
	if _, err := dialogue.Hello(ctx); err != nil {
		b.t.Fatalf("%v; the board wrote:\n%s", err, b.Output())
	}
	if err := dialogue.Provision(ctx, p); err != nil {
		b.t.Fatalf("%v; the board wrote:\n%s", err, b.Output())
	}
}

// Given writes what a device is given straight into the storage of a board that has no
// power: what Provision does, at once.
func Given(t testing.TB, dir string, p deviceproto.Provision) {
	t.Helper()
	space := filepath.Join(dir, "nvs", "flota")
	if err := os.MkdirAll(space, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(key, value string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(space, key), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range map[string]string{
		"server": p.Server, "workspace": p.Workspace, "device": p.Device, "product_id": p.ProductID, "key": p.Key, "board": p.Board, "ca": p.CA,
	} {
		if value != "" {
			put(key, "s"+value)
		}
	}
	keys := "b"
	for _, k := range p.Keys {
		raw, err := base64.StdEncoding.DecodeString(k)
		if err != nil {
			t.Fatal(err)
		}
		keys += string(raw)
	}
	put("keys", keys)
	for key, list := range map[string]any{"groups": p.Groups, "wifi": p.WiFi} {
		raw, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if string(raw) != "null" {
			put(key, "s"+string(raw))
		}
	}
}
