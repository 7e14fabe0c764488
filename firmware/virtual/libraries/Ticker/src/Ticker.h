#pragma once
#include <Arduino.h>
#include <function.h>

// Ticker calls a function after a time, once or again and again, in the thread of all
// timers: it must return soon.
class Ticker {
 public:
  typedef std::function<void()> callback_function_t;
  Ticker() {}
  ~Ticker() { detach(); }
  Ticker(const Ticker &) = delete;
  Ticker &operator=(const Ticker &) = delete;

  bool attach(float seconds, callback_function_t f) { return start(uint64_t(seconds * 1e6f), true, f); }
  bool attach_ms(uint64_t ms, callback_function_t f) { return start(ms * 1000, true, f); }
  bool attach_us(uint64_t us, callback_function_t f) { return start(us, true, f); }
  bool once(float seconds, callback_function_t f) { return start(uint64_t(seconds * 1e6f), false, f); }
  bool once_ms(uint64_t ms, callback_function_t f) { return start(ms * 1000, false, f); }
  bool once_us(uint64_t us, callback_function_t f) { return start(us, false, f); }

  template <typename T, typename A>
  bool attach(float seconds, void (*f)(T), A argument) {
    return attach(seconds, [f, argument] { f(T(argument)); });
  }
  template <typename T, typename A>
  bool attach_ms(uint64_t ms, void (*f)(T), A argument) {
    return attach_ms(ms, [f, argument] { f(T(argument)); });
  }
  template <typename T, typename A>
  bool once(float seconds, void (*f)(T), A argument) {
    return once(seconds, [f, argument] { f(T(argument)); });
  }
  template <typename T, typename A>
  bool once_ms(uint64_t ms, void (*f)(T), A argument) {
    return once_ms(ms, [f, argument] { f(T(argument)); });
  }
  void detach();
  bool active() const { return timer_ && esp_timer_is_active(timer_); }

 private:
  bool start(uint64_t us, bool repeat, const callback_function_t &f);
  esp_timer_handle_t timer_ = nullptr;
  callback_function_t *call_ = nullptr;
};
