package arduino

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/flota/flota/services/compiler"
)

const (
	maxResult  = 32 << 20 // bytes of arduino-cli's JSON
	maxOutputs = 32
	maxRules   = 8 << 20 // bytes of the compilers' dependency files
)

// collected is what a task handed back.
type collected struct {
	result cliResult
	status int    // of arduino-cli
	stderr string // of arduino-cli; its compilers' is in the result
	// dependencies are make rules: what each object was compiled from. Only of
	// builds that compiled FlotaOTA.
	dependencies string
	files        []compiler.Output
	dir          *os.Root
	main         string
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
		case header.Name == "stderr", header.Name == "status", header.Name == "dependencies":
			text, err := io.ReadAll(io.LimitReader(archive, maxRules))
			if err != nil {
				return c, err
			}
			switch header.Name {
			case "stderr":
				c.stderr = string(text[:min(len(text), 64<<10)])
			case "status":
				c.status, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			case "dependencies":
				c.dependencies = string(text)
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
