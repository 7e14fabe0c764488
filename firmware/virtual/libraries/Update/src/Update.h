#pragma once
#include <Arduino.h>
#include <MD5Builder.h>
#include <function.h>

#define UPDATE_ERROR_OK 0
#define UPDATE_ERROR_WRITE 1
#define UPDATE_ERROR_ERASE 2
#define UPDATE_ERROR_READ 3
#define UPDATE_ERROR_SPACE 4
#define UPDATE_ERROR_SIZE 5
#define UPDATE_ERROR_STREAM 6
#define UPDATE_ERROR_MD5 7
#define UPDATE_ERROR_MAGIC_BYTE 8
#define UPDATE_ERROR_ACTIVATE 9
#define UPDATE_ERROR_NO_PARTITION 10
#define UPDATE_ERROR_BAD_ARGUMENT 11
#define UPDATE_ERROR_ABORT 12

#define UPDATE_SIZE_UNKNOWN 0xFFFFFFFF
#define U_FLASH 0
#define U_SPIFFS 100

// Update writes an image to the slot that does not run. Its first bytes go last, so that
// half an image is none; end() makes it the next to start.
class UpdateClass {
 public:
  typedef std::function<void(size_t, size_t)> THandlerFunction_Progress;

  // Only images (U_FLASH): the file system here is none of blocks.
  bool begin(size_t size = UPDATE_SIZE_UNKNOWN, int command = U_FLASH, int led = -1, uint8_t ledOn = LOW,
             const char *label = nullptr);
  size_t write(uint8_t *data, size_t size);
  size_t writeStream(Stream &data);
  template <typename T>
  size_t write(T &data) {
    return writeStream(data);
  }
  // With less than begin was told, only where evenIfRemaining.
  bool end(bool evenIfRemaining = false);
  void abort() { stop(UPDATE_ERROR_ABORT); }
  bool setMD5(const char *expected);
  String md5String() const { return md5_.toString(); }
  UpdateClass &onProgress(THandlerFunction_Progress call) { return progress_ = call, *this; }

  void printError(Print &to) const { to.println(errorString()); }
  const char *errorString() const;
  uint8_t getError() const { return error_; }
  bool hasError() const { return error_ != UPDATE_ERROR_OK; }
  void clearError() { error_ = UPDATE_ERROR_OK; }
  bool isRunning() const { return size_ > 0; }
  bool isFinished() const { return at_ == size_; }
  size_t size() const { return size_; }
  size_t progress() const { return at_; }
  size_t remaining() const { return size_ - at_; }
  bool canRollBack();
  bool rollBack();

 private:
  bool stop(uint8_t error);
  bool flush();
  uint8_t buffer_[4096];
  uint8_t head_[16];
  size_t buffered_ = 0, at_ = 0, size_ = 0;
  uint8_t error_ = 0;
  String expected_;
  MD5Builder md5_;
  THandlerFunction_Progress progress_;
};

extern UpdateClass Update;
