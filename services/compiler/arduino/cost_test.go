package arduino

import (
	"strings"
	"testing"
)

const built = "/job/cache/sketches/416433AF16B67BC99A69C2B4ECCA718D"

// A map as GNU ld writes it, of an ESP32: libraries as objects, a chip's own
// libraries as archives.
var espMap = strings.ReplaceAll(`Archive member included to satisfy reference by file (symbol)

/tc/core.a(main.cpp.o)        @/sketch/sketch.ino.cpp.o (setup)
/tc/core.a(esp32-hal-uart.c.o)
                              /tc/core.a(main.cpp.o) (uartBegin)
/sdk/libnet80211.a(wifi.o)    @/libraries/WiFi/WiFi.cpp.o (esp_wifi_init)
/sdk/libpp.a(pp.o)            /sdk/libnet80211.a(wifi.o) (pp_start)
/sdk/libmbedtls.a(ssl_msg.c.o)
                              @/libraries/FlotaOTA/esp32/network.cpp.o (mbedtls_ssl_read)
/sdk/libmbedcrypto.a(sha256.c.o)
                              /sdk/libmbedtls.a(ssl_msg.c.o) (mbedtls_sha256)

As-needed library included to satisfy reference by file (symbol)

libc.so.6                     /tc/core.a(main.cpp.o) (exit)

Discarded input sections

 .text.unused   0x0000000000000000     0x1000 @/libraries/FlotaOTA/flota/agent.cpp.o

Memory Configuration

Name             Origin             Length             Attributes
*default*        0x0000000000000000 0xffffffffffffffff

Linker script and memory map

LOAD @/sketch/sketch.ino.cpp.o

.iram0.text     0x0000000040080000      0x200
 *(.iram1 .iram1.*)
 .iram1.0       0x0000000040080000       0x20 @/libraries/FlotaOTA/esp32/slots.cpp.o
 .iram1.1       0x0000000040080020       0x40 /sdk/libpp.a(pp.o)
                                         0x44 (size before relaxing)

.dram0.bss      0x000000003ffb0000      0x400
 COMMON         0x000000003ffb0000       0x10 @/libraries/WiFi/WiFi.cpp.o
                0x000000003ffb0000                WiFi
 .bss._ZN5flota6bufferE
                0x000000003ffb0010      0x100 @/libraries/FlotaOTA/flota/agent.cpp.o
 .bss           0x000000003ffb0110        0x8 @/sketch/sketch.ino.flota.cpp.o
 *fill*         0x000000003ffb0118        0x8 

.flash.text     0x00000000400d0000     0x2000
 .text.setup    0x00000000400d0000       0x30 @/sketch/sketch.ino.cpp.o
                0x00000000400d0000                setup()
 .text._ZN5flota5startEPFvvE
                0x00000000400d0030       0x50 @/libraries/FlotaOTA/esp32/task.cpp.o
                0x00000000400d0030                flota::start(void (*)())
 .text.mbedtls_ssl_read
                0x00000000400d0080      0x200 /sdk/libmbedtls.a(ssl_msg.c.o)
 .text.sha      0x00000000400d0280       0x80 /sdk/libmbedcrypto.a(sha256.c.o)
 .text.uart     0x00000000400d0300       0x60 /tc/core.a(esp32-hal-uart.c.o)
 .text.wifi     0x00000000400d0360      0x300 /sdk/libnet80211.a(wifi.o)
 .text.preferences
                0x00000000400d0660       0x70 @/libraries/Preferences/Preferences.cpp.o
 .text.begin    0x00000000400d06d0       0x90 @/libraries/WiFi/WiFi.cpp.o

.debug_info     0x0000000000000000     0x9000
 .debug_info    0x0000000000000000     0x9000 @/libraries/FlotaOTA/flota/agent.cpp.o

/DISCARD/
 *(.fini)
 .fini          0x0000000000000000       0x99 @/libraries/FlotaOTA/flota/agent.cpp.o
`, "@", built)

// What the compilers noted, as the recipe hands it back. The sketch uses no library.
var espRules = strings.ReplaceAll(`@/sketch/sketch.ino.cpp.o: \
 @/sketch/sketch.ino.cpp /tc/cores/esp32/Arduino.h
@/sketch/sketch.ino.flota.cpp.o: @/sketch/sketch.ino.flota.cpp \
 /toolchain/data/packages/esp32/hardware/esp32/3.0.0/libraries/FlotaOTA/src/FlotaOTA.h
@/libraries/FlotaOTA/esp32/network.cpp.o: \
 /tc/libraries/FlotaOTA/src/esp32/network.cpp /tc/libraries/WiFi/src/WiFi.h \
 /tc/libraries/Preferences/src/Preferences.h
@/libraries/WiFi/WiFi.cpp.o: /tc/libraries/WiFi/src/WiFi.cpp /tc/libraries/WiFi/src/WiFi.h
@/libraries/Preferences/Preferences.cpp.o: /tc/libraries/Preferences/src/Preferences.cpp
`, "@", built)

