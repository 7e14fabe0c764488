#pragma once
#include <Arduino.h>

enum class DNSReplyCode { NoError, FormError, ServerFailure, NonExistentDomain, NotImplemented, Refused };

// DNSServer starts, and is asked by nobody.
class DNSServer {
 public:
  bool start(uint16_t = 53, const String& = "*", const IPAddress& = IPAddress()) { return true; }
  void processNextRequest() {}
  void setErrorReplyCode(DNSReplyCode) {}
  void setTTL(uint32_t) {}
  void stop() {}
};
