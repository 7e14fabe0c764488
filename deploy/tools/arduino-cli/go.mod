module github.com/flota/flota/deploy/tools/arduino-cli

go 1.26.0

tool github.com/arduino/arduino-cli

require github.com/arduino/arduino-cli v1.4.1