func TestCostByTheMap(t *testing.T) {
	for name, c := range map[string]struct {
		rules      string
		flash, ram int64
	}{
		// Everything that is there for the agent, WiFi and what that needs included.
		"a sketch without libraries": {espRules, 0x20 + 0x40 + 0x50 + 0x200 + 0x80 + 0x300 + 0x70 + 0x90, 0x10 + 0x100 + 0x8},
		// Now WiFi is there for the sketch.
		"a sketch with WiFi": {
			strings.Replace(espRules, "/tc/cores/esp32/Arduino.h", "/tc/libraries/WiFi/src/WiFi.h", 1), 0x20 + 0x50 + 0x200 + 0x80 + 0x70, 0x100 + 0x8,
		},
		// By way of another library.
		"a sketch with a library with WiFi": {
			strings.Replace(espRules, "/tc/cores/esp32/Arduino.h", "/tc/libraries/Web/src/Web.h", 1) +
				built + "/libraries/Web/Web.cpp.o: /tc/libraries/Web/src/Web.cpp /tc/libraries/WiFi/src/WiFi.h\n",
			0x20 + 0x50 + 0x200 + 0x80 + 0x70, 0x100 + 0x8,
		},
		// By way of the agent's own header is not by itself.
		"a sketch that includes FlotaOTA.h": {
			strings.Replace(espRules, "/tc/cores/esp32/Arduino.h", "/tc/libraries/FlotaOTA/src/FlotaOTA.h", 1),
			0x20 + 0x40 + 0x50 + 0x200 + 0x80 + 0x300 + 0x70 + 0x90, 0x10 + 0x100 + 0x8,
		},
		"compiled beforehand": {"", 0x20 + 0x50 + 0x200 + 0x80, 0x100 + 0x8},
	} {
		got := collected{dependencies: c.rules}
		// arduino-esp32's own recipes.
		got.result.Build.Properties = []string{
			`recipe.size.regex=^(?:\.iram0\.text|\.iram0\.vectors|\.dram0\.data|\.dram1\.data|\.flash\.text|\.flash\.rodata)\s+([0-9]+).*`,
			`recipe.size.regex.data=^(?:\.dram0\.data|\.dram0\.bss|\.dram1\.data|\.dram1\.bss|\.noinit)\s+([0-9]+).*`,
		}
		agent, err := got.agentCost("1.0.0", false, nil, strings.NewReader(espMap))
		if err != nil || agent == nil || agent.Flash != c.flash || agent.RAM != c.ram || agent.Version != "1.0.0" {
			t.Errorf("%s: %+v %v, want %d and %d", name, agent, err, c.flash, c.ram)
		}
	}
}

// What every program has the agent does not cost, though it is the first to need
// it; what that needs is there anyway, too.
func TestCostLeavesOutWhatIsThereAnyway(t *testing.T) {
	got := collected{}
	got.result.Build.Properties = []string{`recipe.size.regex=^(?:\.flash\.text)\s+([0-9]+).*`}
	agent, err := got.agentCost("1.0.0", true, map[string]bool{"libmbedtls.a(ssl_msg.c.o)": true}, strings.NewReader(espMap))
	if err != nil || agent.Flash != 0x50 {
		t.Errorf("%+v %v", agent, err)
	}
}

func TestCostOfNoAgent(t *testing.T) {
	without := strings.ReplaceAll(espMap, "flota5start", "other5start")
	got := collected{}
	if agent, err := got.agentCost("1.0.0", false, nil, strings.NewReader(without)); agent != nil || err != nil {
		t.Errorf("%+v %v", agent, err)
	}
	if agent, err := got.agentCost("1.0.0", true, nil, strings.NewReader(without)); agent == nil || err != nil {
		t.Errorf("added by the farm: %v", err)
	}
	if agent, err := got.agentCost("1.0.0", false, nil, strings.NewReader("")); agent != nil || err != nil {
		t.Errorf("no map: %+v %v", agent, err)
	}
	if _, err := got.agentCost("1.0.0", true, nil, strings.NewReader(strings.Repeat("x", 2<<20))); err == nil {
		t.Error("a map with a line without end")
	}
}
