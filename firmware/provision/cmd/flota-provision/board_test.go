//go:build linux

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

// Two sketches: one that leaves all to the agent, and one that keeps listening at the
// cable, as the base sketch does.
const (
	plain = `#include <board.h>
#include <FlotaOTA.h>
#include <unistd.h>
FLOTA_MANAGED
int main() {
  board_begin();
  for (;;) pause();
}
`
	listening = `#include <board.h>
#include <FlotaOTA.h>
#include <flota/agent.h>
#include <flota/provision.h>
#include <unistd.h>
FLOTA_MANAGED
int main() {
  static char room[flota::kMaxLine];
  flota::agent().leave_cable();
  board_begin();
  flota::Dialogue dialogue(flota::machine(), flota::agent(), room);
  for (;; usleep(2000)) dialogue.step();
}
`
)

// image compiles a sketch with the agent; the test is skipped where that cannot be.
func image(t *testing.T, sketch string) []byte {
	t.Helper()
	for _, needed := range []string{"/usr/bin/g++", "/usr/include/mbedtls/ssl.h"} {
		if _, err := os.Stat(needed); err != nil {
			t.Skipf("no virtual board: %v", err)
		}
	}
	library := filepath.Join(chiptest.Firmware(), "esp32", "FlotaOTA", "src")
	main := filepath.Join(t.TempDir(), "main.cpp")
	if err := os.WriteFile(main, []byte(sketch), 0o600); err != nil {
		t.Fatal(err)
	}
	files := []string{main}
	for _, pattern := range []string{"*.cpp", "flota/*.cpp", "posix/*.cpp", "mbedtls/*.cpp"} {
		found, err := filepath.Glob(filepath.Join(library, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return chiptest.Program(t, []string{"-DFLOTA_VIRTUAL", "-I" + library, "-Wl,--no-as-needed", "-lmbedtls", "-lmbedx509", "-lmbedcrypto"}, files...)
}

// server answers the polls of one device, as the artifact service does when there is
// nothing new.
type server struct {
	*httptest.Server
	key   string
	polls atomic.Int64
}

func newServer(t *testing.T, key string) *server {
	s := &server{key: key}
	s.Server = httptest.NewServer(http.HandlerFunc(s.answer))
	t.Cleanup(s.Close)
	return s
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	s.polls.Add(1)
	k := deviceproto.KeyHash(s.key)
	id, mac, ok := deviceproto.ParseAuthorization(r.Header.Get("Authorization"))
	signed := deviceproto.Request{
		Method: r.Method, Path: r.RequestURI, Nonce: r.Header.Get(deviceproto.HeaderNonce), Time: r.Header.Get(deviceproto.HeaderTime),
		Running: r.Header.Get(deviceproto.HeaderRunning), ETag: r.Header.Get("If-None-Match"),
	}
	if !ok || id != deviceproto.KeyID(k) || !deviceproto.VerifyRequest(k, signed, mac) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer := deviceproto.Answer{Nonce: signed.Nonce, Status: http.StatusNoContent, Poll: "1"}
	w.Header().Set(deviceproto.HeaderPoll, answer.Poll)
	w.Header().Set(deviceproto.HeaderMAC, deviceproto.AnswerMAC(k, answer))
	w.WriteHeader(answer.Status)
}

// virtual is a virtual board, and runs until the test ends.
type virtual struct {
	*exec.Cmd
	folder, port string
}

func powerOn(t *testing.T, sketch string) virtual {
	t.Helper()
	dir := t.TempDir()
	program, base := filepath.Join(dir, "flota-board"), filepath.Join(dir, "base.bin")
	v := virtual{folder: filepath.Join(dir, "bot"), port: filepath.Join(dir, "tty")}
	if err := os.WriteFile(base, image(t, sketch), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{"go", "build", "-o", program, "github.com/flota/flota/firmware/chip/cmd/flota-board"},
		{program, "new", v.folder, "--base", base, "--mac", "A0B1C2D3E4F5"},
	} {
		if output, err := exec.CommandContext(t.Context(), c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, output)
		}
	}
	var events bytes.Buffer
	v.Cmd = exec.CommandContext(context.Background(), program, "run", v.folder, "--pty", v.port)
	v.Stderr = &events
	if err := v.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = v.Process.Signal(syscall.SIGTERM)
		if err := v.Wait(); err != nil {
			t.Errorf("the board: %v\n%s", err, &events)
		}
	})
	return v
}

// A sketch has its port to itself from when its board was given all: the command says
// so, and does not claim more than it knows.
func TestVirtualBoardWithASketch(t *testing.T) {
	p := good(t)
	s := newServer(t, p.Key)
	p.Server, p.WiFi = s.URL, nil
	board := powerOn(t, plain)
	start(t, nil, nil, "--port", board.port, "--file", file(t, p)).want(t, 4, "not provisioned yet", "bot_001 now", "look at its page")
	if s.polls.Load() == 0 {
		t.Error("the server was never asked")
	}
	start(t, nil, nil, "--port", board.port, "--status", "--wait", "3s").want(t, 3, "nothing answers")
}

// A virtual board, at its serial port, from nothing to online; and everything that a
// person can have got wrong on the way.
func TestVirtualBoard(t *testing.T) {
	board := powerOn(t, listening)
	port, folder := board.port, board.folder
	p := good(t)
	s := newServer(t, p.Key)
	p.Server = s.URL
	p.WiFi = []deviceproto.Network{{SSID: "locked", Password: "12345678"}}
	start(t, nil, nil, "--port", port, "--file", file(t, p), "--online", "5s").
		want(t, 4, "ESP32", "MAC a0b1c2d3e4f5", "not provisioned yet", "bot_001 now", "wrong_password", "enter it again")
	if stored, err := os.ReadFile(filepath.Join(folder, "nvs", "flota", "key")); err != nil || string(stored) != "s"+p.Key {
		t.Errorf("the board's key: %v", err)
	}
	start(t, nil, []string{"FLOTA_WIFI_PASSWORD=password"}, "--port", port, "--wifi-ssid", "locked").want(t, 0, "provisioned before", "online: ")
	if s.polls.Load() == 0 {
		t.Error("the server was never asked")
	}
	if err := board.Process.Signal(syscall.SIGHUP); err != nil { // its reset button
		t.Fatal(err)
	}
	start(t, nil, nil, "--port", port, "--file", file(t, p), "--wifi-ssid", "nowhere", "--wifi-password-file", "/dev/null", "--online", "5s").
		want(t, 4, "2 Wi-Fi networks")

	p.WiFi = nil
	unknown := p
	unknown.Key = deviceproto.NewKey()
	start(t, nil, nil, "--port", port, "--file", file(t, unknown), "--online", "10s").want(t, 4, "unknown_device", "fresh file")
	away := p
	away.Server = "http://127.0.0.1:1"
	start(t, nil, nil, "--port", port, "--file", file(t, away), "--online", "10s").want(t, 4, "unreachable", "firewall")
	start(t, nil, nil, "--port", port, "--file", file(t, p)).want(t, 0, "no Wi-Fi network", "online: ")

	start(t, nil, nil, "--port", port, "--erase").want(t, 0, "forgotten")
	start(t, nil, nil, "--port", port, "--status").want(t, 4, "not provisioned yet")
	left, err := filepath.Glob(filepath.Join(folder, "nvs", "flota", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if content, err := os.ReadFile(name); err != nil || strings.Contains(string(content), p.Key) || strings.Contains(string(content), "12345678") {
			t.Errorf("%s is left: %v", filepath.Base(name), err)
		}
	}
}
