#include "WebServer.h"

#include <base64.h>

namespace {

const size_t kHead = 8 << 10, kBody = 64 << 10;
const unsigned long kTimeout = 5000;

const char *phrase(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Payload Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
  }
  return "";
}

const char *type_of(const String &path) {
  static const char *const types[][2] = {
      {".html", "text/html"},     {".htm", "text/html"},         {".css", "text/css"},     {".txt", "text/plain"},
      {".js", "text/javascript"}, {".json", "application/json"}, {".png", "image/png"},    {".gif", "image/gif"},
      {".jpg", "image/jpeg"},     {".svg", "image/svg+xml"},     {".ico", "image/x-icon"}, {".xml", "text/xml"}};
  for (auto &type : types)
    if (path.endsWith(type[0])) return type[1];
  return "application/octet-stream";
}

// The value of name="…" in a header.
String quoted(const String &text, const char *name) {
  int at = text.indexOf(String(name) + "=\"");
  if (at < 0) return String();
  at += strlen(name) + 2;
  int end = text.indexOf('"', at);
  return end < 0 ? String() : text.substring(at, end);
}

}  // namespace

WebServer::~WebServer() {
  close();
  while (Route *r = routes_) {
    routes_ = r->next;
    delete r;
  }
  while (Files *f = files_) {
    files_ = f->next;
    delete f;
  }
  delete[] arg_;
  delete[] header_;
  delete upload_;
}

WebServer &WebServer::on(const String &path, HTTPMethod method, THandlerFunction handler, THandlerFunction upload) {
  Route **end = &routes_;
  while (*end) end = &(*end)->next;
  *end = new Route{path, method, handler, upload, nullptr};
  return *this;
}

void WebServer::serveStatic(const char *path, fs::FS &fs, const char *folder, const char *cache) {
  files_ = new Files{path, folder, cache ? cache : "", &fs, files_};
}

void WebServer::collectHeaders(const char *names[], size_t count) {
  delete[] header_;
  header_ = new Pair[count];
  headers_ = count;
  for (size_t i = 0; i < count; i++) header_[i].name = names[i];
}

// --- A request

bool WebServer::read_line(String &line, size_t most) {
  line = "";
  char c;
  while (line.length() <= most && client_.readBytes(&c, 1) == 1) {
    if (c == '\n') {
      if (line.endsWith("\r")) line.remove(line.length() - 1);
      return true;
    }
    line += c;
  }
  return false;
}

bool WebServer::read_head(String &boundary) {
  String line;
  if (!read_line(line, 2048)) return false;
  int first = line.indexOf(' '), second = line.indexOf(' ', first + 1);
  if (first < 0 || second < 0) return false;
  static const char *const methods[] = {"DELETE", "GET", "HEAD", "POST", "PUT", "OPTIONS", "PATCH"};
  String method = line.substring(0, first);
  int m = 0;
  while (m < 7 && method != methods[m]) m++;
  if (m == 7) return false;
  method_ = HTTPMethod(m);
  http10_ = line.endsWith("1.0");
  String target = line.substring(first + 1, second);
  int query = target.indexOf('?');
  uri_ = urlDecode(query < 0 ? target : target.substring(0, query));
  if (query >= 0) parse_args(target.substring(query + 1));

  size_t left = kHead;
  while (read_line(line, 2048)) {
    if (line.isEmpty()) return true;
    if (line.length() > left) return false;
    left -= line.length();
    int colon = line.indexOf(':');
    if (colon < 0) continue;
    String name = line.substring(0, colon), value = line.substring(colon + 1);
    value.trim();
    if (name.equalsIgnoreCase("Content-Length")) length_ = strtoul(value.c_str(), nullptr, 10);
    if (name.equalsIgnoreCase("Host")) host_ = value;
    if (name.equalsIgnoreCase("Authorization")) authorization_ = value;
    if (name.equalsIgnoreCase("Content-Type")) {
      type_ = value;
      int at = value.indexOf("boundary=");
      if (value.startsWith("multipart/") && at >= 0) {
        boundary = value.substring(at + 9);
        boundary.replace("\"", "");
      }
    }
    for (int i = 0; i < headers_; i++)
      if (header_[i].name.equalsIgnoreCase(name)) header_[i].value = value;
  }
  return false;
}

bool WebServer::read_body(String &body) {
  if (length_ > kBody || !body.reserve(length_)) return false;
  char part[512];
  for (size_t left = length_; left;) {
    size_t n = client_.readBytes(part, left < sizeof part ? left : sizeof part);
    if (n == 0) return false;
    body.concat(part, n);
    left -= n;
  }
  return true;
}

