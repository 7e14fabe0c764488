#include "HTTPClient.h"

#include <base64.h>

// What is read of an answer's head at most.
static const size_t kLongestLine = 4096;

HTTPClient::~HTTPClient() {
  end();
  if (client_) client_->stop();
  if (own_) delete client_;
  delete[] answers_;
}

bool HTTPClient::parse(const String &url) {
  int host = url.indexOf("://");
  if (host < 0) return false;
  String protocol = url.substring(0, host);
  if (protocol != "http" && protocol != "https") return false;
  https_ = protocol == "https";
  host += 3;
  int path = url.indexOf('/', host), query = url.indexOf('?', host);
  if (path < 0 || (query >= 0 && query < path)) path = query;
  String authority = path < 0 ? url.substring(host) : url.substring(host, path);
  uri_ = path < 0 ? String("/") : url.substring(path);
  if (uri_[0] != '/') uri_ = "/" + uri_;
  int at = authority.lastIndexOf('@');
  if (at >= 0) {
    credential_ = base64::encode(authority.substring(0, at));
    credential_type_ = "Basic";
    authority = authority.substring(at + 1);
  }
  int colon = authority.indexOf(':');
  port_ = colon < 0 ? (https_ ? 443 : 80) : authority.substring(colon + 1).toInt();
  host_ = colon < 0 ? authority : authority.substring(0, colon);
  return !host_.isEmpty() && port_ != 0;
}

// The client that it makes itself.
bool HTTPClient::own_client(const char *ca) {
  if (own_) delete client_;
  own_ = true;
  if (!https_) {
    client_ = new NetworkClient();
    return true;
  }
  NetworkClientSecure *secure = new NetworkClientSecure();
  if (ca) {
    secure->setCACert(ca);
  } else {
    secure->setInsecure();
  }
  client_ = secure;
  return true;
}

bool HTTPClient::begin(String url, const char *ca) {
  end();
  return parse(url) && own_client(ca);
}
bool HTTPClient::begin(String host, uint16_t port, String uri) {
  end();
  host_ = host, port_ = port, uri_ = uri, https_ = false;
  return own_client(nullptr);
}
bool HTTPClient::begin(String host, uint16_t port, String uri, const char *ca) {
  end();
  host_ = host, port_ = port, uri_ = uri, https_ = true;
  return own_client(ca);
}
bool HTTPClient::begin(NetworkClient &client, String url) {
  end();
  if (own_) delete client_;
  own_ = false;
  client_ = &client;
  return parse(url);
}
bool HTTPClient::begin(NetworkClient &client, String host, uint16_t port, String uri, bool https) {
  end();
  if (own_) delete client_;
  own_ = false;
  client_ = &client;
  host_ = host, port_ = port, uri_ = uri, https_ = https;
  return true;
}

bool HTTPClient::setURL(const String &url) {
  if (url.startsWith("/")) {
    uri_ = url;
    return true;
  }
  String host = host_;
  uint16_t port = port_;
  if (!parse(url)) return false;
  if ((host != host_ || port != port_) && client_) client_->stop();
  return true;
}

void HTTPClient::end() {
  if (client_) {
    // What is left of the answer goes, so that the connection can be used again.
    bool again = keep_ && reuse_ && answered_ && client_->connected() && client_->available() == 0;
    if (!again) client_->stop();
  }
  headers_ = "";
  size_ = -1;
  answered_ = false;
}

bool HTTPClient::connected() { return client_ && (client_->available() > 0 || client_->connected()); }

void HTTPClient::setAuthorization(const char *user, const char *password) {
  if (user && password) credential_ = base64::encode(String(user) + ":" + password);
}

void HTTPClient::addHeader(const String &name, const String &value, bool first, bool replace) {
  // These are its own.
  if (name.equalsIgnoreCase("Connection") || name.equalsIgnoreCase("Host") || name.equalsIgnoreCase("User-Agent") ||
      (name.equalsIgnoreCase("Authorization") && !credential_.isEmpty()))
    return;
  String header = name + ": " + value + "\r\n";
  if (replace) {
    int at = headers_.indexOf(name + ": ");
    if (at == 0 || (at > 0 && headers_[at - 1] == '\n')) headers_.remove(at, headers_.indexOf("\r\n", at) + 2 - at);
  }
  headers_ = first ? header + headers_ : headers_ + header;
}

