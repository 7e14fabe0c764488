package faultlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// found is what all tests found of the virtual ESP32, pico what they found of the virtual Pico.
var (
	found = &report{board: "esp32", title: "Fault lab", classes: map[string]*class{}}
	pico  = &report{board: "pico", title: "Fault lab, Pico", classes: map[string]*class{}}
)

type report struct {
	board string // in keys of results.json
	title string

	mu      sync.Mutex
	classes map[string]*class
}

type class struct {
	faults, cuts, bricks, unverified, halves, lies int

	recovery []time.Duration
}

func (f *report) of(name string, change func(*class)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.classes[name] == nil {
		f.classes[name] = &class{}
	}
	change(f.classes[name])
}

func (f *report) fault(name string, n int) { f.of(name, func(c *class) { c.faults += n }) }
func (f *report) cut(name string, n int)   { f.of(name, func(c *class) { c.cuts += n }) }
func (f *report) brick(name string)        { f.of(name, func(c *class) { c.bricks++ }) }
func (f *report) unverified(name string)   { f.of(name, func(c *class) { c.unverified++ }) }
func (f *report) half(name string)         { f.of(name, func(c *class) { c.halves++ }) }
func (f *report) lie(name string)          { f.of(name, func(c *class) { c.lies++ }) }
func (f *report) recovered(name string, took time.Duration) {
	f.of(name, func(c *class) { c.recovery = append(c.recovery, took) })
}

// total adds the classes up.
func (f *report) total() (all class) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.classes {
		all.faults += c.faults
		all.cuts += c.cuts
		all.bricks += c.bricks
		all.unverified += c.unverified
		all.halves += c.halves
		all.lies += c.lies
		all.recovery = append(all.recovery, c.recovery...)
	}
	return all
}

// held are what must be 0, by the names of the keys and of the table's columns.
func (f *report) held(c *class) (keys, names []string, values []int) {
	keys, names, values = []string{"bricks", "unverified_boots"}, []string{"bricks", "unverified boots"}, []int{c.bricks, c.unverified}
	if f == pico {
		keys, names = append(keys, "half_written", "false_successes"), append(names, "files half-written", "false successes")
		values = append(values, c.halves, c.lies)
	}
	return keys, names, values
}

// table is Markdown. Recovery is in the board's own time, which goes faster here.
func (f *report) table() string {
	all := f.total()
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	_, names, _ := f.held(&all)
	fmt.Fprintf(&b, "| fault | times | of these power cuts | recovered | median, s | longest, s | %s |\n|---|---|---|---|---|---%s|\n",
		strings.Join(names, " | "), strings.Repeat("|---", len(names)))
	row := func(name string, c *class) {
		middle, longest := "–", "–"
		if len(c.recovery) > 0 {
			slices.Sort(c.recovery)
			middle, longest = show(c.recovery[len(c.recovery)/2]), show(c.recovery[len(c.recovery)-1])
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %s | %s ", name, c.faults+c.cuts, c.cuts, len(c.recovery), middle, longest)
		_, _, values := f.held(c)
		for _, v := range values {
			fmt.Fprintf(&b, "| %d ", v)
		}
		b.WriteString("|\n")
	}
	for _, name := range slices.Sorted(maps.Keys(f.classes)) {
		row(name, f.classes[name])
	}
	row("**all**", &all)
	return b.String()
}

func show(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f", d.Seconds())
	}
	return fmt.Sprintf("%.0f", d.Seconds())
}

// result is one figure of results.json, as deploy/bench/README.md tells.
type result struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Runs  int     `json:"runs"`
	How   string  `json:"how"`
}

// write puts the figures and the table into results.json and RESULTS.md; what else is in these stays.
func (f *report) write(dir string) error {
	figures, page := filepath.Join(dir, "results.json"), filepath.Join(dir, "RESULTS.md")
	rawFigures, err := os.ReadFile(figures)
	rawPage, err2 := os.ReadFile(page)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	known := map[string]json.RawMessage{}
	if err := json.Unmarshal(rawFigures, &known); err != nil {
		return fmt.Errorf("%s: %w", figures, err)
	}
	all := f.total()
	keys, _, values := f.held(&all)
	for i, key := range append(keys, "cuts") {
		value := append(values, all.cuts)[i]
		known["faultlab."+f.board+"."+key], err = json.Marshal(result{
			float64(value), "count", 1, fmt.Sprintf("%d faults of %d classes on virtual boards; -seed=%d", all.faults+all.cuts, len(f.classes), *seed),
		})
		if err != nil {
			return err
		}
	}
	if rawFigures, err = json.MarshalIndent(known, "", "  "); err != nil {
		return err
	}
	mark := "faultlab"
	if f != found {
		mark += "." + f.board
	}
	beginMark, endMark := "<!-- "+mark+":begin -->", "<!-- "+mark+":end -->"
	before, rest, there := strings.Cut(string(rawPage), beginMark)
	_, after, closed := strings.Cut(rest, endMark)
	if !there || !closed {
		before, after = strings.TrimRight(string(rawPage), "\n")+"\n\n## "+f.title+"\n\n", "\n"
	}
	text := fmt.Sprintf("%s%s\nRun %s on %d processors, %s/%s, seed %d. Command: `make faultlab`. What it shows and what it does not: "+
		"[firmware/faultlab](../../firmware/faultlab/README.md).\n\n%s%s%s",
		before, beginMark, time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, *seed, f.table(), endMark, after)
	return errors.Join(os.WriteFile(figures, append(rawFigures, '\n'), 0o644), os.WriteFile(page, []byte(text), 0o644))
}
