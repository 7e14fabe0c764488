#pragma once
#include <Arduino.h>
#include <FS.h>
#include <WiFi.h>
#include <function.h>

#include "HTTP_Method.h"

#define HTTP_UPLOAD_BUFLEN 1436
#define CONTENT_LENGTH_UNKNOWN ((size_t)-1)
#define CONTENT_LENGTH_NOT_SET ((size_t)-2)

enum HTTPUploadStatus { UPLOAD_FILE_START, UPLOAD_FILE_WRITE, UPLOAD_FILE_END, UPLOAD_FILE_ABORTED };
enum HTTPAuthMethod { BASIC_AUTH, DIGEST_AUTH };

struct HTTPUpload {
  HTTPUploadStatus status;
  String filename, name, type;
  size_t totalSize;    // so far
  size_t currentSize;  // in buf
  uint8_t buf[HTTP_UPLOAD_BUFLEN];
};

// WebServer answers one request at a time, in handleClient(), and closes the connection. A request's
// head has at most 8 KiB, a body that is not an upload 64 KiB.
class WebServer {
 public:
  typedef std::function<void()> THandlerFunction;

  explicit WebServer(int port = 80) : server_(port) {}
  WebServer(IPAddress, int port) : server_(port) {}
  ~WebServer();
  WebServer(const WebServer &) = delete;
  WebServer &operator=(const WebServer &) = delete;

  void begin() { server_.begin(); }
  void begin(uint16_t port) { server_.begin(port); }
  void handleClient();
  void close() { server_.end(); }
  void stop() { close(); }

  // A path matches as it is; "{}" in it matches a part (pathArg).
  WebServer &on(const String &path, THandlerFunction handler) { return on(path, HTTP_ANY, handler); }
  WebServer &on(const String &path, HTTPMethod method, THandlerFunction handler) {
    return on(path, method, handler, nullptr);
  }
  WebServer &on(const String &path, HTTPMethod method, THandlerFunction handler, THandlerFunction upload);
  void onNotFound(THandlerFunction handler) { not_found_ = handler; }
  void onFileUpload(THandlerFunction handler) { upload_handler_ = handler; }
  void serveStatic(const char *path, fs::FS &fs, const char *folder, const char *cache = nullptr);

  // Within a handler
  String uri() const { return uri_; }
  HTTPMethod method() const { return method_; }
  NetworkClient &client() { return client_; }
  HTTPUpload &upload() { return *upload_; }
  String arg(const String &name) const;
  String arg(int i) const { return i >= 0 && i < args_ ? arg_[i].value : String(); }
  String argName(int i) const { return i >= 0 && i < args_ ? arg_[i].name : String(); }
  int args() const { return args_; }
  bool hasArg(const String &name) const;
  String pathArg(unsigned i) const { return i < 4 ? path_[i] : String(); }
  void collectHeaders(const char *names[], size_t count);
  String header(const String &name) const;
  String header(int i) const { return i >= 0 && i < headers_ ? header_[i].value : String(); }
  String headerName(int i) const { return i >= 0 && i < headers_ ? header_[i].name : String(); }
  int headers() const { return headers_; }
  bool hasHeader(const String &name) const { return header(name).length() > 0; }
  String hostHeader() const { return host_; }
  size_t clientContentLength() const { return length_; }
  bool authenticate(const char *user, const char *password);
  void requestAuthentication(HTTPAuthMethod mode = BASIC_AUTH, const char *realm = nullptr, const String &text = "");

  void send(int code, const char *type = nullptr, const String &content = "");
  void send(int code, const String &type, const String &content) { send(code, type.c_str(), content); }
  void send(int code, const char *type, const char *content) { send(code, type, String(content)); }
  void send_P(int code, const char *type, const char *content) { send(code, type, content); }
  void send_P(int code, const char *type, const char *content, size_t size);
  void sendHeader(const String &name, const String &value, bool first = false);
  void setContentLength(size_t size) { told_ = size; }
  void sendContent(const String &content) { sendContent(content.c_str(), content.length()); }
  void sendContent(const char *content, size_t size);
  void sendContent_P(const char *content) { sendContent(content, strlen(content)); }
  template <typename T>
  size_t streamFile(T &file, const String &type, int code = 200) {
    setContentLength(file.size());
    send(code, type.c_str(), "");
    return client_.write(file);
  }
  void enableCORS(bool on = true) { cors_ = on; }
  void enableCrossOrigin(bool on = true) { cors_ = on; }
  void enableDelay(bool) {}
  static String urlDecode(const String &text);

 private:
  struct Pair {
    String name, value;
  };
  struct Route {
    String path;
    HTTPMethod method;
    THandlerFunction handler, upload;
    Route *next;
  };
  struct Files {
    String path, folder, cache;
    fs::FS *fs;
    Files *next;
  };
  bool read_head(String &boundary);
  bool read_line(String &line, size_t most);
  bool read_form(const String &boundary, Route *route);
  bool read_body(String &body);
  void parse_args(const String &text);
  void add_arg(const String &name, const String &value);
  bool matches(const String &path);
  Route *find();
  bool serve_file();

  NetworkServer server_;
  NetworkClient client_;
  Route *routes_ = nullptr;
  Files *files_ = nullptr;
  THandlerFunction not_found_, upload_handler_;
  HTTPUpload *upload_ = nullptr;

  HTTPMethod method_ = HTTP_GET;
  String uri_, host_, authorization_, type_, path_[4], extra_;
  size_t length_ = 0, told_ = CONTENT_LENGTH_NOT_SET;
  static const int kArgs = 32;
  Pair *arg_ = nullptr, *header_ = nullptr;
  int args_ = 0, headers_ = 0;
  bool chunked_ = false, cors_ = false, http10_ = false;
};
