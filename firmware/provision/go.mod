module github.com/flota/flota/firmware/provision

go 1.26.0

require (
	github.com/flota/flota/firmware/chip v0.0.0
	github.com/flota/flota/firmware/pico v0.0.0
	github.com/flota/flota/pkg v0.0.0
	go.bug.st/serial v1.8.0
	golang.org/x/term v0.47.0
)

require golang.org/x/sys v0.49.0

replace github.com/flota/flota/firmware/chip => ../chip

replace github.com/flota/flota/firmware/pico => ../pico

replace github.com/flota/flota/pkg => ../../pkg
