// Package arduino compiles sketches with arduino-cli, a process in a sandbox.
package arduino

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flota/flota/services/compiler"
)

// readPlatforms lists the cores that are laid out below a toolchain root, from
// their own boards.txt and platform.txt, which version of FlotaOTA each has, and the boards on which that cannot run.
// Asking arduino-cli for each board's options would take minutes for a core with hundreds of boards.
func readPlatforms(root, digest string) (all []compiler.Platform, agents map[string]string, radioless map[string]bool, err error) {
	agents, radioless = map[string]string{}, map[string]bool{}
	for _, pattern := range []string{
		"user/hardware/*/*/boards.txt",            // laid out
		"data/packages/*/hardware/*/*/boards.txt", // installed
	} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, nil, nil, err
		}
		for _, file := range found {
			dir := filepath.Dir(file)
			rel, _ := filepath.Rel(root, dir)
			parts := strings.Split(rel, string(filepath.Separator))
			id := parts[2] + ":" + parts[3] // user/hardware/<packager>/<architecture>
			if parts[0] == "data" {
				id = parts[2] + ":" + parts[4] // data/packages/<packager>/hardware/<architecture>/<version>
			}
			p, err := readPlatform(dir, id)
			if err != nil {
				return nil, nil, nil, err
			}
			if agents[id], err = readAgent(dir); err != nil {
				return nil, nil, nil, err
			}
			without, err := readRadioless(id, dir)
			if err != nil {
				return nil, nil, nil, err
			}
			maps.Copy(radioless, without)
			if parts[0] == "data" {
				p.Version = parts[5] // what was installed, whatever the core says of itself
			}
			p.Toolchain = digest
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b compiler.Platform) int { return cmp.Compare(a.ID, b.ID) })
	return all, agents, radioless, nil
}

func readPlatform(dir, id string) (compiler.Platform, error) {
	platform, err := readProperties(filepath.Join(dir, "platform.txt"))
	if err != nil {
		return compiler.Platform{}, err
	}
	boards, err := readProperties(filepath.Join(dir, "boards.txt"))
	if err != nil {
		return compiler.Platform{}, err
	}
	return compiler.Platform{ID: id, Name: platform.value["name"], Version: platform.value["version"], Boards: parseBoards(id, boards)}, nil
}

// properties are the lines of one of a core's files, in their order.
type properties struct {
	keys  []string
	value map[string]string
}

func readProperties(file string) (properties, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return properties{}, fmt.Errorf("read a core: %w", err)
	}
	p := properties{value: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), "=")
		if key = strings.TrimSpace(key); !ok || key == "" || key[0] == '#' {
			continue
		}
		key = strings.Replace(key, ".linux", "", 1) // what holds on this system only, as arduino-cli takes it
		if _, known := p.value[key]; !known {
			p.keys = append(p.keys, key)
		}
		p.value[key] = strings.TrimSpace(value)
	}
	return p, lines.Err()
}

// parseBoards reads boards and their menus:
//
//	menu.<option>=<label>
//	<board>.name=<name>
//	<board>.menu.<option>.<value>=<label>
func parseBoards(platform string, p properties) []compiler.Board {
	var options, ids []string // in the file's order
	values := map[string][]compiler.Value{}
	for _, key := range p.keys {
		parts := strings.SplitN(key, ".", 5)
		switch {
		case parts[0] == "menu" && len(parts) == 2:
			options = append(options, parts[1])
		case len(parts) == 2 && parts[1] == "name":
			ids = append(ids, parts[0])
		case len(parts) == 4 && parts[1] == "menu":
			at := parts[0] + "." + parts[2]
			values[at] = append(values[at], compiler.Value{ID: parts[3], Label: p.value[key]})
		}
	}
	var boards []compiler.Board
	for _, id := range ids {
		if _, hidden := p.value[id+".hide"]; hidden {
			continue
		}
		b := compiler.Board{FQBN: platform + ":" + id, Name: p.value[id+".name"], Kind: compiler.Arduino}
		for _, o := range options {
			if v := values[id+"."+o]; len(v) > 0 {
				b.Options = append(b.Options, compiler.Option{ID: o, Label: p.value["menu."+o], Values: v})
			}
		}
		boards = append(boards, b)
	}
	return boards
}
