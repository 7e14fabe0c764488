#include "LittleFS.h"

fs::FS LittleFS;
