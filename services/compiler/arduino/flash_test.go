package arduino

import (
	"testing"

	"github.com/flota/flota/services/compiler"
)

func TestFlashBy(t *testing.T) {
	esp32 := compiler.FlashBy{Chip: "esp32", Baud: 921600, Mode: "dio", Frequency: "80m", Size: "4MB"}
	keep := compiler.FlashBy{Chip: "esp32c3", Baud: 921600, Mode: "keep", Frequency: "keep", Size: "keep"}
	for command, want := range map[string]*compiler.FlashBy{
		`--chip esp32 --port "{serial.port}" --baud 921600  --before default_reset --after hard_reset write_flash {upload.erase_cmd} -z ` +
			`--flash_mode dio --flash_freq 80m --flash_size 4MB 0x1000 "/b/sketch.ino.bootloader.bin"`: &esp32,
		`--chip esp32c3 --port "{serial.port}" --baud 921600 --before default-reset --after hard-reset write-flash -z ` +
			`--flash-mode keep --flash-freq keep --flash-size keep 0x0 "/b/sketch.ino.bootloader.bin"`: &keep,
		`-c esp32 -b 921600 write_flash -fm dio -ff 80m -fs 4MB 0x10000 /b/sketch.ino.bin`:   &esp32,
		`--chip esp32 --port x write_flash --flash_mode {build.flash_mode} 0x10000 /b/x.bin`: {Chip: "esp32"},
		`-p{build.mcu} -carduino -P{serial.port} -b115200 -D -Uflash:w:/b/sketch.ino.hex:i`:  nil,
		`--port x write_flash 0x10000 /b/x.bin`:                                              nil,
		" ":                                                                                  nil,
	} {
		got := flashBy(command)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s\n%+v, want %+v", command, got, want)
		}
	}
}
