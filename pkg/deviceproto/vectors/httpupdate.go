package vectors

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// HTTPUpdate is a case of httpupdate.json: what a stock client sends. The order and
// form of its headers are those of the cores' own sources (arduino-esp32 1.0, 2.0
// and 3: HTTPUpdate.cpp, HTTPClient.cpp; arduino-pico 3 and 4: the same files).
type HTTPUpdate struct {
	Case
	Request string `json:"request"`
	// Image is what is deployed, in base64; empty where nothing is.
	Image string `json:"image"`
	// Consent is the operator's to device keys over plain HTTP.
	Consent bool              `json:"consent"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
}

// Image returns an ESP image in miniature: a header that announces an appended
// digest, some content, and the digest.
func Image(content string) []byte {
	image := make([]byte, 24, 128)
	image[0], image[23] = 0xE9, 1
	image = append(image, content...)
	sum := sha256.Sum256(image)
	return append(image, sum[:]...)
}

// Stock makes the request of a stock client.
type Stock struct {
	Path string
	// Authorization is left out where it is empty.
	Authorization string
	MD5, SHA256   string
	Mode          string
	Version       string
	// More header lines at the end, each with its line end.
	More string
}

// Basic is a credential as HTTPClient sends it.
func Basic(product, key string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(product+":"+key))
}

// ESP32 is arduino-esp32's HTTPUpdate.
func (s Stock) ESP32() string {
	var b strings.Builder
	b.WriteString("GET " + s.Path + " HTTP/1.0\r\nHost: 192.168.1.10:8081\r\nUser-Agent: ESP32-http-Update\r\nConnection: keep-alive\r\n")
	header := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	header("Authorization", s.Authorization)
	header("Cache-Control", "no-cache")
	header("x-ESP32-STA-MAC", "24:0A:C4:A3:15:3C")
	header("x-ESP32-AP-MAC", "24:0A:C4:A3:15:3D")
	header("x-ESP32-free-space", "1310720")
	header("x-ESP32-sketch-size", "719968")
	header("x-ESP32-sketch-md5", s.MD5)
	header("x-ESP32-sketch-sha256", s.SHA256)
	header("x-ESP32-chip-size", "4194304")
	header("x-ESP32-sdk-version", "v4.4.5")
	header("x-ESP32-mode", s.Mode)
	header("x-ESP32-version", s.Version)
	b.WriteString(s.More + "\r\n")
	return b.String()
}

// Pico is arduino-pico's HTTPUpdate; it sends no digest.
func (s Stock) Pico() string {
	request := "GET " + s.Path + " HTTP/1.0\r\nHost: 192.168.1.10:8081\r\nUser-Agent: -http-Update\r\n"
	if s.Authorization != "" {
		request += "Authorization: " + s.Authorization + "\r\n"
	}
	request += "Connection: keep-alive\r\nx--Chip-ID: E66138935F5B6A29\r\nx--STA-MAC: 28:CD:C1:0A:0B:0C\r\nx--AP-MAC: 28:CD:C1:0A:0B:0C\r\n" +
		"x--mode: " + s.Mode + "\r\n"
	if s.Version != "" {
		request += "x--version: " + s.Version + "\r\n"
	}
	return request + "Content-Length: 0\r\n" + s.More + "\r\n"
}

func httpUpdateCases() []HTTPUpdate {
	const (
		fresh   = "Otherwise 200 with Content-Length, ETag, x-MD5."
		same    = "Same → 304."
		paths   = "serve the wanted image (first part) to arduino-esp32's and arduino-pico's HTTPUpdate, with Basic (product_id, key)."
		product = "The path's product ID MUST be the credential's."
		old     = "HTTP/1.0 is fine."
		consent = "Over plain HTTP it needs the operator's consent, since it knows only Basic."
		none    = "No deployment → 404, as is a request for a filesystem"
		nobody  = "it is not known, or its key is void"
		either  = "the digest appended to the image (its last 32 bytes, where byte 23 of its header is 1), and the file's own"
	)
	image, other := Image("wanted"), Image("old")
	bare := []byte("an image without a header")
	upper := func(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }
	appended := func(b []byte) string { return upper(b[len(b)-32:]) }
	md5Of := func(b []byte) string { sum := md5.Sum(b); return hex.EncodeToString(sum[:]) }
	file := func(b []byte) string { sum := sha256.Sum256(b); return upper(sum[:]) }

	esp := Stock{
		Path: "/firmware/" + ProductID + ".ino.bin", Authorization: Basic(ProductID, Key),
		MD5: md5Of(other), SHA256: appended(other), Mode: "sketch",
	}
	headers := func(b []byte) map[string]string {
		return map[string]string{
			"Content-Length": strconv.Itoa(len(b)), "ETag": `"` + strings.ToLower(file(b)) + `"`,
			"x-MD5": md5Of(b), "Content-Type": "application/octet-stream", "Transfer-Encoding": "",
		}
	}
	etag := func(b []byte) map[string]string { return map[string]string{"ETag": headers(b)["ETag"]} }

	var all []HTTPUpdate
	add := func(name, proves, request string, deployed []byte, status int, h map[string]string) {
		all = append(all, HTTPUpdate{Case{name, proves}, request, base64.StdEncoding.EncodeToString(deployed), true, status, h})
	}
	with := func(change func(*Stock)) Stock { s := esp; change(&s); return s }

	add("esp32 3: another image runs", fresh, esp.ESP32(), image, 200, headers(image))
	add("esp32 3: with a version", fresh, with(func(s *Stock) { s.Version = "1.3.0" }).ESP32(), image, 200, headers(image))
	add("esp32 3: the wanted image runs", same, with(func(s *Stock) { s.MD5, s.SHA256 = md5Of(image), appended(image) }).ESP32(), image, 304, etag(image))
	add("esp32 3: only the MD5 is the same", same, with(func(s *Stock) { s.MD5 = md5Of(image) }).ESP32(), image, 304, etag(image))
	add("esp32: MD5 in upper case", "(any case)", with(func(s *Stock) { s.MD5 = strings.ToUpper(md5Of(image)) }).ESP32(), image, 304, etag(image))
	add("esp32 1: another image runs", fresh, with(func(s *Stock) { s.MD5 = "" }).ESP32(), image, 200, headers(image))
	add("esp32 1: the wanted image runs", either, with(func(s *Stock) { s.MD5, s.SHA256 = "", appended(image) }).ESP32(), image, 304, etag(image))
	add("esp32 1: the file's own digest", either, with(func(s *Stock) { s.MD5, s.SHA256 = "", file(image) }).ESP32(), image, 304, etag(image))
	add("esp32 1: an image without an appended digest", either, with(func(s *Stock) { s.MD5, s.SHA256 = "", file(bare) }).ESP32(), bare, 304, etag(bare))
	add("esp32 1: the end of an image that has no appended digest", either, with(func(s *Stock) { s.MD5, s.SHA256 = "", appended(append([]byte("0123456789"), bare...)) }).ESP32(), append([]byte("0123456789"), bare...), 200, headers(append([]byte("0123456789"), bare...)))
	add("esp32: no digest at all", fresh, with(func(s *Stock) { s.MD5, s.SHA256 = "", "" }).ESP32(), image, 200, headers(image))
	add("a client that sends If-None-Match", "the file's ETag", with(func(s *Stock) { s.More = "If-None-Match: " + headers(image)["ETag"] + "\r\n" }).ESP32(), image, 304, etag(image))
	add("the seed's path", paths, with(func(s *Stock) { s.Path = "/" + ProductID + ".ino.bin" }).ESP32(), image, 200, headers(image))
	add("esp32: a filesystem", none, with(func(s *Stock) { s.Mode = "spiffs" }).ESP32(), image, 404, nil)
	add("esp32: nothing is deployed", none, esp.ESP32(), nil, 404, nil)
	add("another product's path", product, with(func(s *Stock) { s.Path = "/firmware/bot_002.ino.bin" }).ESP32(), image, 403, nil)
	add("a path that climbs", product, with(func(s *Stock) { s.Path = "/firmware/../" + ProductID + ".ino.bin" }).ESP32(), image, 403, nil)
	add("no credential", nobody, with(func(s *Stock) { s.Authorization = "" }).ESP32(), image, 401, nil)
	add("another device's key", nobody, with(func(s *Stock) { s.Authorization = Basic(ProductID, OtherKey) }).ESP32(), image, 401, nil)
	add("another product ID in the credential", nobody, with(func(s *Stock) { s.Authorization = Basic("bot_002", Key) }).ESP32(), image, 401, nil)
	add("no product ID in the credential", nobody, with(func(s *Stock) { s.Authorization = Basic("", Key) }).ESP32(), image, 401, nil)
	add("a credential that is no base64", nobody, with(func(s *Stock) { s.Authorization = "Basic ???" }).ESP32(), image, 401, nil)

	pico := esp
	add("pico", fresh, pico.Pico(), image, 200, headers(image))
	add("pico with a version", old, func() string { p := pico; p.Version = "1.3.0"; return p.Pico() }(), image, 200, headers(image))
	add("pico: a filesystem", none, func() string { p := pico; p.Mode = "spiffs"; return p.Pico() }(), image, 404, nil)
	add("pico: no credential", nobody, func() string { p := pico; p.Authorization = ""; return p.Pico() }(), image, 401, nil)

	add("plain HTTP without consent", consent, esp.ESP32(), image, 403, nil)
	all[len(all)-1].Consent = false
	return all
}
