#pragma once
#include <FS.h>

extern fs::FS LittleFS;
