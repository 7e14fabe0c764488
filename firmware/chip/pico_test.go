package chip_test

import (
	"testing"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
)

func TestPicoBlinks(t *testing.T) {
	b := chiptest.NewPico(t, map[string]string{"main.py": `
from machine import Pin
import time
led = Pin("LED", Pin.OUT)
while True:
    led.toggle()
    time.sleep_ms(50)
`})
	b.On()
	changes := map[int]int{}
	b.Until("blinking", func() bool {
		clear(changes)
		for _, e := range b.Events() {
			if e.Kind == chip.PinChanged && e.Pin.Number == 25 && e.Pin.Mode == "out" {
				changes[e.Pin.Value]++
			}
		}
		return changes[0] > 3 && changes[1] > 3
	})
}
