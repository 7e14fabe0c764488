package arduino

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

const (
	maxResult  = 32 << 20 // bytes of arduino-cli's JSON
	maxOutputs = 32
)

// collected is what a task handed back.
type collected struct {
	result cliResult
	status int    // of arduino-cli
	stderr string // of arduino-cli; its compilers' is in the result
	files  []compiler.Output
	dir    *os.Root
	main   string
}

// outputName is what a build's outputs are called in the sandbox.
var outputName = regexp.MustCompile(`^sketch\.ino\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)$`)

// collect reads the tar that recipe.sh writes; it trusts nothing in it. The
// outputs are written into dir.
func collect(r io.Reader, dir *os.Root, main string) (collected, error) {
	c := collected{dir: dir, main: main}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return c, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		switch m := outputName.FindStringSubmatch(header.Name); {
		case header.Name == "result.json":
			// Without a result arduino-cli itself did not get through; see trouble.
			if err := json.NewDecoder(io.LimitReader(archive, maxResult)).Decode(&c.result); err != nil {
				c.result = cliResult{}
			}
		case header.Name == "stderr", header.Name == "status":
			text, err := io.ReadAll(io.LimitReader(archive, 64<<10))
			if err != nil {
				return c, err
			}
			if header.Name == "stderr" {
				c.stderr = string(text)
			} else {
				c.status, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			}
		case m != nil && len(c.files) < maxOutputs:
			if isEmptyEEPROM(m[1], header.Size) {
				continue
			}
			if err := c.add(archive, role(m[1]), main+"."+m[1]); err != nil {
				return c, err
			}
		}
	}
}

// add writes one output into the folder.
func (c *collected) add(r io.Reader, role compiler.Role, name string) error {
	file, err := c.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, sum), r)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	c.files = append(c.files, compiler.Output{
		Role: role, Name: name, Path: filepath.Join(c.dir.Name(), name), Size: size, SHA256: hex.EncodeToString(sum.Sum(nil)),
	})
	return nil
}

// isEmptyEEPROM: every AVR build makes such a file, most with nothing in it.
func isEmptyEEPROM(suffix string, size int64) bool {
	return suffix == "eep" && size <= int64(len(":00000001FF\r\n"))
}

func role(suffix string) compiler.Role {
	switch suffix {
	case "bin":
		return compiler.App
	case "elf":
		return compiler.ELF
	case "map":
		return compiler.Map
	case "hex":
		return compiler.Hex
	case "bootloader.bin":
		return compiler.Bootloader
	case "partitions.bin":
		return compiler.Partitions
	}
	return compiler.Other
}

// flashed is a file in an upload command with the place where it is written:
// 0x8000 "/job/cache/sketches/<md5>/sketch.ino.partitions.bin"
var flashed = regexp.MustCompile(`\b(0x[0-9a-fA-F]+) "?(/[^"\s]+)`)

// place finds out from the core's own upload command where a first flash writes
// each output, and adds the files of the core that belong to it.
func (c *collected) place(toolchain *os.Root) error {
	toolName := c.result.Build.property("upload.tool.default")
	if toolName == "" {
		toolName = c.result.Build.property("upload.tool")
	}
	command := c.result.Build.property("tools."+toolName+".upload.pattern_args") + " " + c.result.Build.property("tools."+toolName+".upload.pattern")
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
			err = c.add(file, compiler.Other, filepath.Base(name))
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
