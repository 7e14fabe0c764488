//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flota/flota/firmware/provision"
	"github.com/flota/flota/firmware/provision/provisiontest"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
)

// The test binary is the command where it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("FLOTA_TEST_AS_COMMAND") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// pty makes a pseudo-terminal: our end, and the file that a program opens as a port.
func pty(t *testing.T) (ours *os.File, port string) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ours.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	port = fmt.Sprintf("/dev/pts/%d", number)
	// Held open, so that our end does not end with the program's.
	held, err := os.OpenFile(port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close(); ours.Close() })
	return ours, port
}

// plug serves a board on a pseudo-terminal.
func plug(t *testing.T, device *provisiontest.Device) (ours *os.File, port string) {
	t.Helper()
	ours, port = pty(t)
	served := make(chan struct{})
	go func() { defer close(served); device.Serve(ours) }()
	t.Cleanup(func() { ours.Close(); <-served })
	return ours, port
}

type result struct {
	code   int
	output string // of both
}

// command is the program, with what is piped into it, and variables.
func command(t *testing.T, in io.Reader, env []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0], args...)
	var output bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = in, &output, &output
	c.Env = append([]string{"FLOTA_TEST_AS_COMMAND=1", "PATH=" + os.Getenv("PATH"), "GOCOVERDIR=" + t.TempDir()}, env...)
	return c, &output
}

func ended(t *testing.T, err error, output *bytes.Buffer) result {
	t.Helper()
	exited, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		t.Fatal(err)
	}
	r := result{output: output.String()}
	if failed {
		r.code = exited.ExitCode()
	}
	return r
}

func start(t *testing.T, in io.Reader, env []string, args ...string) result {
	t.Helper()
	c, output := command(t, in, env, args...)
	return ended(t, c.Run(), output)
}

func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d:\n%s", r.code, code, r.output)
	}
	for _, text := range texts {
		if !strings.Contains(r.output, text) {
			t.Errorf("%q is not in\n%s", text, r.output)
		}
	}
	if strings.Contains(r.output, "fk_") || strings.Contains(r.output, "12345678") || strings.Contains(r.output, "0a0a0a0a") || strings.Contains(r.output, "secret") {
		t.Errorf("it prints a secret:\n%s", r.output)
	}
}

