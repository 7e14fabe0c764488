package arduino

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

// uploadCommand is the core's own command for a flash by cable, as far as it is
// known without a port: https://arduino.github.io/arduino-cli/latest/platform-specification/
func (b cliBuild) uploadCommand() string {
	tool := b.property("upload.tool.default")
	if tool == "" {
		tool = b.property("upload.tool")
	}
	return b.property("tools."+tool+".upload.pattern_args") + " " + b.property("tools."+tool+".upload.pattern")
}

// flashed is a file in an upload command with the place where it is written:
// 0x8000 "/job/cache/sketches/<md5>/sketch.ino.partitions.bin"
var flashed = regexp.MustCompile(`(?:^|\s)(0x[0-9a-fA-F]+) "?(/[^"\s]+)`)

// otadata is what arduino-esp32 writes to otadata, so that the first slot starts.
const otadata = "boot_app0.bin"

// place finds out from an upload command where a first flash writes each
// output, and adds the files of the core that belong to it.
func (c *collected) place(command string, toolchain *os.Root) error {
	done := map[string]bool{}
	for _, m := range flashed.FindAllStringSubmatch(command, -1) {
		offset, err := strconv.ParseUint(m[1], 0, 32)
		if err != nil || done[m[2]] {
			continue
		}
		done[m[2]] = true
		if name, ok := strings.CutPrefix(m[2], "/toolchain/"); ok && len(c.files) < maxOutputs {
			file, err := toolchain.Open(name)
			if err != nil {
				return fmt.Errorf("a file of the core: %w", err)
			}
			role := compiler.Other
			if filepath.Base(name) == otadata {
				role = compiler.OTAData
			}
			err = c.add(file, role, filepath.Base(name))
			if err := errors.Join(err, file.Close()); err != nil {
				return err
			}
			c.files[len(c.files)-1].Offset = offset
			continue
		}
		for i := range c.files {
			if strings.TrimPrefix(filepath.Base(m[2]), intake.MainFile) == strings.TrimPrefix(c.files[i].Name, c.main) {
				c.files[i].Offset = offset
			}
		}
	}
	return nil
}

var (
	// esptool's version 4 spells its words with _, version 5 with -.
	writesFlash = regexp.MustCompile(`\swrite[_-]flash\s`)
	option      = regexp.MustCompile(`(?:^|\s)(--chip|-c|--baud|-b|--flash[_-]mode|-fm|--flash[_-]freq|-ff|--flash[_-]size|-fs)[ =]([A-Za-z0-9-]+)(?:\s|$)`)
)

// flashBy reads esptool's arguments from an upload command; nil where that is
// another tool's.
func flashBy(command string) *compiler.FlashBy {
	if !writesFlash.MatchString(command) {
		return nil
	}
	by := &compiler.FlashBy{}
	for rest := command; ; {
		at := option.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		value := rest[at[4]:at[5]]
		switch strings.ReplaceAll(rest[at[2]:at[3]], "_", "-") {
		case "--chip", "-c":
			by.Chip = strings.ReplaceAll(value, "-", "")
		case "--baud", "-b":
			by.Baud, _ = strconv.Atoi(value)
		case "--flash-mode", "-fm":
			by.Mode = value
		case "--flash-freq", "-ff":
			by.Frequency = value
		case "--flash-size", "-fs":
			by.Size = value
		}
		rest = rest[at[5]:] // the space behind it belongs to the next
	}
	if by.Chip == "" {
		return nil
	}
	return by
}
