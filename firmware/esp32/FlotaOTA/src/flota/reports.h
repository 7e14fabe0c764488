// The queue of reports: the newest of a deployment and state, eight at most. All
// but the progress of a download outlive a restart.
#pragma once

#include "ports.h"
#include "reason.h"

namespace flota {

struct Report {
  int64_t deployment = 0;
  State state = State::downloading;
  Reason reason = Reason::none;
  uint8_t percent = 0;

  Report() = default;
  Report(int64_t number, State what, Reason why, uint8_t done)
      : deployment(number), state(what), reason(why), percent(done) {}
};

class Reports {
 public:
  explicit Reports(Storage &storage) : storage_(storage) {}

  void load();
  void add(const Report &report);
  bool empty() const { return count_ == 0; }
  const Report &first() const { return reports_[0]; }
  void drop_first() {
    drop(0);
    save();
  }
  void clear();

 private:
  static constexpr uint8_t kMax = 8;

  void drop(uint8_t i);
  void save();

  Storage &storage_;
  Report reports_[kMax];
  uint8_t count_ = 0;
};

}  // namespace flota
