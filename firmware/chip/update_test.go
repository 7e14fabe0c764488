package chip_test

import (
	"testing"

	"github.com/flota/flota/firmware/chip/chiptest"
)

const hello = `
void setup() {
  Serial.begin(115200);
  Serial.println("hello " VERSION);
}
void loop() { delay(10); }
`

// A board that was given nothing is provisioned over its cable, polls, and takes an update.
func TestUpdate(t *testing.T) {
	first := chiptest.Sketch(t, hello, chiptest.Flags(`-DVERSION="one"`))
	second := chiptest.Sketch(t, hello, chiptest.Flags(`-DVERSION="two"`))
	server := chiptest.NewServer(t)
	p := server.Enrol("bot_001")
	b := chiptest.NewBench(t, first)
	b.On()
	b.After(0, "hello one")
	b.Provision(p)
	server.Until("poll", func() bool { return len(server.Polls()) > 0 })
	server.Want(p, 1, second)
	b.After(0, "hello two")
	server.UntilSaid(p, "1 confirmed")
}