func good(t *testing.T) deviceproto.Provision {
	t.Helper()
	all, err := vectors.Read[vectors.Provision]("../../../vectors", "provision.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Name == "networks" {
			p, err := deviceproto.ParseProvision([]byte(c.Line))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	t.Fatal("no such case")
	panic("unreachable")
}

func file(t *testing.T, p deviceproto.Provision) (path string) {
	t.Helper()
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "bot_001.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var online = provision.Status{Network: "connected", IP: "192.0.2.7", RSSI: -61, Server: "ok"}

func TestProvision(t *testing.T) {
	device := &provisiontest.Device{
		Boot: "ets Jun  8 2016\r\n", Deaf: 1,
		Statuses: []provision.Status{{Network: "connecting", Server: "none"}, {Network: "connected", Server: "none"}, online},
	}
	_, port := plug(t, device)
	p := good(t)
	start(t, nil, nil, "--port", port, "--file", file(t, p)).want(t, 0, "ESP32-C3, FlotaOTA/1.0", "not provisioned yet", "bot_001 now", "3 Wi-Fi networks", "connecting", "online: 192.0.2.7")
	if got := device.Given(); got == nil || got.Key != p.Key || len(got.WiFi) != 3 || got.WiFi[0] != p.WiFi[0] {
		t.Errorf("given %v", got)
	}
	start(t, nil, nil, "--port", port, "--status").want(t, 0, "provisioned before", "server ok")

	t.Run("a network in front", func(t *testing.T) {
		start(t, nil, []string{"FLOTA_WIFI_PASSWORD=secret secret"}, "--port", port, "--file", file(t, p), "--wifi-ssid", "barn").want(t, 0, "4 Wi-Fi networks")
		if got := device.Given().WiFi; len(got) != 4 || got[0] != (deviceproto.Network{SSID: "barn", Password: "secret secret"}) || got[1] != p.WiFi[0] {
			t.Errorf("given %v", got)
		}
	})
	t.Run("erase", func(t *testing.T) {
		start(t, nil, nil, "--port", port, "--erase").want(t, 0, "forgotten")
		if device.Given() != nil {
			t.Error("it still knows")
		}
	})
	t.Run("from a pipe", func(t *testing.T) {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		start(t, bytes.NewReader(text), nil, "--port", port, "--online", "0").want(t, 0, "bot_001 now")
		if device.Given() == nil {
			t.Error("it was given nothing")
		}
	})
}

func TestWiFi(t *testing.T) {
	device := &provisiontest.Device{Statuses: []provision.Status{online}}
	_, port := plug(t, device)
	start(t, nil, []string{"FLOTA_WIFI_PASSWORD="}, "--port", port, "--wifi-ssid", "yard").want(t, 0, "yard", "no server yet")
	start(t, nil, nil, "--port", port, "--file", file(t, good(t)), "--online", "0").want(t, 0)
	knows := func(ssid, password string) {
		t.Helper()
		if got := device.Given().WiFi; len(got) != 1 || got[0] != (deviceproto.Network{SSID: ssid, Password: password}) {
			t.Errorf("it knows %v", got)
		}
	}
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(path, []byte("secret of the shed\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, nil, nil, "--port", port, "--wifi-ssid", "shed", "--wifi-password-file", path).want(t, 0, "shed", "online")
		knows("shed", "secret of the shed")
		start(t, nil, []string{"FLOTA_WIFI_PASSWORD=x"}, "--port", port, "--wifi-ssid", "shed", "--wifi-password-file", path).want(t, 2, "give one")
	})
	t.Run("a terminal", func(t *testing.T) {
		terminal, name := pty(t)
		in, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		c, output := command(t, in, nil, "--port", port, "--wifi-ssid", "barn")
		c.Stderr = in // so the prompt is on the terminal
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		shown := bufio.NewReader(terminal)
		prompt, err := shown.ReadString(':')
		if err != nil || !strings.Contains(prompt, "Password of barn") {
			t.Errorf("%q, %v", prompt, err)
		}
		// Typed once it asks; by then the terminal shows nothing of it.
		awaitNoEcho(t, in)
		if _, err := terminal.WriteString("secret of the barn\n"); err != nil {
			t.Fatal(err)
		}
		r := ended(t, c.Wait(), output)
		r.want(t, 0, "barn", "online")
		knows("barn", "secret of the barn")
		if err := terminal.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err == nil {
			if rest, _ := io.ReadAll(shown); bytes.Contains(rest, []byte("secret")) {
				t.Errorf("the terminal shows %q", rest)
			}
		}
	})
	t.Run("nobody to ask", func(t *testing.T) {
		start(t, strings.NewReader(""), nil, "--port", port, "--wifi-ssid", "barn").want(t, 2, "FLOTA_WIFI_PASSWORD")
	})
	knows("barn", "secret of the barn")
}

func awaitNoEcho(t *testing.T, terminal *os.File) {
	t.Helper()
	raw, err := terminal.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var settings *unix.Termios
		if err := raw.Control(func(fd uintptr) { settings, _ = unix.IoctlGetTermios(int(fd), unix.TCGETS) }); err != nil {
			t.Fatal(err)
		}
		if settings != nil && settings.Lflag&unix.ECHO == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("what is typed is shown")
		}
	}
}