void HTTPClient::collectHeaders(const char *names[], size_t count) {
  delete[] answers_;
  answers_ = new Header[count];
  collected_ = count;
  for (size_t i = 0; i < count; i++) answers_[i].name = names[i];
}

String HTTPClient::header(const char *name) {
  for (size_t i = 0; i < collected_; i++)
    if (answers_[i].name.equalsIgnoreCase(name)) return answers_[i].value;
  return String();
}

// Connects and sends the head of a request.
int HTTPClient::ask(const char *method, size_t size) {
  if (!client_ || host_.isEmpty()) return HTTPC_ERROR_NOT_CONNECTED;
  answered_ = false;
  if (client_->connected()) {
    client_->clear();
  } else if (!client_->connect(host_.c_str(), port_, connect_ms_ > 0 ? connect_ms_ : timeout_ms_)) {
    return HTTPC_ERROR_CONNECTION_REFUSED;
  }
  client_->Stream::setTimeout(timeout_ms_);
  String head = String(method) + " " + uri_ + (http10_ ? " HTTP/1.0" : " HTTP/1.1") + "\r\nHost: " + host_;
  if (port_ != (https_ ? 443 : 80)) head += ":" + String(port_);
  head += "\r\nUser-Agent: " + agent_ + "\r\nConnection: " + (reuse_ ? "keep-alive" : "close") + "\r\n";
  if (!http10_) head += "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n";
  if (!credential_.isEmpty()) head += "Authorization: " + credential_type_ + " " + credential_ + "\r\n";
  if (size > 0 || strcmp(method, "GET") != 0) head += "Content-Length: " + String((unsigned long)size) + "\r\n";
  head += headers_ + "\r\n";
  asked_ = method;
  return client_->write((const uint8_t *)head.c_str(), head.length()) == head.length() ? 0
                                                                                       : HTTPC_ERROR_SEND_HEADER_FAILED;
}

bool HTTPClient::line(String &to) {
  to = "";
  char c;
  while (to.length() < kLongestLine && client_->readBytes(&c, 1) == 1) {
    if (c == '\n') {
      if (to.endsWith("\r")) to.remove(to.length() - 1);
      return true;
    }
    to += c;
  }
  return false;
}

int HTTPClient::answer() {
  String text;
  do {
    size_ = -1;
    encoding_ = HTTPC_TE_IDENTITY;
    keep_ = !http10_;
    location_ = "";
    for (size_t i = 0; i < collected_; i++) answers_[i].value = "";
    if (!line(text)) return client_->connected() ? HTTPC_ERROR_READ_TIMEOUT : HTTPC_ERROR_CONNECTION_LOST;
    if (!text.startsWith("HTTP/1.")) return HTTPC_ERROR_NO_HTTP_SERVER;
    if (text.startsWith("HTTP/1.0")) keep_ = false;
    status_ = text.substring(9, 12).toInt();
    while (line(text) && !text.isEmpty()) {
      int colon = text.indexOf(':');
      if (colon < 0) continue;
      String name = text.substring(0, colon), value = text.substring(colon + 1);
      value.trim();
      if (name.equalsIgnoreCase("Content-Length")) size_ = value.toInt();
      if (name.equalsIgnoreCase("Connection")) keep_ = value.equalsIgnoreCase("keep-alive");
      if (name.equalsIgnoreCase("Location")) location_ = value;
      if (name.equalsIgnoreCase("Transfer-Encoding")) {
        if (!value.equalsIgnoreCase("chunked")) return HTTPC_ERROR_ENCODING;
        encoding_ = HTTPC_TE_CHUNKED;
      }
      for (size_t i = 0; i < collected_; i++)
        if (answers_[i].name.equalsIgnoreCase(name))
          answers_[i].value += (answers_[i].value.isEmpty() ? "" : ",") + value;
    }
    if (!text.isEmpty()) return HTTPC_ERROR_CONNECTION_LOST;
  } while (status_ == HTTP_CODE_CONTINUE);
  if (status_ == HTTP_CODE_NO_CONTENT || status_ == HTTP_CODE_NOT_MODIFIED || asked_ == "HEAD") size_ = 0;
  answered_ = true;
  return status_ ? status_ : HTTPC_ERROR_NO_HTTP_SERVER;
}

