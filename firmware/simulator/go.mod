module github.com/flota/flota/firmware/simulator

go 1.26.0

require (
	github.com/flota/flota/pkg v0.0.0
	golang.org/x/sync v0.24.0
)

replace github.com/flota/flota/pkg => ../../pkg
