module github.com/flota/flota/firmware/chip

go 1.26.0

require (
	github.com/flota/flota/firmware/pico v0.0.0
	github.com/flota/flota/firmware/provision v0.0.0
	github.com/flota/flota/pkg v0.0.0
	golang.org/x/sys v0.49.0
)

replace (
	github.com/flota/flota/firmware/pico => ../pico
	github.com/flota/flota/firmware/provision => ../provision
	github.com/flota/flota/pkg => ../../pkg
)
