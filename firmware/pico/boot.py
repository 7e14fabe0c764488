import flota_boot

flota_boot.boot()
del flota_boot
