package deviceproto_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/fault"
)

// What a device refuses is refused before it is sent, with the same field.
func TestProvisionVectors(t *testing.T) {
	checked := 0
	for _, c := range read[vectors.Provision](t, "provision.json") {
		word, _, _ := strings.Cut(strings.TrimPrefix(c.Line, `{"flota":"`), `"`)
		var err error
		switch {
		case !json.Valid([]byte(c.Line)):
			continue // nothing that this side would write
		case word == "provision":
			_, err = deviceproto.ParseProvision([]byte(c.Line))
		case word == "wifi":
			var line struct{ WiFi []deviceproto.Network }
			if err := json.Unmarshal([]byte(c.Line), &line); err != nil {
				t.Fatal(err)
			}
			err = deviceproto.CheckNetworks("wifi", line.WiFi)
		default:
			continue
		}
		checked++
		if (err == nil) != (c.Answer != "error") {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if err == nil {
			continue
		}
		// A host may say more exactly which network.
		if f := fault.As(err); f == nil || f.Code != fault.Invalid || strings.SplitN(f.Field, ".", 2)[0] != c.Field {
			t.Errorf("%s: %v, want the field %s", c.Name, err, c.Field)
		}
	}
	if checked < 50 {
		t.Errorf("only %d cases", checked)
	}
}

func goodProvision(t *testing.T) deviceproto.Provision {
	t.Helper()
	for _, c := range read[vectors.Provision](t, "provision.json") {
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

func certificate(size int) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: make([]byte, size)}))
}

func TestProvisionCheck(t *testing.T) {
	type provision = deviceproto.Provision
	for name, c := range map[string]struct {
		change func(*provision)
		field  string // at fault; "" where nothing is
	}{
		"an address of IPv6":      {func(p *provision) { p.Server = "http://[fd00::1]:8081" }, ""},
		"server with a query":     {func(p *provision) { p.Server += "?" }, "server"},
		"server with half a port": {func(p *provision) { p.Server = "http://flota.local:" }, "server"},
		"two certificates":        {func(p *provision) { p.CA = certificate(100) + certificate(100) }, "ca"},
		"another thing in PEM":    {func(p *provision) { p.CA = strings.ReplaceAll(certificate(100), "CERTIFICATE", "PRIVATE KEY") }, "ca"},
		"a name that is cut off":  {func(p *provision) { p.WiFi[1].SSID = "a\x00b" }, "wifi.1.ssid"},
		"65 digits":               {func(p *provision) { p.WiFi[2].Password = strings.Repeat("0", 65) }, "wifi.2.password"},
		"63 characters":           {func(p *provision) { p.WiFi[0].Password = strings.Repeat("&", 63) }, ""},
	} {
		p := goodProvision(t)
		c.change(&p)
		err := p.Check()
		if f := fault.As(err); (err == nil) != (c.field == "") || f != nil && (f.Code != fault.Invalid || f.Field != c.field) {
			t.Errorf("%s: %v, want the field %q", name, err, c.field)
		}
	}
	p := goodProvision(t)
	p.CA = certificate(2850)
	for range 8 {
		p.Groups = append(p.Groups, strings.Repeat("\x01", 64)) // six bytes each in JSON
	}
	if err := p.Check(); !fault.Is(err, fault.TooLarge) {
		t.Errorf("what does not fit a line: %v", err)
	}
}

func TestParseProvision(t *testing.T) {
	good, err := json.Marshal(goodProvision(t))
	if err != nil {
		t.Fatal(err)
	}
	for text, field := range map[string]string{
		"": "", "hello": "", "[]": "", "null": "server", "7": "", `{"server":7}`: "server",
		string(good[:len(good)-1]) + `,"wifi":"fk_secret"}`:           "wifi",
		string(good[:len(good)-1]) + `,"wifi":[{"ssid":7}]}`:          "wifi.ssid",
		string(good[:len(good)-1]) + `,"ca":1234567}`:                 "ca",
		string(good[:len(good)-1]) + `,"key":["fk_secret"],"x":"fk"}`: "key",
	} {
		_, err := deviceproto.ParseProvision([]byte(text))
		if f := fault.As(err); f == nil || f.Code != fault.Invalid || f.Field != field || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "1234567") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		word string
		body any
		want string
	}{
		{"hello", nil, `{"flota":"hello"}`},
		{"hello", struct{}{}, `{"flota":"hello"}`},
		{"wifi", map[string][]deviceproto.Network{"wifi": {{SSID: "a", Password: "<&>\"\\ñ"}}}, `{"flota":"wifi","wifi":[{"ssid":"a","password":"<&>\"\\ñ"}]}`},
	} {
		if line, err := deviceproto.Line(c.word, c.body); err != nil || string(line) != c.want {
			t.Errorf("%s, %v", line, err)
		}
	}
	if _, err := deviceproto.Line("hello", func() {}); err == nil {
		t.Error("a function is no body")
	}
}

func TestProvisionPrintsNoSecret(t *testing.T) {
	p := goodProvision(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{p, &p, p.WiFi, p.WiFi[0], struct{ P deviceproto.Provision }{p}} {
			for _, secret := range []string{p.Key, p.WiFi[0].Password} {
				if text := fmt.Sprintf(verb, v); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
					t.Errorf("%s: %s", verb, text)
				}
			}
		}
	}
}
