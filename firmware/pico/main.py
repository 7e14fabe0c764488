import flota_boot

flota_boot.run(globals())
