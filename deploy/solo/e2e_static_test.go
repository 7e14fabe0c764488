package solo_test

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// The seed's own static link, as arduino-esp32's HTTPUpdate asks for it: HTTP/1.0,
// and the digest of what runs in a header.
func TestStaticLink(t *testing.T) {
	s := startFarm(t, "FLOTA_PLAIN_HTTP_DEVICES=true")
	ctx := within(t, patience)
	project, err := s.admin.CreateProject(ctx, "Blink", "blink")
	require.NoError(t, err)
	build := s.build(project.Id, solotest.BuildWish{})
	app, err := solotest.App(build)
	require.NoError(t, err)
	firmware, err := s.admin.Output(ctx, build.Id, app.Name)
	require.NoError(t, err)
	sum := md5.Sum(firmware)
	md5Hex := hex.EncodeToString(sum[:])

	bot, other := s.register("bot_001"), s.register("bot_002")
	ask := func(door, path, key string, headers ...string) *http.Response {
		return httpUpdate(t, door, path, "bot_001", key, headers...)
	}
	require.Equal(t, http.StatusNotFound, ask(s.URL, "/bot_001.ino.bin", bot.Key).StatusCode, "nothing is deployed")
	s.deploy(bot.Product.Device, build.Id)
	require.Eventually(t, func() bool {
		return ask(s.URL, "/bot_001.ino.bin", bot.Key, "x-ESP32-sketch-md5: "+md5Hex).StatusCode == http.StatusNotModified
	}, patience, 1e8, "the artifact service hears of a deployment in a moment")

	require.Equal(t, http.StatusUnauthorized, ask(s.URL, "/bot_001.ino.bin", other.Key).StatusCode)
	require.Equal(t, http.StatusForbidden, ask(s.URL, "/bot_002.ino.bin", bot.Key).StatusCode)
	require.Equal(t, http.StatusNotFound, ask(s.URL, "/bot_001.ino.bin", bot.Key, "x-ESP32-mode: spiffs").StatusCode)
	require.Equal(t, http.StatusNotModified, ask(s.URL, "/bot_001.ino.bin", bot.Key, "x-ESP32-sketch-sha256: "+strings.ToUpper(app.Sha256)).StatusCode)

	// At both doors, by both paths; not more than three times in a row.
	for i, at := range []struct{ door, path string }{
		{s.URL, "/bot_001.ino.bin"}, {s.DeviceURL, "/firmware/bot_001.ino.bin"}, {s.DeviceURL, "/bot_001.ino.bin"}, {s.URL, "/firmware/bot_001.ino.bin"},
	} {
		answer := ask(at.door, at.path, bot.Key, "x-ESP32-mode: sketch", "x-ESP32-sketch-md5: 00000000000000000000000000000000")
		if i == 3 {
			require.Equal(t, http.StatusNotModified, answer.StatusCode, "flashed for ever")
			break
		}
		require.Equal(t, http.StatusOK, answer.StatusCode)
		require.Equal(t, strconv.Itoa(len(firmware)), answer.Header.Get("Content-Length"))
		require.Equal(t, md5Hex, answer.Header.Get("x-MD5"))
		require.Equal(t, `"`+app.Sha256+`"`, answer.Header.Get("ETag"))
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, firmware, body)
	}
	_, err = s.admin.WaitDevice(ctx, bot.Product.Device, func(d fleetapi.Device) bool { return d.Looping != nil && *d.Looping })
	require.NoError(t, err, "and the page says so")

	require.NoError(t, s.admin.RevokeKey(ctx, bot.Product.Device))
	require.Eventually(t, func() bool {
		return ask(s.URL, "/bot_001.ino.bin", bot.Key).StatusCode == http.StatusUnauthorized
	}, 5e9, 1e8, "a revoked key")
}

// Without the operator's consent a device key does not travel over plain HTTP.
func TestStaticLinkNeedsConsent(t *testing.T) {
	s := start(t)
	bot := s.register("bot_001")
	answer := httpUpdate(t, s.DeviceURL, "/bot_001.ino.bin", "bot_001", bot.Key)
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "plain_http")
}

// httpUpdate sends what HTTPUpdate sends, byte for byte.
func httpUpdate(t *testing.T, door, path, user, key string, headers ...string) *http.Response {
	t.Helper()
	address := strings.TrimPrefix(door, "http://")
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	credential := base64.StdEncoding.EncodeToString([]byte(user + ":" + key))
	lines := append([]string{
		"GET " + path + " HTTP/1.0", "Host: " + address, "User-Agent: ESP32-http-Update", "Connection: close",
		"Authorization: Basic " + credential, "Cache-Control: no-cache", "x-ESP32-STA-MAC: 24:0A:C4:00:00:01", "x-ESP32-sketch-size: 1024",
	}, headers...)
	_, err = fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	return answer
}