// Reads multipart/form-data: values become arguments, files go to the upload handler piece by piece.
bool WebServer::read_form(const String &boundary, Route *route) {
  THandlerFunction &handler = route && route->upload ? route->upload : upload_handler_;
  String line, end = "\r\n--" + boundary;
  if (!read_line(line, 256) || line != "--" + boundary) return false;
  for (;;) {
    String name, filename, type = "text/plain";
    while (read_line(line, 1024) && !line.isEmpty()) {
      if (line.startsWith("Content-Disposition:") || line.startsWith("content-disposition:")) {
        name = quoted(line, " name");
        filename = quoted(line, "filename");
      }
      if (line.startsWith("Content-Type: ")) type = line.substring(14);
    }
    if (!line.isEmpty()) return false;
    bool file = !filename.isEmpty();
    String value;
    HTTPUpload *up = nullptr;
    if (file) {
      if (!upload_) upload_ = new HTTPUpload();
      up = upload_;
      up->status = UPLOAD_FILE_START;
      up->name = name, up->filename = filename, up->type = type;
      up->totalSize = up->currentSize = 0;
      if (handler) handler();
      up->status = UPLOAD_FILE_WRITE;
    }
    auto take = [&](char c) {
      if (!file) {
        if (value.length() < kBody) value += c;
        return;
      }
      up->buf[up->currentSize++] = c;
      if (up->currentSize < sizeof up->buf) return;
      up->totalSize += up->currentSize;
      if (handler) handler();
      up->currentSize = 0;
    };
    // Everything up to the boundary; what only began like it belongs to the content.
    unsigned matched = 0;
    while (matched < end.length()) {
      char c;
      if (client_.readBytes(&c, 1) != 1) {
        if (file) {
          up->status = UPLOAD_FILE_ABORTED;
          if (handler) handler();
        }
        return false;
      }
      if (c == end.charAt(matched)) {
        matched++;
        continue;
      }
      for (unsigned i = 0; i < matched; i++) take(end.charAt(i));
      matched = c == '\r';  // the boundary holds no other
      if (!matched) take(c);
    }
    if (file) {
      if (up->currentSize) {
        up->totalSize += up->currentSize;
        if (handler) handler();
      }
      up->status = UPLOAD_FILE_END;
      up->currentSize = 0;
      if (handler) handler();
    } else {
      add_arg(name, value);
    }
    if (!read_line(line, 256)) return false;
    if (line.startsWith("--")) return true;
  }
}

void WebServer::add_arg(const String &name, const String &value) {
  if (!arg_) arg_ = new Pair[kArgs];
  if (args_ == kArgs) return;
  arg_[args_].name = name;
  arg_[args_++].value = value;
}

void WebServer::parse_args(const String &text) {
  for (unsigned at = 0; at < text.length();) {
    int end = text.indexOf('&', at);
    if (end < 0) end = text.length();
    String pair = text.substring(at, end);
    int equals = pair.indexOf('=');
    if (!pair.isEmpty())
      add_arg(urlDecode(equals < 0 ? pair : pair.substring(0, equals)),
              equals < 0 ? String() : urlDecode(pair.substring(equals + 1)));
    at = end + 1;
  }
}

String WebServer::urlDecode(const String &text) {
  String plain;
  plain.reserve(text.length());
  for (unsigned i = 0; i < text.length(); i++) {
    char c = text.charAt(i);
    if (c == '%' && isxdigit((uint8_t)text.charAt(i + 1)) && isxdigit((uint8_t)text.charAt(i + 2))) {
      char hex[3] = {text.charAt(i + 1), text.charAt(i + 2), 0};
      c = strtol(hex, nullptr, 16);
      i += 2;
    } else if (c == '+') {
      c = ' ';
    }
    plain += c;
  }
  return plain;
}

String WebServer::arg(const String &name) const {
  for (int i = 0; i < args_; i++)
    if (arg_[i].name == name) return arg_[i].value;
  return String();
}
bool WebServer::hasArg(const String &name) const {
  for (int i = 0; i < args_; i++)
    if (arg_[i].name == name) return true;
  return false;
}
String WebServer::header(const String &name) const {
  for (int i = 0; i < headers_; i++)
    if (header_[i].name.equalsIgnoreCase(name)) return header_[i].value;
  return String();
}

