package arduino

import (
	"strings"

	"github.com/flota/flota/services/compiler"
)

// cliResult is what arduino-cli compile --json says, as far as it is used.
type cliResult struct {
	CompilerOut string   `json:"compiler_out"`
	CompilerErr string   `json:"compiler_err"`
	Success     bool     `json:"success"`
	Error       string   `json:"error"`
	Build       cliBuild `json:"builder_result"`
}

type cliBuild struct {
	Path      string `json:"build_path"`
	Libraries []struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"used_libraries"`
	Sections []struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
		Max  int64  `json:"max_size"`
	} `json:"executable_sections_size"`
	Properties []string `json:"build_properties"`
}

func (b cliBuild) memory() compiler.Memory {
	var m compiler.Memory
	for _, s := range b.Sections {
		switch s.Name {
		case "text":
			m.FlashUsed, m.FlashMax = s.Size, s.Max
		case "data":
			m.RAMUsed, m.RAMMax = s.Size, s.Max
		}
	}
	return m
}

func (b cliBuild) libraries() []compiler.Library {
	var all []compiler.Library
	for _, l := range b.Libraries {
		all = append(all, compiler.Library{Name: l.Name, Version: l.Version})
	}
	return all
}

func (b cliBuild) property(key string) string {
	for _, p := range b.Properties {
		if value, ok := strings.CutPrefix(p, key+"="); ok {
			return value
		}
	}
	return ""
}
