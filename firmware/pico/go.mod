module github.com/flota/flota/firmware/pico

go 1.26.0

require github.com/flota/flota/pkg v0.0.0

replace github.com/flota/flota/pkg => ../../pkg