// A board that is plugged in later, or comes back under the same name.
func TestPlugging(t *testing.T) {
	link := filepath.Join(t.TempDir(), "ttyACM0")
	c, output := command(t, nil, nil, "--port", link, "--file", file(t, good(t)))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	c.Stdout, c.Stderr = write, write
	if err := errors.Join(c.Start(), write.Close()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(read)
	until := func(text string) {
		t.Helper()
		for lines.Scan() {
			fmt.Fprintln(output, lines.Text())
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("never %q in\n%s", text, output)
	}
	until("Waiting for")
	before := &provisiontest.Device{Statuses: []provision.Status{{Network: "connecting", Server: "none"}}}
	ours, port := plug(t, before)
	if err := os.Symlink(port, link); err != nil {
		t.Fatal(err)
	}
	until("connecting")
	// It restarts: its port goes, and comes again.
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	after := &provisiontest.Device{Statuses: []provision.Status{online}}
	_, port = plug(t, after)
	until("Waiting for")
	if err := os.Symlink(port, link); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		fmt.Fprintln(output, lines.Text())
	}
	ended(t, c.Wait(), output).want(t, 0, "online: 192.0.2.7")
	if before.Given() == nil || after.Given() != nil {
		t.Error("the wrong one was provisioned")
	}
}

func TestFailures(t *testing.T) {
	p := good(t)
	path := file(t, p)
	answer := func(f func(line, answer string) string) string {
		_, port := plug(t, &provisiontest.Device{Answer: f})
		return port
	}
	deaf := answer(func(string, string) string { return "" })
	refusing := answer(func(line, answer string) string {
		if strings.HasPrefix(line, `{"flota":"hello"`) {
			return answer
		}
		return `{"flota":"error","code":"invalid","field":"board","message":"not mine"}` + "\n"
	})
	_, offline := plug(t, &provisiontest.Device{Statuses: []provision.Status{{Network: "wrong_password", Server: "none"}}})
	talksNoMore := answer(func(line, answer string) string {
		if strings.HasPrefix(line, `{"flota":"status"`) {
			return ""
		}
		return answer
	})
	wrong := p
	wrong.Server = "flota.local"
	nothing := filepath.Join(t.TempDir(), "none")
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte(`"fk_secret"`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args  []string
		code  int
		texts []string
	}{
		"no port":                 {nil, 2, []string{"--port"}},
		"an unknown flag":         {[]string{"--prot", "x"}, 2, []string{"-prot", "usage"}},
		"a secret as a flag":      {[]string{"--port", deaf, "--wifi-password=secret"}, 2, []string{"usage"}},
		"a secret behind it":      {[]string{"--port", deaf, "--wifi-ssid", "a", "secret"}, 2, []string{"usage"}},
		"two things at once":      {[]string{"--port", deaf, "--status", "--file", path}, 2, []string{"alone"}},
		"no such file":            {[]string{"--port", deaf, "--file", nothing}, 2, []string{"no such file"}},
		"no such password file":   {[]string{"--port", deaf, "--wifi-ssid", "a", "--wifi-password-file", nothing}, 2, []string{"no such file"}},
		"no provisioning file":    {[]string{"--port", deaf, "--file", plain}, 2, []string{"not a"}},
		"a file with a mistake":   {[]string{"--port", deaf, "--file", file(t, wrong)}, 2, []string{"server: must be an origin"}},
		"no such port":            {[]string{"--port", nothing, "--file", path, "--wait", "1s"}, 3, []string{"plug the board in"}},
		"a port that is none":     {[]string{"--port", plain, "--file", path, "--wait", "1s"}, 3, []string{"no serial port"}},
		"a board without answer":  {[]string{"--port", deaf, "--file", path, "--wait", "3s"}, 3, []string{"nothing answers"}},
		"a board that refuses":    {[]string{"--port", refusing, "--file", path}, 1, []string{"board: the device refuses it: not mine"}},
		"a board that is offline": {[]string{"--port", offline, "--file", path, "--online", "3s"}, 4, []string{"bot_001 now", "refuses the device's password"}},
		"its status":              {[]string{"--port", offline, "--status"}, 4, []string{"wrong_password"}},
		"a board with a sketch":   {[]string{"--port", talksNoMore, "--file", path, "--online", "3s"}, 4, []string{"bot_001 now", "look at its page"}},
	} {
		t.Run(name, func(t *testing.T) { start(t, nil, nil, c.args...).want(t, c.code, c.texts...) })
	}
	start(t, nil, nil, "--list").want(t, 0)
	start(t, nil, nil, "--help").want(t, 0, "usage:", "-wifi-ssid")
}
