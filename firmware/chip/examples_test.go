package chip_test

import (
	"path/filepath"
	"testing"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
)

// The library's examples and the base sketch are compiled by the real arduino-cli,
// without a warning. Those with an agent are given what they need over the cable, and poll.
func TestExamples(t *testing.T) {
	esp32 := filepath.Join(chiptest.Firmware(), "esp32")
	sketches, err := filepath.Glob(filepath.Join(esp32, "FlotaOTA", "examples", "*"))
	if err != nil || len(sketches) < 4 {
		t.Fatal("no examples:", sketches, err)
	}
	cli := newArduino(t)
	t.Run("each", func(t *testing.T) {
		for _, sketch := range append(sketches, filepath.Join(esp32, "base")) {
			t.Run(filepath.Base(sketch), func(t *testing.T) {
				t.Parallel()
				image := cli.compile(t, sketch)
				if filepath.Base(sketch) == "StockHTTPUpdate" {
					return // no agent; deploy/solo runs it
				}
				b, server := chiptest.NewBench(t, image), chiptest.NewServer(t)
				b.On()
				b.Provision(server.Enrol("bot_001"))
				server.Until("a poll", func() bool { return len(server.Polls()) > 0 })
				if filepath.Base(sketch) == "DeepSleep" {
					b.Until("deep sleep", func() bool { return b.State().Phase == chip.PhaseSleeping })
					b.After(0, "checked")
				}
			})
		}
	})
}
