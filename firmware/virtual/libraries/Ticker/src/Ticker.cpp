#include "Ticker.h"

static void call(void *function) { (*static_cast<Ticker::callback_function_t *>(function))(); }

bool Ticker::start(uint64_t us, bool repeat, const callback_function_t &f) {
  detach();
  call_ = new callback_function_t(f);
  esp_timer_create_args_t args = {call, call_, ESP_TIMER_TASK, "Ticker", false};
  if (esp_timer_create(&args, &timer_) != ESP_OK) return false;
  return (repeat ? esp_timer_start_periodic(timer_, us) : esp_timer_start_once(timer_, us)) == ESP_OK;
}

void Ticker::detach() {
  if (!timer_) return;
  esp_timer_delete(timer_);
  timer_ = nullptr;
  // It may be this function that runs and detaches: it is dropped by the same thread, later.
  esp_timer_handle_t last;
  esp_timer_create_args_t args = {[](void *f) { delete static_cast<callback_function_t *>(f); }, call_, ESP_TIMER_TASK,
                                  "Ticker", false};
  call_ = nullptr;
  if (esp_timer_create(&args, &last) != ESP_OK) return;
  esp_timer_start_once(last, 0);
}
