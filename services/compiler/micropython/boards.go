package micropython

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/flota/flota/services/compiler"
)

// board is what a release must fit.
type board struct {
	fileSystem   int64  // bytes
	architecture string // of native code, as mpy-cross calls it
	agent        bool   // it can have the update agent
}

// format is the option of every board: what becomes of a project's modules.
var format = compiler.Option{ID: "format", Label: "Modules", Values: []compiler.Value{
	{ID: "py", Label: "as source (.py)"},
	{ID: "mpy", Label: "compiled (.mpy): start faster, take less memory"},
}}

// boardLine is a line of boards.txt: the last word of the FQBN, bytes of the file system, architecture, agent or -, name.
var boardLine = regexp.MustCompile(`(?m)^([a-z0-9_]+) +([0-9]{1,10}) +([a-z0-9]+) +(agent|-) +(.*\S) *$`)

// readBoards reads which boards the toolchain has, and by FQBN what they are like.
func readBoards(toolchain string) ([]compiler.Board, map[string]board, error) {
	text, err := os.ReadFile(filepath.Join(toolchain, "micropython/boards.txt"))
	if err != nil {
		return nil, nil, fmt.Errorf("read the MicroPython boards: %w", err)
	}
	var offered []compiler.Board
	like := map[string]board{}
	for _, line := range boardLine.FindAllStringSubmatch(string(text), -1) {
		size, err := strconv.ParseInt(line[2], 10, 64)
		if err != nil {
			return nil, nil, err
		}
		fqbn := PlatformID + ":" + line[1]
		offered = append(offered, compiler.Board{FQBN: fqbn, Name: line[5], Kind: compiler.MicroPython, Options: []compiler.Option{format}})
		like[fqbn] = board{size, line[3], line[4] == "agent"}
	}
	if len(offered) == 0 {
		return nil, nil, fmt.Errorf("%s/micropython/boards.txt lists no board", toolchain)
	}
	return offered, like, nil
}
