// Names and addresses.
#pragma once
#include <IPAddress.h>

// Whether the machine's own network is out of reach, and everything goes through the runner.
bool network_sandboxed();
// The address of a name; in a sandbox, where nobody resolves names, one of 198.18.0.0/24 that stands for it.
bool network_resolve(const char *host, IPAddress &address);
// The name or address to connect to.
String network_host(const IPAddress &address);
