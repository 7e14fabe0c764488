#pragma once
#include "NetworkServer.h"
