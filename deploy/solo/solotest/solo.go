package solotest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flota/flota/deploy/solo"
)

// readyTime limits a start.
const readyTime = 60 * time.Second

// SoloOptions say how to start flota-solo.
type SoloOptions struct {
	Binary string
	// Data is the data folder; the master key comes beside it.
	Data string
	// Toolchain is what the compiler works with; empty: no compiler.
	Toolchain string
	// Env are more settings, as "FLOTA_POLL=1s"; they win over those made here.
	Env []string
}

// Solo is a running flota-solo, or one that was stopped and can be started again.
type Solo struct {
	*Process
	solo.Ready
	Log     *Log
	options SoloOptions
	token   string
}

// StartSolo starts flota-solo on free ports and returns when it is ready.
func StartSolo(ctx context.Context, o SoloOptions) (*Solo, error) {
	s := &Solo{Log: new(Log), options: o, token: "setup-" + randomWord()}
	return s, s.Start(ctx)
}

// Start starts it again on the same data, at the same addresses.
func (s *Solo) Start(ctx context.Context) error {
	var listen, devices string
	if s.URL != "" {
		listen, devices = s.address(s.URL), s.address(s.DeviceURL)
	} else {
		var err error
		if listen, err = FreeAddress(); err != nil {
			return err
		}
		if devices, err = FreeAddress(); err != nil {
			return err
		}
	}
	slots := []string{"FLOTA_SLOTS=-1"}
	if s.options.Toolchain != "" {
		slots = []string{"FLOTA_TOOLCHAIN=" + s.options.Toolchain}
	}
	env := append([]string{
		"FLOTA_DATA=" + s.options.Data, "FLOTA_LISTEN=" + listen, "FLOTA_DEVICE_LISTEN=" + devices, "FLOTA_SETUP_TOKEN=" + s.token,
	}, slots...)
	process, err := StartProcess(ProcessOptions{
		Name: "flota-solo", Path: s.options.Binary, Log: s.Log, Dir: filepath.Dir(s.options.Data), Env: append(env, s.options.Env...),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	line, err := process.Line(ctx, func(line string) bool { return strings.HasPrefix(line, "{") && strings.Contains(line, `"url"`) })
	if err != nil {
		process.Kill()
		return err
	}
	s.Process, s.Ready = process, solo.Ready{}
	return json.Unmarshal([]byte(line), &s.Ready)
}

// nextPort goes round from a place of its own in each process, so that no address is given out twice while nobody
// listens on it yet.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) }

// The ports are below those that Linux gives to outgoing connections.
const (
	firstPort = 20000
	ports     = 12000
)

// FreeAddress is one that nobody listens on, and that stays so for a process which is killed and started again.
func FreeAddress() (address string, err error) {
	for range 100 {
		address = fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%ports)
		var l net.Listener
		if l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}

// address is where a URL's listener is; a name in it stands for this machine.
func (s *Solo) address(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort("127.0.0.1", u.Port())
}

// SetupToken is the first administrator's.
func (s *Solo) SetupToken() string { return s.token }

// Data is the data folder.
func (s *Solo) Data() string { return s.options.Data }

// MasterKeyFile is beside the data.
func (s *Solo) MasterKeyFile() string { return s.options.Data + ".key" }

// Client returns a client that nobody is logged in with.
func (s *Solo) Client() *Client {
	return NewClient(s.URL, s.DeviceURL, nil)
}

// Service asks a service's inner listener, as what watches the process does:
// /metrics, /readyz.
func (s *Solo) Service(ctx context.Context, service, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.InsideURL+"/"+service+path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(r)
}

// Resident is the process's resident memory, in bytes.
func (p *Process) Resident() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, err
	}
	var kilobytes int64
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, err := fmt.Sscan(rest, &kilobytes)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("%s: no VmRSS", p.Name)
}
