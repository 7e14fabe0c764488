#pragma once
#include "NetworkClient.h"
#include "NetworkServer.h"
#include "NetworkUdp.h"
