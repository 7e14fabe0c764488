// Not in the sketch: Arduino would declare what the macro defines there, with another linkage.
#include <FlotaOTA.h>

FLOTA_MANAGED
