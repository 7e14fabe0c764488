#pragma once
#include <HTTPClient.h>
#include <Update.h>

#define HTTP_UE_TOO_LESS_SPACE (-100)
#define HTTP_UE_SERVER_NOT_REPORT_SIZE (-101)
#define HTTP_UE_SERVER_FILE_NOT_FOUND (-102)
#define HTTP_UE_SERVER_FORBIDDEN (-103)
#define HTTP_UE_SERVER_WRONG_HTTP_CODE (-104)
#define HTTP_UE_SERVER_FAULTY_MD5 (-105)
#define HTTP_UE_BIN_VERIFY_HEADER_FAILED (-106)
#define HTTP_UE_BIN_FOR_WRONG_FLASH (-107)
#define HTTP_UE_NO_PARTITION (-108)

enum HTTPUpdateResult { HTTP_UPDATE_FAILED, HTTP_UPDATE_NO_UPDATES, HTTP_UPDATE_OK };
typedef HTTPUpdateResult t_httpUpdate_return;
typedef std::function<void(HTTPClient *)> HTTPUpdateRequestCB;

// HTTPUpdate fetches an image and starts it, as arduino-esp32's does: it sends the MD5 of what
// runs, takes 304 for "no update", and checks x-MD5 and the form of what came.
class HTTPUpdate {
 public:
  explicit HTTPUpdate(int timeout_ms = 8000) : timeout_ms_(timeout_ms) {}
  void rebootOnUpdate(bool on) { reboot_ = on; }
  void setFollowRedirects(followRedirects_t follow) { follow_ = follow; }
  void setAuthorization(const String &user, const String &password) { user_ = user, password_ = password; }
  void setMD5sum(const String &md5) { md5_ = md5; }
  void setLedPin(int = -1, uint8_t = HIGH) {}

  t_httpUpdate_return update(NetworkClient &client, const String &url, const String &version = "",
                             HTTPUpdateRequestCB request = nullptr);
  t_httpUpdate_return update(NetworkClient &client, const String &host, uint16_t port, const String &uri = "/",
                             const String &version = "", HTTPUpdateRequestCB request = nullptr);
  t_httpUpdate_return update(HTTPClient &http, const String &version = "", HTTPUpdateRequestCB request = nullptr);

  void onStart(std::function<void()> call) { start_ = call; }
  void onEnd(std::function<void()> call) { end_ = call; }
  void onError(std::function<void(int)> call) { failed_ = call; }
  void onProgress(std::function<void(int, int)> call) { progress_ = call; }
  int getLastError() const { return error_; }
  String getLastErrorString() const;

 private:
  t_httpUpdate_return fail(int error);
  int timeout_ms_, error_ = 0;
  bool reboot_ = true;
  followRedirects_t follow_ = HTTPC_DISABLE_FOLLOW_REDIRECTS;
  String user_, password_, md5_;
  std::function<void()> start_, end_;
  std::function<void(int)> failed_;
  std::function<void(int, int)> progress_;
};

extern HTTPUpdate httpUpdate;
