#pragma once
#include "NetworkUdp.h"
