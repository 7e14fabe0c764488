#include "SPIFFS.h"

fs::FS SPIFFS;