bool WebServer::matches(const String &path) {
  if (path.indexOf("{}") < 0) return path == uri_;
  const char *p = path.c_str(), *u = uri_.c_str();
  for (int n = 0; *p;) {
    if (p[0] == '{' && p[1] == '}') {
      const char *end = strchrnul(u, p[2] ? p[2] : '/');
      if (n < 4) path_[n++] = String(u, end - u);
      u = end;
      p += 2;
    } else if (*p++ != *u++) {
      return false;
    }
  }
  return *u == 0;
}

WebServer::Route *WebServer::find() {
  for (Route *r = routes_; r; r = r->next)
    if ((r->method == HTTP_ANY || r->method == method_) && matches(r->path)) return r;
  return nullptr;
}

bool WebServer::serve_file() {
  if (method_ != HTTP_GET) return false;
  for (Files *f = files_; f; f = f->next) {
    if (!uri_.startsWith(f->path)) continue;
    String path = f->folder + uri_.substring(f->path.length());
    path.replace("//", "/");
    if (path.endsWith("/")) path += "index.html";
    File file = f->fs->open(path, FILE_READ);
    if (!file || file.isDirectory()) continue;
    if (!f->cache.isEmpty()) sendHeader("Cache-Control", f->cache);
    streamFile(file, type_of(path));
    return true;
  }
  return false;
}

void WebServer::handleClient() {
  client_ = server_.accept();
  if (!client_) return;
  client_.setTimeout(kTimeout);
  args_ = 0;
  length_ = 0;
  host_ = authorization_ = type_ = extra_ = "";
  told_ = CONTENT_LENGTH_NOT_SET;
  chunked_ = false;
  for (int i = 0; i < headers_; i++) header_[i].value = "";

  String boundary;
  if (!read_head(boundary)) {
    send(400, "text/plain", "Bad Request");
  } else {
    Route *route = find();
    bool read = true;
    if (!boundary.isEmpty()) {
      read = read_form(boundary, route);
    } else if (length_ > 0) {
      String body;
      read = read_body(body);
      if (read && type_.startsWith("application/x-www-form-urlencoded")) parse_args(body);
      if (read) add_arg("plain", body);
    }
    if (!read) {
      send(length_ > kBody && boundary.isEmpty() ? 413 : 400, "text/plain", "Bad Request");
    } else if (route) {
      route->handler();
    } else if (!serve_file()) {
      if (not_found_) {
        not_found_();
      } else {
        send(404, "text/plain", "Not found: " + uri_);
      }
    }
  }
  if (chunked_) sendContent("", 0);
  client_.stop();
}

// --- Its answer

void WebServer::sendHeader(const String &name, const String &value, bool first) {
  String line = name + ": " + value + "\r\n";
  extra_ = first ? line + extra_ : extra_ + line;
}

void WebServer::send(int code, const char *type, const String &content) {
  String head = String("HTTP/1.") + (http10_ ? "0 " : "1 ") + code + " " + phrase(code) + "\r\n";
  if (type && *type) head += String("Content-Type: ") + type + "\r\n";
  size_t size = told_ == CONTENT_LENGTH_NOT_SET ? content.length() : told_;
  if (size != CONTENT_LENGTH_UNKNOWN) {
    head += "Content-Length: " + String((unsigned long)size) + "\r\n";
  } else if (!http10_) {
    chunked_ = true;
    head += "Transfer-Encoding: chunked\r\n";
  }
  if (cors_)
    head += "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: *\r\nAccess-Control-Allow-Headers: *\r\n";
  head += extra_ + "Connection: close\r\n\r\n";
  extra_ = "";
  told_ = CONTENT_LENGTH_NOT_SET;
  client_.write((const uint8_t *)head.c_str(), head.length());
  if (content.length() && method_ != HTTP_HEAD) sendContent(content);
}

void WebServer::send_P(int code, const char *type, const char *content, size_t size) {
  setContentLength(size);
  send(code, type, "");
  sendContent(content, size);
}

void WebServer::sendContent(const char *content, size_t size) {
  if (chunked_) client_.printf("%zx\r\n", size);
  if (size) client_.write((const uint8_t *)content, size);
  if (chunked_) client_.write("\r\n");
  if (chunked_ && size == 0) chunked_ = false;
}

bool WebServer::authenticate(const char *user, const char *password) {
  return authorization_.startsWith("Basic ") &&
         authorization_.substring(6).equalsConstantTime(base64::encode(String(user) + ":" + password));
}

void WebServer::requestAuthentication(HTTPAuthMethod, const char *realm, const String &text) {
  sendHeader("WWW-Authenticate", String("Basic realm=\"") + (realm ? realm : "Login Required") + "\"");
  send(401, "text/html", text);
}
