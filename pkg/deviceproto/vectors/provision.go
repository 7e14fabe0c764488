package vectors

import (
	"encoding/json"
	"strings"
)

// Provision is a case of provision.json.
type Provision struct {
	Case
	// Line is what the host writes, without the LF.
	Line string `json:"line"`
	// Answer is the word that the device answers with.
	Answer string `json:"answer"`
	// Field is at fault where the answer is error.
	Field string `json:"field"`
}

func provisionCases() []Provision {
	const (
		give    = "after all of it is stored and was read back"
		form    = "The form of what is given:"
		server  = "server is http:// or https://, a host and where needed a port, nothing else, at most 128 characters;"
		ids     = "workspace and device 1 to 64 of [a-z0-9];"
		keys    = "keys one or two different ones, as above;"
		wifi    = "wifi at most 4, ssid 1 to 32 bytes, password empty, 8 to 63 bytes, or 64 hexadecimal digits."
		order   = "The first that is wrong in this order is the field"
		notJSON = "a line that is no such JSON object has field empty."
		ignore  = "A device MUST ignore JSON fields and headers that it does not know"
	)
	var all []Provision
	line := func(word string, change func(fields)) string {
		f := fields{"flota": word}
		if word == "provision" {
			for name, value := range map[string]any{
				"server": "http://flota.local:8081", "workspace": Workspace, "device": DeviceID, "product_id": ProductID, "key": Key,
				"keys": []string{public("first"), public("second")}, "board": Board,
			} {
				f[name] = value
			}
		}
		if change != nil {
			change(f)
		}
		// The word comes first, so that a line is known by its beginning.
		delete(f, "flota")
		rest, err := json.Marshal(f)
		if err != nil {
			panic(err)
		}
		if len(f) == 0 {
			return `{"flota":"` + word + `"}`
		}
		return `{"flota":"` + word + `",` + string(rest[1:])
	}
	add := func(name, proves, answer, field, line string) {
		all = append(all, Provision{Case{name, proves}, line, answer, field})
	}
	good := func(name, proves string, change func(fields)) {
		add(name, proves, "provisioned", "", line("provision", change))
	}
	bad := func(name, proves, field string, change func(fields)) {
		add(name, proves, "error", field, line("provision", change))
	}
	network := func(ssid, password string) fields { return fields{"ssid": ssid, "password": password} }

	add("hello", "the host asks hello until it does.", "hello", "", line("hello", nil))
	add("status", "the host asks hello until it does.", "status", "", line("status", nil))
	add("white space", notJSON, "hello", "", `{"flota": "hello" }`)
	add("another word", "anything else, or with a field that is wrong", "error", "flota", line("dance", nil))
	add("cut short", notJSON, "error", "", `{"flota":"provision","server":"http://`)
	add("no object behind it", notJSON, "error", "", `{"flota":"hello"} {}`)

	good("everything that is needed", give, nil)
	good("a field that is not known", ignore, set("colour", "green"))
	good("https with a port", server, set("server", "https://flota.example:8443"))
	good("an address", server, set("server", "http://127.0.0.1:8081"))
	good("one key", keys, set("keys", []string{public("first")}))
	good("groups", form, set("groups", []string{"greenhouse", "été"}))
	good("networks", wifi, set("wifi", []any{network("shed", "12345678"), network("open", ""), network(strings.Repeat("é", 16), strings.Repeat("0a", 32))}))
	good("escapes", wifi, set("wifi", []any{network("a \"quoted\" \\ one", "pass\tword")}))
	good("a certificate", form, set("ca", "-----BEGIN CERTIFICATE-----\n"+strings.Repeat("QUJD", 100)+"\n-----END CERTIFICATE-----\n"))

	for name, value := range ordered(
		"empty", "", "without scheme", "flota.local", "another scheme", "ftp://flota.local", "with a path", "http://flota.local/", "with a user", "http://a@flota.local",
		"with a space", "http://flota local", "without host", "http://", "port 0", "http://flota.local:0", "port too high", "http://flota.local:65536", "of 129 characters", "http://"+strings.Repeat("a", 122),
	) {
		bad("server "+name, server, "server", set("server", value))
	}
	for _, name := range []string{"server", "workspace", "device", "product_id", "key", "keys", "board"} {
		bad(name+" missing", give, name, set(name, nil))
		bad(name+" is a number", form, name, set(name, 7))
	}
	for _, name := range []string{"workspace", "device"} {
		bad(name+" in upper case", ids, name, set(name, "ABC"))
		bad(name+" of 65 characters", ids, name, set(name, strings.Repeat("a", 65)))
	}
	bad("product ID with a slash", form, "product_id", set("product_id", "a/b"))
	bad("key cut short", form, "key", set("key", Key[:45]))
	bad("key without its beginning", form, "key", set("key", "xx_"+Key[3:]))
	bad("no keys", keys, "keys", set("keys", []string{}))
	bad("three keys", keys, "keys", set("keys", []string{public("first"), public("second"), public("new")}))
	bad("one key twice", keys, "keys", set("keys", []string{public("first"), public("first")}))
	bad("a key that is no base64", keys, "keys", set("keys", []string{"new"}))
	bad("no uncompressed point", keys, "keys", set("keys", []string{"A" + public("first")[1:]}))
	bad("board with a space", form, "board", set("board", "flota: esp32"))
	bad("board of 129 characters", form, "board", set("board", strings.Repeat("b", 129)))
	bad("nine groups", form, "groups", set("groups", strings.Split("abcdefghi", "")))
	bad("an empty group", form, "groups", set("groups", []string{""}))
	bad("no certificate", form, "ca", set("ca", "hello"))
	bad("a certificate of 4097 bytes", form, "ca", set("ca", "-----BEGIN CERTIFICATE-----\n"+strings.Repeat("A", 4043)+"\n-----END CERTIFICATE-----\n"))
	bad("five networks", wifi, "wifi", set("wifi", []any{network("a", ""), network("b", ""), network("c", ""), network("d", ""), network("e", "")}))
	bad("no name", wifi, "wifi", set("wifi", []any{network("", "12345678")}))
	bad("a name of 33 bytes", wifi, "wifi", set("wifi", []any{network(strings.Repeat("a", 33), "")}))
	bad("a password of 7 bytes", wifi, "wifi", set("wifi", []any{network("a", "1234567")}))
	bad("a password of 64 that are not hexadecimal", wifi, "wifi", set("wifi", []any{network("a", strings.Repeat("x", 64))}))
	bad("everything is wrong", order, "server", func(f fields) {
		for name := range f {
			f[name] = ""
		}
	})
	bad("everything from key on is wrong", order, "key", func(f fields) { f["key"], f["keys"], f["board"] = "", "", "" })

	add("one network", wifi, "wifi", "", line("wifi", set("wifi", []any{network("shed", "12345678")})))
	add("no network", wifi, "wifi", "", line("wifi", set("wifi", []any{})))
	add("a network that is wrong", wifi, "error", "wifi", line("wifi", set("wifi", []any{network("shed", "1234")})))
	add("erase", "and forgets everything in its storage", "erased", "", line("erase", nil))
	return all
}
