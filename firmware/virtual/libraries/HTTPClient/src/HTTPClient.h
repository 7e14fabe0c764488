#pragma once
#include <Arduino.h>
#include <NetworkClientSecure.h>
#include <WiFi.h>

#define HTTPCLIENT_DEFAULT_TCP_TIMEOUT 5000
#define HTTPC_ERROR_CONNECTION_REFUSED (-1)
#define HTTPC_ERROR_SEND_HEADER_FAILED (-2)
#define HTTPC_ERROR_SEND_PAYLOAD_FAILED (-3)
#define HTTPC_ERROR_NOT_CONNECTED (-4)
#define HTTPC_ERROR_CONNECTION_LOST (-5)
#define HTTPC_ERROR_NO_STREAM (-6)
#define HTTPC_ERROR_NO_HTTP_SERVER (-7)
#define HTTPC_ERROR_TOO_LESS_RAM (-8)
#define HTTPC_ERROR_ENCODING (-9)
#define HTTPC_ERROR_STREAM_WRITE (-10)
#define HTTPC_ERROR_READ_TIMEOUT (-11)

typedef enum {
  HTTP_CODE_CONTINUE = 100,
  HTTP_CODE_OK = 200,
  HTTP_CODE_CREATED = 201,
  HTTP_CODE_ACCEPTED = 202,
  HTTP_CODE_NO_CONTENT = 204,
  HTTP_CODE_PARTIAL_CONTENT = 206,
  HTTP_CODE_MOVED_PERMANENTLY = 301,
  HTTP_CODE_FOUND = 302,
  HTTP_CODE_SEE_OTHER = 303,
  HTTP_CODE_NOT_MODIFIED = 304,
  HTTP_CODE_TEMPORARY_REDIRECT = 307,
  HTTP_CODE_PERMANENT_REDIRECT = 308,
  HTTP_CODE_BAD_REQUEST = 400,
  HTTP_CODE_UNAUTHORIZED = 401,
  HTTP_CODE_FORBIDDEN = 403,
  HTTP_CODE_NOT_FOUND = 404,
  HTTP_CODE_METHOD_NOT_ALLOWED = 405,
  HTTP_CODE_TOO_MANY_REQUESTS = 429,
  HTTP_CODE_INTERNAL_SERVER_ERROR = 500,
  HTTP_CODE_BAD_GATEWAY = 502,
  HTTP_CODE_SERVICE_UNAVAILABLE = 503,
} t_http_codes;

typedef enum { HTTPC_TE_IDENTITY, HTTPC_TE_CHUNKED } transferEncoding_t;
typedef enum {
  HTTPC_DISABLE_FOLLOW_REDIRECTS,
  HTTPC_STRICT_FOLLOW_REDIRECTS,
  HTTPC_FORCE_FOLLOW_REDIRECTS
} followRedirects_t;

// HTTPClient asks for one address at a time. With https:// and no certificate given it verifies
// nothing, as on the chip.
class HTTPClient {
 public:
  HTTPClient() {}
  ~HTTPClient();
  HTTPClient(const HTTPClient &) = delete;
  HTTPClient &operator=(const HTTPClient &) = delete;

  bool begin(NetworkClient &client, String url);
  bool begin(NetworkClient &client, String host, uint16_t port, String uri = "/", bool https = false);
  bool begin(String url) { return begin(url, nullptr); }
  bool begin(String url, const char *ca);
  bool begin(String host, uint16_t port, String uri = "/");
  bool begin(String host, uint16_t port, String uri, const char *ca);
  void end();
  bool connected();

  void setReuse(bool on) { reuse_ = on; }
  void setUserAgent(const String &agent) { agent_ = agent; }
  void setAuthorization(const char *user, const char *password);
  void setAuthorization(const char *credential) { credential_ = credential ? credential : ""; }
  void setAuthorizationType(const char *type) { credential_type_ = type; }
  void setConnectTimeout(int32_t ms) { connect_ms_ = ms; }
  void setTimeout(uint16_t ms) { timeout_ms_ = ms; }
  void setFollowRedirects(followRedirects_t follow) { follow_ = follow; }
  void setRedirectLimit(uint16_t limit) { redirects_ = limit; }
  void useHTTP10(bool on = true) { http10_ = on, reuse_ = !on; }
  bool setURL(const String &url);

  void addHeader(const String &name, const String &value, bool first = false, bool replace = true);
  void collectHeaders(const char *names[], size_t count);
  String header(const char *name);
  String header(size_t i) { return i < collected_ ? answers_[i].value : String(); }
  String headerName(size_t i) { return i < collected_ ? answers_[i].name : String(); }
  int headers() { return collected_; }
  bool hasHeader(const char *name) { return header(name).length() > 0; }

  // The status, or one of the negative errors.
  int GET() { return sendRequest("GET"); }
  int PATCH(String body) { return sendRequest("PATCH", body); }
  int PATCH(uint8_t *body, size_t size) { return sendRequest("PATCH", body, size); }
  int POST(String body) { return sendRequest("POST", body); }
  int POST(uint8_t *body, size_t size) { return sendRequest("POST", body, size); }
  int PUT(String body) { return sendRequest("PUT", body); }
  int PUT(uint8_t *body, size_t size) { return sendRequest("PUT", body, size); }
  int DELETE(String body = "") { return sendRequest("DELETE", body); }
  int sendRequest(const char *method, String body) {
    return sendRequest(method, (uint8_t *)body.c_str(), body.length());
  }
  int sendRequest(const char *method, uint8_t *body = nullptr, size_t size = 0);
  int sendRequest(const char *method, Stream *body, size_t size = 0);

  int getSize() { return size_; }  // -1: not told
  const String &getLocation() { return location_; }
  NetworkClient &getStream();
  NetworkClient *getStreamPtr() { return connected() ? client_ : nullptr; }
  int writeToStream(Stream *to) { return writeToPrint(to); }
  int writeToPrint(Print *to);
  String getString();
  static String errorToString(int error);

 private:
  struct Header {
    String name, value;
  };
  bool parse(const String &url);
  bool own_client(const char *ca);
  int ask(const char *method, size_t size);
  int answer();
  bool line(String &to);
  bool goes_on(const char *method);

  NetworkClient *client_ = nullptr;
  bool own_ = false;  // client_ was made here
  String host_, uri_, agent_ = "ESP32HTTPClient", credential_, credential_type_ = "Basic", location_, asked_;
  uint16_t port_ = 0;
  bool https_ = false, reuse_ = true, http10_ = false, keep_ = false, answered_ = false;
  int32_t connect_ms_ = -1;
  uint16_t timeout_ms_ = HTTPCLIENT_DEFAULT_TCP_TIMEOUT;
  followRedirects_t follow_ = HTTPC_DISABLE_FOLLOW_REDIRECTS;
  uint16_t redirects_ = 10;
  int size_ = -1, status_ = 0;
  transferEncoding_t encoding_ = HTTPC_TE_IDENTITY;
  String headers_;
  Header *answers_ = nullptr;
  size_t collected_ = 0;
};
