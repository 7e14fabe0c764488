#pragma once
#include <Arduino.h>

// MDNSResponder accepts what it is told and tells nobody; it finds nothing.
class MDNSResponder {
 public:
  bool begin(const char *name) { return name && *name; }
  bool begin(const String &name) { return begin(name.c_str()); }
  void end() {}
  void setInstanceName(const char *) {}
  bool addService(const char *, const char *, uint16_t) { return true; }
  bool addService(const String &, const String &, uint16_t) { return true; }
  bool addServiceTxt(const char *, const char *, const char *, const char *) { return true; }
  int queryService(const char *, const char *) { return 0; }
  IPAddress queryHost(const char *, uint32_t = 2000) { return IPAddress(); }
  String hostname(int) { return String(); }
  IPAddress IP(int) { return IPAddress(); }
  IPAddress address(int) { return IPAddress(); }
  uint16_t port(int) { return 0; }
};

extern MDNSResponder MDNS;
