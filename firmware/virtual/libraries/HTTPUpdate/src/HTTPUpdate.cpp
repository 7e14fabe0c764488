#include "HTTPUpdate.h"

#include <board.h>

HTTPUpdate httpUpdate;

t_httpUpdate_return HTTPUpdate::fail(int error) {
  error_ = error;
  if (failed_) failed_(error);
  return HTTP_UPDATE_FAILED;
}

t_httpUpdate_return HTTPUpdate::update(NetworkClient &client, const String &url, const String &version,
                                       HTTPUpdateRequestCB request) {
  HTTPClient http;
  if (!http.begin(client, url)) return HTTP_UPDATE_FAILED;
  return update(http, version, request);
}

t_httpUpdate_return HTTPUpdate::update(NetworkClient &client, const String &host, uint16_t port, const String &uri,
                                       const String &version, HTTPUpdateRequestCB request) {
  HTTPClient http;
  if (!http.begin(client, host, port, uri)) return HTTP_UPDATE_FAILED;
  return update(http, version, request);
}

// The digest that is appended to the image that runs, in upper-case hex.
static String appended_digest() {
  const BoardPartition *slot = board_running();
  uint32_t size = board_image_size(*slot);
  uint8_t digest[32];
  if (size < 32 || !board_flash_read(slot->offset + size - 32, digest, 32)) return String();
  char hex[65];
  for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02X", digest[i]);
  return hex;
}

t_httpUpdate_return HTTPUpdate::update(HTTPClient &http, const String &version, HTTPUpdateRequestCB request) {
  error_ = 0;
  http.useHTTP10(true);
  http.setTimeout(timeout_ms_);
  http.setFollowRedirects(follow_);
  http.setUserAgent("ESP32-http-Update");
  http.addHeader("Cache-Control", "no-cache");
  http.addHeader("x-ESP32-STA-MAC", WiFi.macAddress());
  http.addHeader("x-ESP32-AP-MAC", WiFi.softAPmacAddress());
  http.addHeader("x-ESP32-free-space", String(ESP.getFreeSketchSpace()));
  http.addHeader("x-ESP32-sketch-size", String(ESP.getSketchSize()));
  String md5 = ESP.getSketchMD5(), sha256 = appended_digest();
  if (!md5.isEmpty()) http.addHeader("x-ESP32-sketch-md5", md5);
  if (!sha256.isEmpty()) http.addHeader("x-ESP32-sketch-sha256", sha256);
  http.addHeader("x-ESP32-chip-size", String(ESP.getFlashChipSize()));
  http.addHeader("x-ESP32-sdk-version", ESP.getSdkVersion());
  http.addHeader("x-ESP32-mode", "sketch");
  if (!version.isEmpty()) http.addHeader("x-ESP32-version", version);
  if (!user_.isEmpty() && !password_.isEmpty()) http.setAuthorization(user_.c_str(), password_.c_str());
  if (request) request(&http);
  const char *names[] = {"x-MD5"};
  http.collectHeaders(names, 1);

  int code = http.GET(), size = http.getSize();
  if (code <= 0) return fail(code);
  switch (code) {
    case HTTP_CODE_OK:
      break;
    case HTTP_CODE_NOT_MODIFIED:
      http.end();
      return HTTP_UPDATE_NO_UPDATES;
    case HTTP_CODE_NOT_FOUND:
      return fail(HTTP_UE_SERVER_FILE_NOT_FOUND);
    case HTTP_CODE_FORBIDDEN:
      return fail(HTTP_UE_SERVER_FORBIDDEN);
    default:
      return fail(HTTP_UE_SERVER_WRONG_HTTP_CODE);
  }
  if (size <= 0) return fail(HTTP_UE_SERVER_NOT_REPORT_SIZE);
  if (size > int(ESP.getFreeSketchSpace())) return fail(HTTP_UE_TOO_LESS_SPACE);
  if (start_) start_();
  NetworkClient &stream = http.getStream();
  uint8_t first;
  if (stream.readBytes(&first, 1) != 1 || first != 0xE9) return fail(HTTP_UE_BIN_VERIFY_HEADER_FAILED);
  if (progress_) Update.onProgress([this](size_t at, size_t of) { progress_(at, of); });
  if (!Update.begin(size)) return fail(Update.getError());
  String wanted = !md5_.isEmpty() ? md5_ : http.header("x-MD5");
  if (!wanted.isEmpty() && !Update.setMD5(wanted.c_str())) {
    Update.abort();
    return fail(HTTP_UE_SERVER_FAULTY_MD5);
  }
  if (Update.write(&first, 1) != 1 || Update.writeStream(stream) != size_t(size) - 1 || !Update.end())
    return fail(Update.getError());
  http.end();
  if (end_) end_();
  if (reboot_) ESP.restart();
  return HTTP_UPDATE_OK;
}

String HTTPUpdate::getLastErrorString() const {
  if (error_ == 0) return String();
  if (error_ > 0) return String("Update error: ") + Update.errorString();
  if (error_ > -100) return "HTTP error: " + HTTPClient::errorToString(error_);
  static const char *const texts[] = {"Not Enough space",
                                      "Server Did Not Report Size",
                                      "File Not Found (404)",
                                      "Forbidden (403)",
                                      "Wrong HTTP Code",
                                      "Wrong MD5",
                                      "Verify Bin Header Failed",
                                      "New Binary Does Not Fit Flash Size",
                                      "Partition Could Not be Found"};
  return error_ >= -108 ? texts[-100 - error_] : "UNKNOWN";
}
