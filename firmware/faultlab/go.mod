module github.com/flota/flota/firmware/faultlab

go 1.26.0

require (
	github.com/flota/flota/firmware/chip v0.0.0
	github.com/flota/flota/firmware/pico v0.0.0
	github.com/flota/flota/pkg v0.0.0
)

require (
	github.com/flota/flota/firmware/provision v0.0.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace (
	github.com/flota/flota/firmware/chip => ../chip
	github.com/flota/flota/firmware/pico => ../pico
	github.com/flota/flota/firmware/provision => ../provision
	github.com/flota/flota/pkg => ../../pkg
)