// Whether a redirect is followed.
bool HTTPClient::goes_on(const char *method) {
  if (follow_ == HTTPC_DISABLE_FOLLOW_REDIRECTS || location_.isEmpty()) return false;
  bool plain = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  if (status_ == 303 || status_ == 307 || status_ == 308) return true;
  return (status_ == 301 || status_ == 302) && (plain || follow_ == HTTPC_FORCE_FOLLOW_REDIRECTS);
}

int HTTPClient::sendRequest(const char *method, uint8_t *body, size_t size) {
  for (int hop = 0;; hop++) {
    int result = ask(method, size);
    if (result == 0 && size && client_->write(body, size) != size) result = HTTPC_ERROR_SEND_PAYLOAD_FAILED;
    if (result == 0) result = answer();
    if (result < 0) {
      if (client_) client_->stop();
      return result;
    }
    if (!goes_on(method) || hop >= redirects_) return result;
    if (status_ == 303) {
      method = "GET";
      size = 0;
    }
    bool was_https = https_;
    client_->stop();
    String location = location_;
    if (!setURL(location)) return result;
    if (https_ != was_https) {
      if (!own_) return result;
      own_client(nullptr);
    }
  }
}

int HTTPClient::sendRequest(const char *method, Stream *body, size_t size) {
  if (!body) return HTTPC_ERROR_NO_STREAM;
  if (size == 0) size = body->available();
  int result = ask(method, size);
  uint8_t part[1024];
  while (result == 0 && size) {
    size_t n = body->readBytes(part, size < sizeof part ? size : sizeof part);
    if (n == 0 || client_->write(part, n) != n) result = HTTPC_ERROR_SEND_PAYLOAD_FAILED;
    size -= n;
  }
  if (result == 0) result = answer();
  if (result < 0 && client_) client_->stop();
  return result;
}

NetworkClient &HTTPClient::getStream() {
  static NetworkClient none;
  return connected() ? *client_ : none;
}

int HTTPClient::writeToPrint(Print *to) {
  if (!to) return HTTPC_ERROR_NO_STREAM;
  if (!client_ || !answered_) return HTTPC_ERROR_NOT_CONNECTED;
  uint8_t part[1024];
  int sum = 0;
  // Copies n bytes, or (n < 0) all until the other side closes.
  auto copy = [&](int n) {
    while (n != 0) {
      size_t want = n < 0 || n > int(sizeof part) ? sizeof part : n;
      size_t got = client_->readBytes(
          part, n < 0 && client_->available() > 0 && client_->available() < int(want) ? client_->available() : want);
      if (got == 0) return n < 0 && !client_->connected() ? 0 : HTTPC_ERROR_READ_TIMEOUT;
      if (to->write(part, got) != got) return HTTPC_ERROR_STREAM_WRITE;
      sum += got;
      if (n > 0) n -= got;
    }
    return 0;
  };
  int failed = 0;
  if (encoding_ == HTTPC_TE_IDENTITY) {
    failed = copy(size_);
  } else {
    String text;
    for (;;) {
      if (!line(text)) return HTTPC_ERROR_READ_TIMEOUT;
      int n = strtol(text.c_str(), nullptr, 16);
      if (n <= 0) break;
      if ((failed = copy(n)) != 0 || !line(text)) break;
    }
    while (!failed && line(text) && !text.isEmpty()) {
    }
  }
  if (failed) client_->stop();
  return failed ? failed : sum;
}

namespace {
class Text : public Print {
 public:
  String text;
  size_t write(uint8_t c) override { return write(&c, 1); }
  size_t write(const uint8_t *data, size_t size) override { return text.concat(data, size) ? size : 0; }
};
}  // namespace

String HTTPClient::getString() {
  Text to;
  if (size_ > 0) to.text.reserve(size_);
  return writeToPrint(&to) < 0 && size_ >= 0 ? String() : to.text;
}

String HTTPClient::errorToString(int error) {
  static const char *const texts[] = {"connection refused", "send header failed", "send payload failed",
                                      "not connected",      "connection lost",    "no stream",
                                      "no HTTP server",     "too less ram",       "Transfer-Encoding not supported",
                                      "Stream write error", "read Timeout"};
  return error < 0 && error >= -11 ? texts[-1 - error] : "";
}
