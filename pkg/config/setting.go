package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
)

// setting is one leaf of the configuration struct.
type setting struct {
	Key     string // FLOTA_DEVICE_LISTEN
	Default string
	Desc    string
	Secret  bool
	Bool    bool // --flag alone means true
}

// describe lists the settings of the struct that dst points to, in its order.
func describe(dst any) ([]setting, error) {
	t := reflect.TypeOf(dst)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: want a pointer to a struct, got %T", dst)
	}
	return walk(t.Elem(), prefix), nil
}

func walk(t reflect.Type, prefix string) []setting {
	var all []setting
	for field := range t.Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		switch {
		case !field.IsExported() || key == "-":
		case key != "":
			all = append(all, setting{
				Key:     prefix + key,
				Default: field.Tag.Get("envDefault"),
				Desc:    field.Tag.Get("desc"),
				Secret:  field.Type == reflect.TypeFor[Secret](),
				Bool:    field.Type.Kind() == reflect.Bool,
			})
		case field.Type.Kind() == reflect.Struct:
			all = append(all, walk(field.Type, prefix+field.Tag.Get("envPrefix"))...)
		}
	}
	return all
}

func flagName(key string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(key, prefix)), "_", "-")
}

func printHelp(w io.Writer, settings []setting) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FLAG\tVARIABLE\tDEFAULT\tMEANING")
	for _, s := range settings {
		flag, desc := "--"+flagName(s.Key), s.Desc
		if s.Secret {
			flag = "--" + flagName(s.Key+fileSuffix)
			desc += " (secret: a variable, or a file named by " + s.Key + fileSuffix + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", flag, s.Key, s.Default, desc)
	}
	_ = table.Flush() // to a terminal: there is nobody else to tell
}
